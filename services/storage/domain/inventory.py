"""The inventory: a fold over the whole storage log, kept in memory, which box has how much room.

It answers questions and lets others plan, it decides nothing: the truth is compare-and-set on each
box. Its size is bounded by the laboratory: a record per box, taken position and held reservation.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from contracts.entry import Entry
from contracts.message import Event
from contracts.storage import (
    ContainerAdded,
    ContainerKind,
    PositionsConfirmed,
    PositionsReleased,
    PositionsReserved,
    PositionState,
    ReservationEnded,
    ReservationHeld,
    SamplePosition,
    StorageCapacity,
    ZoneCapacity,
)
from contracts.types import ContainerId, SampleId, SubmissionId, Zone
from services.storage.domain.naming import natural_order


@dataclass(slots=True)
class BoxRecord:
    """One box: how much room it has."""

    container_id: ContainerId
    path: str
    zone: Zone
    positions: int
    order: list[tuple[bool, int, str]]
    """Where its path sorts."""
    taken: dict[str, SampleId] = field(default_factory=dict[str, SampleId])

    @property
    def free(self) -> int:
        """Count the positions that nobody holds."""
        return self.positions - len(self.taken)


@dataclass(slots=True)
class Placement:
    """One sample in its position."""

    container_id: ContainerId
    position: str
    submission_id: SubmissionId
    occupied: bool


class Inventory:
    """What is where, as of the entry at `head`."""

    def __init__(self) -> None:
        """Start before the first entry."""
        self.head = 0
        """Stream sequence of the newest entry seen."""
        self._boxes: dict[ContainerId, BoxRecord] = {}
        self._placements: dict[SampleId, Placement] = {}
        self._samples: dict[SubmissionId, dict[SampleId, None]] = {}
        self._held: dict[SubmissionId, datetime] = {}

    def apply(self, entry: Entry) -> None:
        """Fold one entry; one that was seen before changes nothing."""
        if entry.seq <= self.head:
            return
        for event in entry.events:
            self._fold(event)
        self.head = entry.seq

    def _fold(self, event: Event) -> None:
        match event:
            case ContainerAdded(kind=ContainerKind.BOX):
                self._add_box(event)
            case PositionsReserved():
                self._reserve(event)
            case PositionsConfirmed():
                for sample in event.samples:
                    self._placements[sample.sample_id].occupied = True
            case PositionsReleased():
                self._release(event)
            case ReservationHeld():
                self._held[event.submission_id] = event.expires_at
            case ReservationEnded():
                self._held.pop(event.submission_id, None)
            case _:
                pass  # The rest of the log is of no concern here.

    def _add_box(self, added: ContainerAdded) -> None:
        self._boxes[added.container_id] = BoxRecord(
            container_id=added.container_id,
            path=added.path,
            zone=added.zone,
            positions=added.capacity,
            order=natural_order(added.path),
        )

    def _reserve(self, reserved: PositionsReserved) -> None:
        taken = self._boxes[reserved.container_id].taken
        samples = self._samples.setdefault(reserved.submission_id, {})
        for held in reserved.positions:
            taken[held.position] = held.sample_id
            samples[held.sample_id] = None
            self._placements[held.sample_id] = Placement(
                container_id=reserved.container_id,
                position=held.position,
                submission_id=reserved.submission_id,
                occupied=False,
            )

    def _release(self, released: PositionsReleased) -> None:
        taken = self._boxes[released.container_id].taken
        samples = self._samples[released.submission_id]
        for position in released.positions:
            sample_id = taken.pop(position)
            del samples[sample_id]
            placement = self._placements.get(sample_id)
            if placement is not None and placement.submission_id == released.submission_id:
                del self._placements[sample_id]
        if not samples:
            del self._samples[released.submission_id]

    def boxes_at(self, zone: Zone) -> list[BoxRecord]:
        """List the boxes of a temperature that have room, in the order of their paths."""
        boxes = [box for box in self._boxes.values() if box.zone is zone and box.free > 0]
        return sorted(boxes, key=lambda box: (box.order, box.container_id))

    def overdue(self, now: datetime) -> Iterator[SubmissionId]:
        """Give the submissions that hold positions beyond their time."""
        return (submission for submission, at in list(self._held.items()) if at <= now)

    def find(self, sample_id: SampleId) -> SamplePosition | None:
        """Say where a sample rests, or will rest."""
        placement = self._placements.get(sample_id)
        if placement is None:
            return None
        return SamplePosition(
            sample_id=sample_id,
            container_id=placement.container_id,
            path=self._boxes[placement.container_id].path,
            position=placement.position,
            state=PositionState.OCCUPIED if placement.occupied else PositionState.RESERVED,
        )

    def samples_of(self, submission_id: SubmissionId) -> list[SampleId]:
        """List the samples for which a submission holds positions, in the order it took them."""
        return list(self._samples.get(submission_id, ()))

    def capacity(self) -> StorageCapacity:
        """Say how full the laboratory is, coldest first."""
        zones = [_capacity(zone, self._boxes.values()) for zone in Zone]
        return StorageCapacity(zones=[capacity for capacity in zones if capacity.boxes])


def _capacity(zone: Zone, boxes: Iterable[BoxRecord]) -> ZoneCapacity:
    of_zone = [box for box in boxes if box.zone is zone]
    return ZoneCapacity(
        zone=zone,
        boxes=len(of_zone),
        positions=sum(box.positions for box in of_zone),
        free=sum(box.free for box in of_zone),
    )
