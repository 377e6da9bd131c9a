"""Whatever is carried in whatever order, every tube rests in one place, and boxes say where.

Transfers are held, moved, released and overtaken, tubes taken out, also by plans that are made long
before they are carried out.
"""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from contracts.errors import Refusal
from contracts.storage import (
    MoveSamples,
    RemoveSamples,
    ReservationLost,
    SamplesUnplaced,
    TargetFull,
    TransferMade,
)
from contracts.template import ManifestRow
from contracts.types import ContainerId, SampleId, SampleType, SubmissionId, Zone
from services.storage.domain.allocation import PlanOutdated
from services.storage.domain.handover import Carry, move, remove
from services.storage.domain.inventory import Inventory
from services.storage.domain.moves import Move, confirm, hold_transfer, release
from services.storage.domain.transfer import (
    ALLOWED_CELSIUS,
    may_lie,
    plan_transfer,
    refuse_temperature,
    to_move,
    to_remove,
)
from tests.unit.storage.laboratory import HOUR, Laboratory, rows_of, submission

COLD = Zone.FROZEN
TUBES = rows_of(submission("intake"), [COLD] * 4)
TRANSFERS = st.integers(0, 1).map(submission)
SOME = st.lists(st.sampled_from(TUBES), min_size=1, max_size=3, unique_by=lambda r: r.sample_id)
REASONS = (PlanOutdated, ReservationLost, TransferMade)


