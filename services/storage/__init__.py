"""Storage: where every tube stands, at which temperature, and who holds which free position.

Owns: locations, freezers, racks, boxes with their positions, and reservations. Accepts: building up
the laboratory, and for a submission reserve, confirm and release. Announces: what was added, and
which positions were reserved, confirmed, released. Never: judges samples, moves a tube by itself.
"""
