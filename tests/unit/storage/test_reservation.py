"""What a submission may do with the positions that it holds, and when it is too late."""

from datetime import timedelta

import pytest

from contracts.errors import Refusal
from contracts.storage import (
    PositionsReleased,
    PositionState,
    ReservationLost,
    ReservationOver,
    ReservationView,
    ZoneCapacity,
)
from contracts.types import SampleId, Zone
from services.storage.domain.allocation import PlanOutdated
from services.storage.domain.container import grid_view
from services.storage.domain.inventory import Inventory
from services.storage.domain.moves import confirm, expire, hold, release
from services.storage.domain.reservation import answer_again
from tests.unit.storage.laboratory import HOUR, Laboratory, rows_of, submission

COLD = Zone.ULTRA_LOW
ONE, TWO = submission(1), submission(2)
SECOND = timedelta(seconds=1)


@pytest.fixture
def laboratory() -> Laboratory:
    """Give a laboratory with two boxes of two positions, of which submission 1 holds three."""
    laboratory = Laboratory()
    rack = laboratory.rack(COLD)
    laboratory.box(rack, "B01", rows=1, columns=2)
    laboratory.box(rack, "B02", rows=1, columns=2)
    assert laboratory.reserve(ONE, [COLD] * 3) is None
    return laboratory


def states(laboratory: Laboratory) -> list[str]:
    """Give the state of every position, box by box."""
    return [
        position.state
        for container in laboratory.containers.values()
        for position in grid_view(container, seq=1).positions
    ]


def free(laboratory: Laboratory) -> int:
    """Count the free positions that the inventory knows."""
    return sum(zone.free for zone in laboratory.inventory.capacity().zones)


def confirm_now(laboratory: Laboratory) -> Refusal | None:
    """Confirm submission 1 as its handler does."""
    return laboratory.make(confirm(ONE, laboratory.boxes_of(ONE), laboratory.now))


def release_now(laboratory: Laboratory) -> Refusal | None:
    """Release submission 1 as its handler does."""
    return laboratory.make(release(ONE, laboratory.boxes_of(ONE)))


def expire_now(laboratory: Laboratory) -> Refusal | None:
    """Let submission 1 expire as the sweeper does."""
    return laboratory.make(expire(ONE, laboratory.boxes_of(ONE), laboratory.now))


def test_held_positions_are_reserved_until_they_are_confirmed(laboratory: Laboratory) -> None:
    """Confirming turns every reserved position into an occupied one and ends the hold."""
    assert states(laboratory) == ["reserved", "reserved", "reserved", "free"]

    assert confirm_now(laboratory) is None

    assert states(laboratory) == ["occupied", "occupied", "occupied", "free"]
    assert laboratory.reservations[ONE].expires_at is None
    assert list(laboratory.inventory.overdue(laboratory.now + HOUR)) == []


def test_confirming_twice_changes_nothing_more(laboratory: Laboratory) -> None:
    """The same command again finds its work done."""
    confirm_now(laboratory)
    before = len(laboratory.entries)

    assert confirm_now(laboratory) is None
    assert len(laboratory.entries) == before


def test_confirming_what_was_never_reserved_is_refused() -> None:
    """There is nothing to confirm."""
    assert Laboratory().make(confirm(TWO, (), HOUR + Laboratory().now)) == ReservationLost(
        submission_id=TWO, state="unknown"
    )


def test_a_hold_can_be_confirmed_up_to_its_last_moment_and_not_after(
    laboratory: Laboratory,
) -> None:
    """At `expires_at` it is too late, even before the sweeper came."""
    laboratory.now += HOUR
    assert confirm_now(laboratory) == ReservationLost(submission_id=ONE, state="expired")

    laboratory.now -= SECOND
    assert confirm_now(laboratory) is None


def test_releasing_leaves_nothing_behind(laboratory: Laboratory) -> None:
    """Every position is free, the inventory forgets the samples, the room is given anew."""
    assert release_now(laboratory) is None

    assert states(laboratory) == ["free"] * 4
    assert free(laboratory) == 4
    assert laboratory.inventory.samples_of(ONE) == []
    assert laboratory.inventory.find(rows_of(ONE, [COLD])[0].sample_id) is None
    assert laboratory.reservations[ONE].positions == 0
    assert laboratory.reserve(TWO, [COLD] * 4) is None


def test_a_confirmed_reservation_is_released_too(laboratory: Laboratory) -> None:
    """A saga whose confirm had no known outcome undoes it, whatever the outcome was."""
    confirm_now(laboratory)

    assert release_now(laboratory) is None
    assert states(laboratory) == ["free"] * 4
    assert confirm_now(laboratory) == ReservationLost(submission_id=ONE, state="released")


