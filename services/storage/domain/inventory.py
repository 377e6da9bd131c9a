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
    Place,
    PlacedSample,
    PositionsConfirmed,
    PositionsReleased,
    PositionsReserved,
    PositionState,
    PositionsVacated,
    ReservationEnded,
    ReservationHeld,
    SamplePosition,
    StorageCapacity,
    TransferHeld,
    ZoneCapacity,
)
from contracts.types import ContainerId, LocationId, SampleId, SubmissionId, Zone
from services.storage.domain.grid import reading_order
from services.storage.domain.naming import natural_order


@dataclass(slots=True)
class BoxRecord:
    """One box: how much room it has."""

    container_id: ContainerId
    path: str
    zone: Zone
    location_id: LocationId
    within: frozenset[ContainerId]
    """Itself, its rack and its freezer."""
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
        self._within: dict[ContainerId, frozenset[ContainerId]] = {}
        self._placements: dict[SampleId, Placement] = {}
        """Where a sample rests; where it is to come, if it rests nowhere yet."""
        self._arriving: dict[SampleId, dict[SubmissionId, Placement]] = {}
        """Where samples that rest somewhere are to be carried."""
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
            case ContainerAdded():
                self._add(event)
            case ReservationHeld() | TransferHeld():
                self._held[event.submission_id] = event.expires_at
            case ReservationEnded():
                self._held.pop(event.submission_id, None)
            case _:
                self._fold_positions(event)

    def _fold_positions(self, event: Event) -> None:
        match event:
            case PositionsReserved():
                self._reserve(event)
            case PositionsConfirmed():
                for sample in event.samples:
                    self._arrive(event.submission_id, sample.sample_id)
            case PositionsVacated():
                for sample in event.samples:
                    self._leave(sample)
            case PositionsReleased():
                self._release(event)
            case _:
                pass  # The rest of the log is of no concern here.

    def _add(self, added: ContainerAdded) -> None:
        above = self._within[added.parent_id] if added.parent_id else frozenset[ContainerId]()
        self._within[added.container_id] = above | {added.container_id}
        if added.kind is not ContainerKind.BOX:
            return
        self._boxes[added.container_id] = BoxRecord(
            container_id=added.container_id,
            path=added.path,
            zone=added.zone,
            location_id=added.location_id,
            within=self._within[added.container_id],
            positions=added.capacity,
            order=natural_order(added.path),
        )

    def _reserve(self, reserved: PositionsReserved) -> None:
        taken = self._boxes[reserved.container_id].taken
        samples = self._samples.setdefault(reserved.submission_id, {})
        for held in reserved.positions:
            taken[held.position] = held.sample_id
            samples[held.sample_id] = None
            placement = Placement(
                container_id=reserved.container_id,
                position=held.position,
                submission_id=reserved.submission_id,
                occupied=False,
            )
            if self._placements.setdefault(held.sample_id, placement) is not placement:
                arriving = self._arriving.setdefault(held.sample_id, {})
                arriving[reserved.submission_id] = placement

    def _arrive(self, submission_id: SubmissionId, sample_id: SampleId) -> None:
        """Let a sample rest where it was to come; it may or may not have left its old place yet."""
        placement = self._not_arriving(submission_id, sample_id)
        before = self._placements.get(sample_id)
        if placement is None:
            placement = self._placements[sample_id]
        elif before is not None:
            self._forget(before.submission_id, sample_id)
        placement.occupied = True
        self._placements[sample_id] = placement

    def _leave(self, left: PlacedSample) -> None:
        del self._boxes[left.container_id].taken[left.position]
        placement = self._placements.get(left.sample_id)
        if placement is None:
            return
        if (placement.container_id, placement.position) == (left.container_id, left.position):
            del self._placements[left.sample_id]
            self._forget(placement.submission_id, left.sample_id)

    def _not_arriving(self, submission_id: SubmissionId, sample_id: SampleId) -> Placement | None:
        arriving = self._arriving.get(sample_id, {})
        placement = arriving.pop(submission_id, None)
        if not arriving:
            self._arriving.pop(sample_id, None)
        return placement

    def _forget(self, submission_id: SubmissionId, sample_id: SampleId) -> None:
        samples = self._samples[submission_id]
        del samples[sample_id]
        if not samples:
            del self._samples[submission_id]

    def _release(self, released: PositionsReleased) -> None:
        taken = self._boxes[released.container_id].taken
        for position in released.positions:
            sample_id = taken.pop(position)
            self._forget(released.submission_id, sample_id)
            if self._not_arriving(released.submission_id, sample_id) is None:
                placement = self._placements.get(sample_id)
                if placement is not None and placement.submission_id == released.submission_id:
                    del self._placements[sample_id]

    def boxes_at(self, zone: Zone) -> list[BoxRecord]:
        """List the boxes of a temperature that have room, in the order of their paths."""
        boxes = [box for box in self._boxes.values() if box.zone is zone and box.free > 0]
        return sorted(boxes, key=lambda box: (box.order, box.container_id))

    def boxes_within(self, container_id: ContainerId) -> list[BoxRecord]:
        """List the boxes of a container, itself where it is one, in the order of their paths."""
        boxes = [box for box in self._boxes.values() if container_id in box.within]
        return sorted(boxes, key=lambda box: (box.order, box.container_id))

    def resting_in(
        self, place: ContainerId | LocationId, zone: Zone | None
    ) -> Iterator[tuple[BoxRecord, list[SampleId]]]:
        """List the samples that rest in a container or location, box by box."""
        for box in sorted(self._boxes.values(), key=lambda one: (one.order, one.container_id)):
            if (place in box.within or place == box.location_id) and zone in {None, box.zone}:
                labels = sorted(box.taken, key=reading_order)
                resting = [box.taken[label] for label in labels if self._rests(box, label)]
                if resting:
                    yield box, resting

    def _rests(self, box: BoxRecord, label: str) -> bool:
        placement = self._placements.get(box.taken[label])
        return (
            placement is not None
            and placement.occupied
            and (placement.container_id, placement.position) == (box.container_id, label)
        )

    def resting_place(self, sample_id: SampleId) -> Place | None:
        """Say where a sample rests; None where it rests nowhere."""
        placement = self._placements.get(sample_id)
        return self._place(placement) if placement is not None and placement.occupied else None

    def coming_place(self, submission_id: SubmissionId, sample_id: SampleId) -> Place | None:
        """Say where a transfer is to carry a sample; None where it carries it nowhere."""
        placement = self._arriving.get(sample_id, {}).get(submission_id)
        return self._place(placement) if placement is not None else None

    def is_awaited(self, sample_id: SampleId) -> bool:
        """Say whether a position is held for a sample, be it for its arrival or its transfer."""
        placement = self._placements.get(sample_id)
        return sample_id in self._arriving or (placement is not None and not placement.occupied)

    def box(self, container_id: ContainerId) -> BoxRecord:
        """Give a box."""
        return self._boxes[container_id]

    def _place(self, placement: Placement) -> Place:
        path = self._boxes[placement.container_id].path
        return Place(container_id=placement.container_id, path=path, position=placement.position)

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
