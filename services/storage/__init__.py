"""Storage: where every tube stands, at which temperature, and who holds which free position.

Owns: locations, freezers, racks, boxes with their positions, reservations, and who carried what.
Accepts: building up the laboratory; for a submission reserve, confirm and release; for a transfer
check, reserve and move; taking samples out, and which lie in a place. Announces: what was added,
which positions were reserved, confirmed, released, vacated, what was moved or removed. Never:
judges samples, moves a tube by itself.
"""