def test_releasing_nothing_is_fine_and_a_later_reserve_is_refused(
    laboratory: Laboratory,
) -> None:
    """A duplicate of reserve that arrives after the release cannot hold anything."""
    planned = laboratory.plan(TWO, rows_of(TWO, [COLD]))
    assert laboratory.make(release(TWO, ())) is None

    late = laboratory.make(hold(TWO, planned, laboratory.now + HOUR))

    assert late == PlanOutdated(submission_id=TWO)
    again = answer_again(laboratory.reservations[TWO])
    assert again == ReservationOver(submission_id=TWO, state="released")
    assert free(laboratory) == 1


def test_releasing_twice_changes_nothing_more(laboratory: Laboratory) -> None:
    """The same command again finds its work done."""
    release_now(laboratory)
    before = len(laboratory.entries)

    assert release_now(laboratory) is None
    assert len(laboratory.entries) == before


def test_a_submission_reserves_once(laboratory: Laboratory) -> None:
    """A repeated reserve is answered with what is held, and takes nothing more."""
    planned = laboratory.plan(TWO, rows_of(TWO, [COLD]))
    second = laboratory.make(hold(ONE, planned, laboratory.now + HOUR))

    assert second == PlanOutdated(submission_id=ONE)
    answer = answer_again(laboratory.reservations[ONE])
    assert isinstance(answer, ReservationView)
    assert (answer.state, answer.positions, len(answer.boxes)) == ("held", 3, 2)
    assert free(laboratory) == 1


def test_an_outdated_plan_holds_nothing_at_all(laboratory: Laboratory) -> None:
    """Where one of the boxes lacks the room that was planned, no other box is touched either."""
    assert release_now(laboratory) is None
    planned = laboratory.plan(TWO, rows_of(TWO, [COLD] * 4))
    assert laboratory.reserve(submission(3), [COLD] * 1) is None

    refusal = laboratory.make(hold(TWO, planned, laboratory.now + HOUR))

    assert refusal == PlanOutdated(submission_id=TWO)
    assert states(laboratory) == ["reserved", "free", "free", "free"]
    assert TWO not in laboratory.reservations


def test_a_release_made_before_the_reserve_was_seen_is_made_again(
    laboratory: Laboratory,
) -> None:
    """A release that does not know the boxes yet must not end the reservation without them."""
    assert laboratory.make(release(ONE, ())) == PlanOutdated(submission_id=ONE)
    assert laboratory.reservations[ONE].state == "held"


def test_an_overdue_hold_expires_and_says_why(laboratory: Laboratory) -> None:
    """The positions are free again and the event names the reason."""
    laboratory.now += HOUR
    assert list(laboratory.inventory.overdue(laboratory.now)) == [ONE]

    assert expire_now(laboratory) is None

    released = [
        event
        for entry in laboratory.entries
        for event in entry.events
        if isinstance(event, PositionsReleased)
    ]
    assert {event.reason for event in released} == {"expired"}
    assert free(laboratory) == 4
    assert answer_again(laboratory.reservations[ONE]) == ReservationOver(
        submission_id=ONE, state="expired"
    )
    assert confirm_now(laboratory) == ReservationLost(submission_id=ONE, state="expired")
    assert release_now(laboratory) is None
    assert laboratory.reservations[ONE].state == "expired"


def test_expiry_takes_nothing_that_is_in_time_or_confirmed(laboratory: Laboratory) -> None:
    """A sweeper that is early, or loses against a confirm, changes nothing."""
    assert expire_now(laboratory) == PlanOutdated(submission_id=ONE)
    confirm_now(laboratory)
    laboratory.now += 2 * HOUR

    assert expire_now(laboratory) == PlanOutdated(submission_id=ONE)
    assert states(laboratory) == ["occupied", "occupied", "occupied", "free"]


def test_the_inventory_says_where_a_sample_is_and_how_full_a_zone_is(
    laboratory: Laboratory,
) -> None:
    """The third row of the manifest begins the second box."""
    third = rows_of(ONE, [COLD] * 3)[2].sample_id
    confirm_now(laboratory)

    found = laboratory.inventory.find(third)
    assert found is not None
    assert (found.path, found.position) == ("Room 1 > FRZ-1 > R01 > B02", "A01")
    assert found.state is PositionState.OCCUPIED
    assert laboratory.inventory.capacity().zones == [
        ZoneCapacity(zone=COLD, boxes=2, positions=4, free=1)
    ]


def test_the_inventory_sees_an_entry_once(laboratory: Laboratory) -> None:
    """Following again from the beginning gives the same inventory."""
    again = Inventory()
    for entry in [*laboratory.entries, *laboratory.entries]:
        again.apply(entry)

    assert again.capacity() == laboratory.inventory.capacity()
    assert again.head == laboratory.inventory.head
    samples: list[SampleId] = again.samples_of(ONE)
    assert samples == [row.sample_id for row in rows_of(ONE, [COLD] * 3)]
