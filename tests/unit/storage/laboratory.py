"""A laboratory of storage in memory: the pure rules, and a log that keeps what they decide.

All or nothing, as the real log is; races, redelivery and the broker are for integration tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts.aggregate import Decision
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.sample import SampleDetails
from contracts.storage import (
    AddContainer,
    ContainerAdded,
    ContainerKind,
    Handover,
    LocationCreated,
)
from contracts.template import ManifestRow
from contracts.types import (
    ContainerId,
    LocationId,
    SampleId,
    SampleType,
    SubmissionId,
    Zone,
    derive_id,
)
from services.storage.domain.allocation import BoxShare, plan
from services.storage.domain.container import (
    ContainerState,
    decide_add,
    decide_take_in,
    evolve_container,
)
from services.storage.domain.handover import Carry, HandoverState, evolve_handover
from services.storage.domain.inventory import Inventory
from services.storage.domain.location import LocationState, evolve_location
from services.storage.domain.moves import Move, hold
from services.storage.domain.placement import place_freezer, place_within
from services.storage.domain.reservation import ReservationState, evolve_reservation

MORNING = datetime(2026, 11, 3, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROOT = UUID("01970000-0000-7000-8000-000000000000")


def submission(name: object) -> SubmissionId:
    """Give the submission of a name."""
    return SubmissionId(derive_id(ROOT, "submission", name))


def rows_of(of: SubmissionId, zones: Sequence[Zone]) -> list[ManifestRow]:
    """Make one valid row for each zone, with sample ids that only this submission has."""
    return [
        ManifestRow(
            row=number + 2,
            sample_id=SampleId(derive_id(of, number)),
            details=SampleDetails(
                barcode=f"B-{of.hex[-10:]}-{number:05d}",
                name=f"Sample {number}",
                sample_type=SampleType.BLOOD,
                zone=zone,
            ),
        )
        for number, zone in enumerate(zones)
    ]


@dataclass
class Laboratory:
    """States, the inventory, and every entry that led to them."""

    now: datetime = MORNING
    location: LocationState | None = None
    containers: dict[ContainerId, ContainerState] = field(
        default_factory=dict[ContainerId, ContainerState]
    )
    reservations: dict[SubmissionId, ReservationState] = field(
        default_factory=dict[SubmissionId, ReservationState]
    )
    handovers: dict[SubmissionId, HandoverState] = field(
        default_factory=dict[SubmissionId, HandoverState]
    )
    inventory: Inventory = field(default_factory=Inventory)
    entries: list[Entry] = field(default_factory=list[Entry])

    def __post_init__(self) -> None:
        """Begin with one location."""
        created = LocationCreated(location_id=LocationId(derive_id(ROOT, "room")), name="Room 1")
        self.location = evolve_location(None, created, self.record([created]))

    def record(self, events: Sequence[Event]) -> Entry:
        """Append one entry, and let the inventory see it."""
        seq = len(self.entries) + 1
        entry = Entry(
            events=tuple(events),
            at=self.now,
            actor="tester",
            cause=f"cause-{seq}",
            correlation="",
            number=seq,
            prev_hash="",
            seq=seq,
        )
        self.entries.append(entry)
        self.inventory.apply(entry)
        return entry

    def _put(self, container_id: ContainerId, events: Sequence[Event]) -> None:
        entry = self.record(events)
        for event in events:
            state = evolve_container(self.containers.get(container_id), event, entry)
            assert state is not None
            self.containers[container_id] = state

    def add(self, command: AddContainer) -> ContainerId | Refusal:
        """Add a container as its handler does."""
        container_id = ContainerId(derive_id(ROOT, "container", len(self.entries)))
        added = self._place(command, container_id)
        if isinstance(added, Refusal):
            return added
        if added.parent_id is not None:
            taken_in = decide_take_in(self.containers[added.parent_id], added)
            if isinstance(taken_in, Refusal):
                return taken_in
            self._put(added.parent_id, taken_in)
        decided = decide_add(None, added)
        assert not isinstance(decided, Refusal)
        self._put(container_id, decided)
        return container_id

    def _place(self, command: AddContainer, container_id: ContainerId) -> ContainerAdded | Refusal:
        if command.kind is ContainerKind.FREEZER:
            return place_freezer(command, container_id, self.location)
        parent = self.containers.get(command.parent_id) if command.parent_id else None
        return place_within(command, container_id, parent)

    def added(self, container_id: ContainerId) -> ContainerAdded:
        """Give the event that added a container."""
        return next(
            event
            for entry in self.entries
            for event in entry.events
            if isinstance(event, ContainerAdded) and event.container_id == container_id
        )

    def must_add(self, command: AddContainer) -> ContainerId:
        """Add a container that fits."""
        added = self.add(command)
        assert not isinstance(added, Refusal), added.detail
        return added

    def rack(self, zone: Zone, *, name: str = "FRZ-1") -> ContainerId:
        """Add a freezer of a temperature with one rack, and give the rack."""
        assert self.location is not None
        freezer = self.must_add(
            AddContainer(
                kind=ContainerKind.FREEZER,
                name=name,
                location_id=self.location.location_id,
                zone=zone,
            )
        )
        return self.must_add(
            AddContainer(kind=ContainerKind.RACK, name="R01", parent_id=freezer, capacity=1_000)
        )

    def box(self, rack: ContainerId, name: str, *, rows: int, columns: int) -> ContainerId:
        """Add a box to a rack."""
        return self.must_add(
            AddContainer(
                kind=ContainerKind.BOX, name=name, parent_id=rack, rows=rows, columns=columns
            )
        )

    def plan(self, of: SubmissionId, rows: Sequence[ManifestRow]) -> list[BoxShare]:
        """Plan rows for which there is room."""
        shares = plan(self.inventory, of, rows)
        assert not isinstance(shares, Refusal), shares.detail
        return shares

    def reserve(self, of: SubmissionId, zones: Sequence[Zone]) -> Refusal | None:
        """Plan and hold; give what stands in the way."""
        shares = plan(self.inventory, of, rows_of(of, zones))
        return (
            shares if isinstance(shares, Refusal) else self.make(hold(of, shares, self.now + HOUR))
        )

    def boxes_of(self, of: SubmissionId) -> tuple[ContainerId, ...]:
        """Give the boxes that a submission's reservation names."""
        reservation = self.reservations.get(of)
        return reservation.boxes if reservation else ()

    def make(self, move: Move) -> Refusal | None:
        """Make a move: every decision takes effect, or none."""
        reserved = move.reservation(self.reservations.get(move.submission_id))
        if isinstance(reserved, Refusal):
            return reserved
        decided: dict[ContainerId, Sequence[Event]] = {}
        for container_id, decide in move.boxes.items():
            decision = decide(self.containers.get(container_id))
            if isinstance(decision, Refusal):
                return decision
            decided[container_id] = decision
        if reserved:
            entry = self.record(reserved)
            for event in reserved:
                state = evolve_reservation(self.reservations.get(move.submission_id), event, entry)
                assert state is not None
                self.reservations[move.submission_id] = state
        for container_id, events in decided.items():
            if events:
                self._put(container_id, events)
        return None

    def carry(self, carry: Carry) -> Refusal | None:
        """Carry: every decision takes effect, or none."""
        key = carry.submission_id
        reserved: Decision = ()
        if carry.reservation is not None:
            reserved = carry.reservation(self.reservations.get(key))
        if isinstance(reserved, Refusal):
            return reserved
        handed = carry.handover(self.handovers.get(key))
        if isinstance(handed, Refusal):
            return handed
        decided: dict[ContainerId, Sequence[Event]] = {}
        for container_id, decide in carry.boxes.items():
            decision = decide(self.containers.get(container_id))
            if isinstance(decision, Refusal):
                return decision
            decided[container_id] = decision
        self._settle(key, reserved, handed)
        for container_id, events in decided.items():
            if events:
                self._put(container_id, events)
        return None

    def _settle(
        self, key: SubmissionId, reserved: Sequence[Event], handed: Sequence[Event]
    ) -> None:
        for event in reserved:
            state = evolve_reservation(self.reservations.get(key), event, self.record([event]))
            assert state is not None
            self.reservations[key] = state
        for event in handed:
            carried = evolve_handover(self.handovers.get(key), event, self.record([event]))
            assert carried is not None
            self.handovers[key] = carried

    def taken_out(self) -> list[Handover]:
        """List what was taken out for good."""
        return [
            one
            for state in self.handovers.values()
            for one in state.handovers
            if one.target is None
        ]
