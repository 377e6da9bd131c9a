"""The laboratory of the demo: one room, a freezer and a box per temperature, set up by HTTP."""

from collections.abc import Mapping

from contracts.storage import AddContainer, ContainerKind, ContainerView, CreateLocation
from contracts.types import Zone
from infra.http.client import EdgeClient

BOX_SIDES = {
    Zone.ULTRA_LOW: 5,
    Zone.FROZEN: 6,
    Zone.REFRIGERATED: 5,
    Zone.ROOM: 5,
}
"""Positions of a box's side; at -80 °C there is room for 25 samples and no more."""


async def furnish(
    edge: EdgeClient, sides: Mapping[Zone, int] = BOX_SIDES
) -> dict[Zone, ContainerView]:
    """Put a freezer, a rack and a box at each temperature; give the boxes.

    `sides` says how many positions a side of each box has.
    """
    room = await edge.ask(CreateLocation(name="Room 1"))
    boxes: dict[Zone, ContainerView] = {}
    for number, (zone, side) in enumerate(sides.items(), start=1):
        freezer = await edge.ask(
            AddContainer(
                kind=ContainerKind.FREEZER,
                name=f"FRZ-{number} ({zone.value})",
                location_id=room.location_id,
                zone=zone,
            )
        )
        rack = await edge.ask(
            AddContainer(kind=ContainerKind.RACK, name="R01", parent_id=freezer.container_id)
        )
        boxes[zone] = await edge.ask(
            AddContainer(
                kind=ContainerKind.BOX,
                name="B01",
                parent_id=rack.container_id,
                rows=side,
                columns=side,
            )
        )
    return boxes
