"""Whatever happens in whatever order, every position is in exactly one state and nothing is lost.

Submissions reserve, confirm, release and expire in any interleaving, also by moves that were made
long before they are carried out, or are carried out twice, as slow and repeated commands are.
"""

from collections import Counter
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from contracts.errors import Refusal
from contracts.storage import NoRoom, PositionState, ReservationLost
from contracts.types import SubmissionId, Zone
from services.storage.domain.allocation import PlanOutdated, plan
from services.storage.domain.container import Slot, container_view, grid_view
from services.storage.domain.inventory import Inventory
from services.storage.domain.moves import Move, confirm, expire, hold, release
from tests.unit.storage.laboratory import HOUR, Laboratory, rows_of, submission

ZONES = (Zone.ULTRA_LOW, Zone.REFRIGERATED)
SHAPES = {Zone.ULTRA_LOW: [(1, 2), (2, 2), (1, 3)], Zone.REFRIGERATED: [(1, 1), (2, 2)]}
SUBMISSIONS = st.integers(0, 5).map(submission)
MANIFESTS = st.lists(st.sampled_from(ZONES), max_size=7)
REASONS = (PlanOutdated, ReservationLost)


class Positions(RuleBasedStateMachine):
    """Five small boxes at two temperatures, six submissions, and a clock."""

    moves: Bundle[Move | None] = Bundle("moves")

    def __init__(self) -> None:
        """Build the laboratory."""
        super().__init__()
        self.laboratory = Laboratory()
        for zone in ZONES:
            rack = self.laboratory.rack(zone, name=f"FRZ-{zone}")
            for number, (rows, columns) in enumerate(SHAPES[zone]):
                self.laboratory.box(rack, f"B{number}", rows=rows, columns=columns)

    @rule(target=moves, of=SUBMISSIONS, zones=MANIFESTS)
    def plan_to_hold(self, of: SubmissionId, zones: list[Zone]) -> Move | None:
        """Plan from the inventory as it is now."""
        shares = plan(self.laboratory.inventory, of, rows_of(of, zones))
        if isinstance(shares, Refusal):
            assert isinstance(shares, NoRoom | PlanOutdated)
            return None
        return hold(of, shares, self.laboratory.now + HOUR)

    @rule(target=moves, of=SUBMISSIONS)
    def plan_to_confirm(self, of: SubmissionId) -> Move:
        """Look up the boxes of a submission as they are now."""
        return confirm(of, self.laboratory.boxes_of(of), self.laboratory.now)

    @rule(target=moves, of=SUBMISSIONS)
    def plan_to_release(self, of: SubmissionId) -> Move:
        """Look up the boxes of a submission as they are now."""
        return release(of, self.laboratory.boxes_of(of))

    @rule(target=moves, of=SUBMISSIONS)
    def plan_to_expire(self, of: SubmissionId) -> Move:
        """Look up the boxes of a submission as they are now."""
        return expire(of, self.laboratory.boxes_of(of), self.laboratory.now)

    @rule(move=moves)
    def carry_out(self, move: Move | None) -> None:
        """Carry a move out, perhaps late or again: all of it, or nothing for a known reason."""
        if move is None:
            return
        before = len(self.laboratory.entries)
        refusal = self.laboratory.make(move)
        if refusal is not None:
            assert isinstance(refusal, REASONS)
            assert len(self.laboratory.entries) == before

    @rule(of=SUBMISSIONS, zones=MANIFESTS)
    def reserve(self, of: SubmissionId, zones: list[Zone]) -> None:
        """Reserve at once; a submission that has none yet gets room where there is enough."""
        free = Counter(
            {zone.zone: zone.free for zone in self.laboratory.inventory.capacity().zones}
        )
        fits = Counter(zones) <= free
        is_new = of not in self.laboratory.reservations

        refusal = self.laboratory.reserve(of, zones)

        if is_new:
            assert fits == (refusal is None)

    @rule(minutes=st.integers(1, 90))
    def wait(self, minutes: int) -> None:
        """Let time pass."""
        self.laboratory.now += timedelta(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        """Let everything overdue expire; afterwards nothing is."""
        now = self.laboratory.now
        for of in self.laboratory.inventory.overdue(now):
            assert self.laboratory.make(expire(of, self.laboratory.boxes_of(of), now)) is None
        assert list(self.laboratory.inventory.overdue(now)) == []

    def slots(self) -> list[Slot]:
        """Give every position that is not free."""
        return [slot for box in self.laboratory.containers.values() for slot in box.slots.values()]

    @invariant()
    def no_sample_has_two_positions(self) -> None:
        """A sample rests in one place."""
        samples = [slot.sample_id for slot in self.slots()]

        assert len(samples) == len(set(samples))

    @invariant()
    def every_box_adds_up(self) -> None:
        """Free, reserved and occupied positions are all there are; used counts the latter two."""
        for box in self.laboratory.containers.values():
            states = Counter(p.state for p in grid_view(box, seq=1).positions)
            used = states[PositionState.RESERVED] + states[PositionState.OCCUPIED]
            assert states.total() == box.rows * box.columns
            if box.rows:
                assert container_view(box, seq=1).used == used == len(box.slots)

    @invariant()
    def positions_and_reservations_agree(self) -> None:
        """A submission has as many positions as its reservation says, occupied once confirmed."""
        counted = Counter((slot.submission_id, slot.occupied) for slot in self.slots())
        expected = Counter(
            {
                (of, reservation.state == "confirmed"): reservation.positions
                for of, reservation in self.laboratory.reservations.items()
            }
        )

        assert +counted == +expected
        for of, reservation in self.laboratory.reservations.items():
            boxes = {
                key
                for key, box in self.laboratory.containers.items()
                if any(slot.submission_id == of for slot in box.slots.values())
            }
            assert boxes == set(reservation.boxes)

    @invariant()
    def the_inventory_agrees_with_the_boxes(self) -> None:
        """What was followed entry by entry is what the boxes hold, and what a new fold gives."""
        inventory = self.laboratory.inventory
        free = sum(zone.free for zone in inventory.capacity().zones)
        positions = sum(zone.positions for zone in inventory.capacity().zones)
        assert positions - free == len(self.slots())
        for key, box in self.laboratory.containers.items():
            for label, slot in box.slots.items():
                found = inventory.find(slot.sample_id)
                assert found is not None
                assert (found.container_id, found.position) == (key, label)
                assert (found.state is PositionState.OCCUPIED) == slot.occupied
        again = Inventory()
        for entry in self.laboratory.entries:
            again.apply(entry)
        assert again.capacity() == inventory.capacity()


TestPositions = Positions.TestCase
TestPositions.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
