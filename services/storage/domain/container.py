"""Containers: freezers, racks and boxes; what stands in them, and which position a sample holds.

One state for all three kinds: freezers and racks hold children, boxes hold slots. Decisions on the
slots of a box are made in `box`, those on where a container may stand in `placement`.
"""

from collections.abc import Sequence

from pydantic import Field

from contracts.aggregate import Aggregate, Decision
from contracts.entry import Entry
from contracts.message import Event
from contracts.storage import (
    ChildAdded,
    ContainerAdded,
    ContainerFull,
    ContainerKind,
    ContainerView,
    GridView,
    PositionsConfirmed,
    PositionsReleased,
    PositionsReserved,
    PositionState,
    PositionsVacated,
    PositionView,
)
from contracts.types import (
    Barcode,
    ContainerId,
    LocationId,
    Name,
    SampleId,
    SampleType,
    SubmissionId,
    Value,
    Zone,
)
from services.storage.domain.grid import labels as labels_of
from services.storage.domain.naming import claimed, name_taken


class Slot(Value):
    """A position of a box that is not free."""

    sample_id: SampleId
    barcode: Barcode
    sample_type: SampleType
    submission_id: SubmissionId
    occupied: bool = False
    """False while the position is only held."""


class ContainerState(Value):
    """A freezer, rack or box."""

    container_id: ContainerId
    kind: ContainerKind
    name: Name
    path: str
    location_id: LocationId
    parent_id: ContainerId | None
    zone: Zone
    capacity: int
    """Positions of a box; children of a freezer or rack."""
    rows: int
    columns: int
    children: dict[str, ContainerId] = Field(default_factory=dict[str, ContainerId])
    """By the name as it is compared."""
    added_seq: int
    """Stream sequence of the entry that added it: what came later has a higher one."""
    slots: dict[str, Slot] = Field(default_factory=dict[str, Slot])
    """By position; a free position has none."""


def evolve_container(
    state: ContainerState | None, event: Event, entry: Entry
) -> ContainerState | None:
    """Fold one event into a container."""
    if isinstance(event, ContainerAdded):
        return ContainerState(**event.model_dump(), added_seq=entry.seq)
    if state is None:
        return None
    match event:
        case ChildAdded():
            children = {**state.children, claimed(event.name): event.child_id}
            return state.model_copy(update={"children": children})
        case PositionsReserved() | PositionsConfirmed() | PositionsReleased() | PositionsVacated():
            return state.model_copy(update={"slots": _evolve_slots(state.slots, event)})
        case _:
            return state


def _evolve_slots(
    slots: dict[str, Slot],
    event: PositionsReserved | PositionsConfirmed | PositionsReleased | PositionsVacated,
) -> dict[str, Slot]:
    match event:
        case PositionsReserved():
            held = {
                p.position: Slot(
                    sample_id=p.sample_id,
                    barcode=p.barcode,
                    sample_type=p.sample_type,
                    submission_id=event.submission_id,
                )
                for p in event.positions
            }
            return {**slots, **held}
        case PositionsConfirmed():
            occupied = {
                s.position: slots[s.position].model_copy(update={"occupied": True})
                for s in event.samples
            }
            return {**slots, **occupied}
        case PositionsReleased():
            return _without(slots, event.positions)
        case PositionsVacated():
            return _without(slots, [one.position for one in event.samples])


def _without(slots: dict[str, Slot], labels: Sequence[str]) -> dict[str, Slot]:
    free = set(labels)
    return {label: slot for label, slot in slots.items() if label not in free}


CONTAINER = Aggregate("storage", "container", ContainerState, evolve_container)


def decide_add(state: ContainerState | None, added: ContainerAdded) -> Decision:
    """Put a container where it was found to fit; put there already is fine."""
    return [] if state else [added]


def decide_take_in(state: ContainerState | None, child: ContainerAdded) -> Decision:
    """Take a rack or box in; taken in already is fine. The parent must exist."""
    if state is None:
        raise ValueError(f"container {child.parent_id} was never added")
    holder = state.children.get(claimed(child.name))
    if holder == child.container_id:
        return []
    if holder is not None:
        return name_taken(child.name, parent=state.path)
    if len(state.children) >= state.capacity:
        return ContainerFull(name=state.name, capacity=state.capacity)
    return [
        ChildAdded(container_id=state.container_id, child_id=child.container_id, name=child.name)
    ]


def container_view(state: ContainerState, seq: int) -> ContainerView:
    """Show a container."""
    return ContainerView(
        **state.model_dump(exclude={"children", "slots", "added_seq"}),
        used=len(state.slots if state.kind is ContainerKind.BOX else state.children),
        seq=seq,
    )


def grid_view(state: ContainerState, seq: int) -> GridView:
    """Show a box position by position, row by row."""
    return GridView(
        container=container_view(state, seq),
        positions=[
            _position_view(label, state.slots.get(label))
            for label in labels_of(state.rows, state.columns)
        ],
    )


def _position_view(label: str, slot: Slot | None) -> PositionView:
    if slot is None:
        return PositionView(position=label, state=PositionState.FREE)
    return PositionView(
        position=label,
        state=PositionState.OCCUPIED if slot.occupied else PositionState.RESERVED,
        sample_id=slot.sample_id,
        barcode=slot.barcode,
        sample_type=slot.sample_type,
        submission_id=slot.submission_id,
    )
