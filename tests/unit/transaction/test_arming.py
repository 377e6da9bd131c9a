"""Which timers wait, for how long, and what makes them needless."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from infra.bus.context import Context
from sagas.engine.decision import Timer
from services.transaction.handlers.arming import (
    FAR_SECONDS,
    WAIT_SECONDS,
    WAITING_MAX,
    Armed,
    Later,
)

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
SAGA, OTHER = UUID(int=1), UUID(int=2)
CONTEXT = Context(message_id="m", actor="somebody", correlation="c", now=NOW)


def _armed(name: str, *, saga_id: UUID = SAGA, in_seconds: float = 60) -> Armed:
    return Armed(saga_id, Timer(name=name, due_at=NOW + timedelta(seconds=in_seconds)), CONTEXT)


def test_a_timer_far_away_waits_a_moment_and_is_then_to_be_armed() -> None:
    """It is given out once, after its wait and not before."""
    later, armed = Later(), _armed("first.1")

    assert later.put("first", armed, now_seconds=100)
    assert later.due(100 + WAIT_SECONDS / 2) == []
    assert later.due(100 + WAIT_SECONDS) == [armed]
    assert later.due(100 + 10 * WAIT_SECONDS) == []


def test_a_timer_that_is_near_does_not_wait() -> None:
    """A moment's delay could make it late."""
    assert not Later().put("first", _armed("first.1", in_seconds=FAR_SECONDS / 2), now_seconds=0)


def test_a_near_timer_takes_the_place_of_one_that_waits() -> None:
    """Of one step only the newest timer counts: the older must not be armed over it."""
    later = Later()
    later.put("first", _armed("first.1"), now_seconds=0)

    assert not later.put("first", _armed("first.2", in_seconds=1), now_seconds=0)
    assert later.due() == []


def test_the_newer_timer_of_a_step_replaces_the_older() -> None:
    """And waits its own time."""
    later, newer = Later(), _armed("first.2")
    later.put("first", _armed("first.1"), now_seconds=0)
    later.put("first", newer, now_seconds=WAIT_SECONDS / 2)

    assert later.due(WAIT_SECONDS) == []
    assert later.due(2 * WAIT_SECONDS) == [newer]


def test_a_saga_that_went_on_leaves_only_what_still_counts() -> None:
    """Its own timers are forgotten by name, and another saga's are left alone."""
    later, still, other = Later(), _armed("second.1"), _armed("first.1", saga_id=OTHER)
    later.put("first", _armed("first.1"), now_seconds=0)
    later.put("second", still, now_seconds=0)
    later.put("first", other, now_seconds=0)

    later.keep(SAGA, {"second.1", None})

    assert later.due() == [still, other]


def test_what_could_not_be_armed_waits_again_unless_a_newer_one_has_its_place() -> None:
    """A broker that is away must not bring an old timer back over a new one."""
    later, old, new = Later(), _armed("first.1"), _armed("first.2")
    later.put("first", old, now_seconds=0)
    assert later.due() == [old]

    later.put_back("first", old, now_seconds=0)
    assert later.due() == [old]
    later.put("first", new, now_seconds=0)
    later.put_back("first", old, now_seconds=0)
    assert later.due() == [new]


def test_no_more_timers_wait_than_there_is_room_for() -> None:
    """One more is armed at once."""
    later = Later()
    for number in range(WAITING_MAX):
        assert later.put("first", _armed("first.1", saga_id=UUID(int=number)), now_seconds=0)

    assert not later.put("first", _armed("first.1", saga_id=OTHER), now_seconds=0)