class Carrying(RuleBasedStateMachine):
    """Three small boxes, four tubes, two transfers planned slowly, and any number done at once."""

    moves: Bundle[Move | Carry | None] = Bundle("moves")
    begun: Bundle[SubmissionId] = Bundle("begun")

    def __init__(self) -> None:
        """Store the tubes."""
        super().__init__()
        self.laboratory = Laboratory()
        rack = self.laboratory.rack(COLD)
        self.boxes = [
            self.laboratory.box(rack, f"B{n}", rows=1, columns=size)
            for n, size in enumerate((4, 3, 2))
        ]
        self.begun_so_far = 0

    @initialize()
    def store(self) -> None:
        """Let every tube rest in the first box."""
        of = submission("intake")
        assert self.laboratory.reserve(of, [COLD] * len(TUBES)) is None
        boxes = self.laboratory.boxes_of(of)
        assert self.laboratory.make(confirm(of, boxes, self.laboratory.now)) is None

    @rule(target=moves, of=TRANSFERS, rows=SOME, number=st.integers(0, 2))
    def plan_to_hold(self, of: SubmissionId, rows: list[ManifestRow], number: int) -> Move | None:
        """Plan from the inventory as it is now."""
        target = self.laboratory.containers[self.boxes[number]]
        shares = plan_transfer(self.laboratory.inventory, target, of, rows, allow_colder=False)
        if isinstance(shares, Refusal):
            assert isinstance(shares, SamplesUnplaced | TargetFull | PlanOutdated)
            return None
        return hold_transfer(of, target.container_id, shares, self.laboratory.now + HOUR)

    @rule(target=moves, of=TRANSFERS)
    def plan_to_move(self, of: SubmissionId) -> Carry | None:
        """Look up where things lie now."""
        return self.to_finish(of) if of in self.laboratory.reservations else None

    def to_finish(self, of: SubmissionId) -> Carry | None:
        """Plan a move from the inventory as it is now."""
        handovers = to_move(self.laboratory.inventory, of)
        if isinstance(handovers, Refusal):
            return None
        command = MoveSamples(submission_id=of, reason="serviced")
        boxes = self.laboratory.boxes_of(of)
        return move(command, handovers, boxes, self.laboratory.now)

    @rule(target=moves, of=TRANSFERS)
    def plan_to_release(self, of: SubmissionId) -> Move:
        """Look up the boxes of a transfer."""
        return release(of, self.laboratory.boxes_of(of))

    @rule(target=moves, row=st.sampled_from(TUBES))
    def plan_to_remove(self, row: ManifestRow) -> Carry | None:
        """Look up where a tube rests."""
        handovers = to_remove(self.laboratory.inventory, [row.sample_id])
        if isinstance(handovers, Refusal):
            return None
        of = submission(("out", row.sample_id))
        command = RemoveSamples(submission_id=of, sample_ids=[row.sample_id], reason="disposal")
        return remove(command, handovers)

    @rule(target=begun, rows=SOME, number=st.integers(0, 2))
    def begin(self, rows: list[ManifestRow], number: int) -> SubmissionId:
        """Begin a new transfer at once, where it fits."""
        self.begun_so_far += 1
        of = submission(("begun", self.begun_so_far))
        self.carry_out(self.plan_to_hold(of, rows, number))
        return of

    @rule(target=moves, of=begun)
    def plan_to_finish(self, of: SubmissionId) -> Carry | None:
        """Look up where the things of a transfer that was begun lie now."""
        return self.to_finish(of)

    @rule(of=begun)
    def finish(self, of: SubmissionId) -> None:
        """Carry what was begun at once: where it is held and nothing was taken out, it arrives."""
        reservation = self.laboratory.reservations.get(of)
        self.carry_out(self.to_finish(of))
        if reservation is not None and reservation.state == "held":
            lost = self.laboratory.reservations[of].state == "held"
            assert lost == isinstance(to_move(self.laboratory.inventory, of), Refusal)

    @rule(of=begun)
    def give_up(self, of: SubmissionId) -> None:
        """Release what was begun, unless it was carried."""
        self.carry_out(self.plan_to_release(of))

    @rule(move=moves)
    def carry_out(self, move: Move | Carry | None) -> None:
        """Carry it out, perhaps late or again: all of it, or nothing for a known reason."""
        if move is None:
            return
        before = len(self.laboratory.entries)
        if isinstance(move, Carry):
            done = self.laboratory.carry(move)
        else:
            done = self.laboratory.make(move)
        if done is not None:
            assert isinstance(done, REASONS)
            assert len(self.laboratory.entries) == before

    def resting(self) -> dict[SampleId, list[tuple[ContainerId, str]]]:
        """Give where each tube rests, as the boxes say."""
        places: dict[SampleId, list[tuple[ContainerId, str]]] = {}
        for key, box in self.laboratory.containers.items():
            for label, slot in box.slots.items():
                if slot.occupied:
                    places.setdefault(slot.sample_id, []).append((key, label))
        return places

    @invariant()
    def every_tube_rests_in_one_place_or_was_taken_out(self) -> None:
        """None is lost by a transfer, none is in two places."""
        if not self.laboratory.reservations:
            return
        places = self.resting()
        assert all(len(where) == 1 for where in places.values())
        out = {one.sample_id for one in self.laboratory.taken_out()}
        assert set(places) | out == {row.sample_id for row in TUBES}
        assert set(places) & out == set()

    @invariant()
    def the_inventory_says_what_the_boxes_say(self) -> None:
        """Followed entry by entry, or folded anew."""
        again = Inventory()
        for entry in self.laboratory.entries:
            again.apply(entry)
        places = self.resting()
        for inventory in (self.laboratory.inventory, again):
            for row in TUBES:
                place = inventory.resting_place(row.sample_id)
                found = [(place.container_id, place.position)] if place else []
                assert found == places.get(row.sample_id, [])
            used = sum(len(box.slots) for box in self.laboratory.containers.values())
            zones = inventory.capacity().zones
            assert sum(zone.positions - zone.free for zone in zones) == used
            listed = [
                one
                for box in self.boxes
                for _, found in inventory.resting_in(box, None)
                for one in found
            ]
            assert sorted(listed) == sorted(places)


TestCarrying = Carrying.TestCase
TestCarrying.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("zone", list(Zone))
@pytest.mark.parametrize("needed", list(Zone))
def test_only_frozen_material_may_lie_colder_than_it_needs(needed: Zone, zone: Zone) -> None:
    """Where it is allowed; cells never, and warmer never."""
    (row,) = rows_of(submission(1), [needed])
    cells = row.model_copy(
        update={"details": row.details.model_copy(update={"sample_type": SampleType.CELL_CULTURE})}
    )

    assert may_lie(row, zone, allow_colder=False) == (needed is zone)
    colder = needed is Zone.FROZEN and zone is Zone.ULTRA_LOW
    assert may_lie(row, zone, allow_colder=True) == (needed is zone or colder)
    assert may_lie(cells, zone, allow_colder=True) == (needed is zone)


@pytest.mark.parametrize("zone", list(Zone))
def test_a_place_is_refused_just_outside_what_its_zone_allows(zone: Zone) -> None:
    """The bounds themselves are allowed, and nothing read is nothing to refuse."""
    lowest, highest = ALLOWED_CELSIUS[zone]
    for fine in (None, lowest, highest):
        assert refuse_temperature("Room 1", zone, fine) is None
    for off in (lowest - Decimal("0.1"), highest + Decimal("0.1")):
        assert refuse_temperature("Room 1", zone, off) is not None
