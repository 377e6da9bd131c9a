"""Where a container may stand: freezers in locations, racks in freezers, boxes in racks.

Only what never changes of the parent is looked at here; whether it has room, and whether the name
is free, the parent decides when it takes the child in.
"""

from contracts.storage import (
    AddContainer,
    ContainerAdded,
    ContainerKind,
    ContainerNotFound,
    ContainerRefused,
    LocationNotFound,
)
from contracts.types import ContainerId
from services.storage.domain.container import ContainerState
from services.storage.domain.location import LocationState
from services.storage.domain.naming import PATH_SEPARATOR

CAPACITY_DEFAULTS = {ContainerKind.FREEZER: 20, ContainerKind.RACK: 25}
"""Racks of a freezer and boxes of a rack, where nobody says otherwise."""
PARENT_KINDS = {ContainerKind.RACK: ContainerKind.FREEZER, ContainerKind.BOX: ContainerKind.RACK}


def place_freezer(
    command: AddContainer, container_id: ContainerId, location: LocationState | None
) -> ContainerAdded | ContainerRefused | LocationNotFound:
    """Place a freezer in its location; it says at which temperature everything in it is kept."""
    if command.parent_id is not None:
        return _refuse(
            "parent_id",
            command.parent_id,
            "A freezer stands in a location, not in a container.",
            "Leave parent_id out and give location_id.",
        )
    if command.location_id is None:
        return _refuse(
            "location_id", None, "A freezer stands in a location.", "Give its location_id."
        )
    if command.zone is None:
        return _refuse(
            "zone", None, "A freezer has a temperature.", "Give zone: -80C, -20C, 4C, RT or 37C."
        )
    if location is None:
        return LocationNotFound(location_id=command.location_id)
    return ContainerAdded(
        container_id=container_id,
        kind=command.kind,
        name=command.name,
        path=f"{location.name}{PATH_SEPARATOR}{command.name}",
        location_id=location.location_id,
        parent_id=None,
        zone=command.zone,
        capacity=command.capacity or CAPACITY_DEFAULTS[command.kind],
        rows=0,
        columns=0,
    )


def place_within(
    command: AddContainer, container_id: ContainerId, parent: ContainerState | None
) -> ContainerAdded | ContainerRefused | ContainerNotFound:
    """Place a rack in its freezer or a box in its rack; both take over the parent's temperature."""
    parent_kind = PARENT_KINDS[command.kind]
    if command.parent_id is None:
        return _refuse(
            "parent_id",
            None,
            f"A {command.kind} stands in a {parent_kind}.",
            f"Give the container_id of its {parent_kind} as parent_id.",
        )
    if command.kind is ContainerKind.BOX and command.capacity is not None:
        return _refuse(
            "capacity",
            command.capacity,
            "A box has as many positions as rows times columns.",
            "Leave capacity out and give rows and columns.",
        )
    if parent is None:
        return ContainerNotFound(container_id=command.parent_id)
    return _refuse_parent(command, parent) or _within(command, container_id, parent)


def _refuse_parent(command: AddContainer, parent: ContainerState) -> ContainerRefused | None:
    parent_kind = PARENT_KINDS[command.kind]
    if parent.kind is not parent_kind:
        return _refuse(
            "parent_id",
            command.parent_id,
            f"{parent.path} is a {parent.kind}; a {command.kind} stands in a {parent_kind}.",
            f"Give the container_id of a {parent_kind}.",
        )
    if command.zone not in {None, parent.zone}:
        return _refuse(
            "zone",
            command.zone,
            f"{parent.path} is kept at {parent.zone}, and so is all that stands in it.",
            f"Leave zone out, or choose a {parent_kind} at {command.zone}.",
        )
    if command.location_id not in {None, parent.location_id}:
        return _refuse(
            "location_id",
            command.location_id,
            f"{parent.path} stands in another location.",
            "Leave location_id out; it is the parent's.",
        )
    return None


def _within(
    command: AddContainer, container_id: ContainerId, parent: ContainerState
) -> ContainerAdded:
    is_box = command.kind is ContainerKind.BOX
    return ContainerAdded(
        container_id=container_id,
        kind=command.kind,
        name=command.name,
        path=f"{parent.path}{PATH_SEPARATOR}{command.name}",
        location_id=parent.location_id,
        parent_id=parent.container_id,
        zone=parent.zone,
        capacity=command.rows * command.columns
        if is_box
        else command.capacity or CAPACITY_DEFAULTS[command.kind],
        rows=command.rows if is_box else 0,
        columns=command.columns if is_box else 0,
    )


def _refuse(field: str, value: object, problem: str, remedy: str) -> ContainerRefused:
    return ContainerRefused(
        field=field,
        value=None if value is None else str(value),
        problem=problem,
        remedy=remedy,
    )
