"""Locations: places where freezers stand, and the claims that keep their names unique."""

import hashlib
from datetime import datetime

from pydantic import Field

from contracts.aggregate import Aggregate, Decision
from contracts.entry import Entry
from contracts.message import Event
from contracts.storage import (
    ContainerAdded,
    ContainerFull,
    FreezerPlaced,
    LocationCreated,
    LocationNameClaimed,
    LocationNameTaken,
    LocationView,
)
from contracts.types import ActorId, ContainerId, LocationId, Name, Value
from services.storage.domain.naming import claimed, name_taken

FREEZERS_MAX = 1_000
"""Freezers of one location."""


class LocationState(Value):
    """A location, and the freezers in it."""

    location_id: LocationId
    name: Name
    created_at: datetime
    created_by: ActorId
    created_seq: int
    """Stream sequence of the entry that created it: what came later has a higher one."""
    freezers: dict[str, ContainerId] = Field(default_factory=dict[str, ContainerId])
    """By the name as it is compared."""


class LocationNameState(Value):
    """Which location has a name."""

    location_id: LocationId
    name: Name


def name_key(name: str) -> str:
    """Give the key of a name's claim: a hash, since names hold what log subjects may not."""
    return hashlib.sha256(claimed(name).encode()).hexdigest()


def evolve_location(
    state: LocationState | None, event: Event, entry: Entry
) -> LocationState | None:
    """Fold one event into a location."""
    match event:
        case LocationCreated():
            return LocationState(
                location_id=event.location_id,
                name=event.name,
                created_at=entry.at,
                created_by=entry.actor,
                created_seq=entry.seq,
            )
        case FreezerPlaced() if state is not None:
            freezers = {**state.freezers, claimed(event.name): event.container_id}
            return state.model_copy(update={"freezers": freezers})
        case _:
            return state


def evolve_location_name(
    state: LocationNameState | None, event: Event, _: Entry
) -> LocationNameState | None:
    """Fold one event into the claim of a name."""
    if isinstance(event, LocationNameClaimed):
        return LocationNameState(location_id=event.location_id, name=event.name)
    return state


LOCATION = Aggregate("storage", "location", LocationState, evolve_location)
LOCATION_NAME = Aggregate("storage", "location_name", LocationNameState, evolve_location_name)


def decide_create(state: LocationState | None, *, location_id: LocationId, name: Name) -> Decision:
    """Create a location; created already is fine."""
    return [] if state else [LocationCreated(location_id=location_id, name=name)]


def decide_claim_name(
    state: LocationNameState | None, *, location_id: LocationId, name: Name
) -> Decision:
    """Claim a name for a location, unless another one has it."""
    if state is None:
        return [LocationNameClaimed(location_id=location_id, name=name)]
    if state.location_id != location_id:
        return LocationNameTaken(name=state.name, location_id=state.location_id)
    return []


def decide_place_freezer(state: LocationState | None, freezer: ContainerAdded) -> Decision:
    """Take a freezer in; taken in already is fine. The location must exist."""
    if state is None:
        raise ValueError(f"location {freezer.location_id} was never created")
    holder = state.freezers.get(claimed(freezer.name))
    if holder == freezer.container_id:
        return []
    if holder is not None:
        return name_taken(freezer.name, parent=state.name)
    if len(state.freezers) >= FREEZERS_MAX:
        return ContainerFull(name=state.name, capacity=FREEZERS_MAX)
    return [
        FreezerPlaced(
            location_id=freezer.location_id,
            container_id=freezer.container_id,
            name=freezer.name,
        )
    ]


def location_view(state: LocationState, seq: int) -> LocationView:
    """Show a location."""
    return LocationView(
        location_id=state.location_id,
        name=state.name,
        created_at=state.created_at,
        created_by=state.created_by,
        seq=seq,
    )
