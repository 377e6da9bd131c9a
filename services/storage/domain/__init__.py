"""The rules of storage, pure: locations, containers, reservations, and the inventory that plans.

`location`, `container` and `reservation` are aggregates; `box` decides on positions, `placement` on
where containers may stand, `allocation` plans from the `inventory`. Nothing here does I/O.
"""
