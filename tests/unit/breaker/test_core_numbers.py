"""What the search beside the oracle does not compare: counters, other numbers put into force, time.

Each fact here was found by a mutant that lived.
"""

from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import FORCED, FULL, OPEN, Core, Outcome, Rejection, State, Token
from infra.breaker.window import TimeWindow

SUCCESS, FAILURE, NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL


def core_of(**values: object) -> Core:
    """Make a core whose jitter is none."""
    config = {"recovery_timeout": 2, "recovery_jitter": 0, **values}
    return Core(CircuitBreakerConfig.model_validate(config), lambda: 0.0)


def begun(core: Core, now: float = 0.0) -> Token:
    """Begin a call that is let in."""
    token = core.admit(now)
    assert not isinstance(token, Rejection)
    return token


def call(core: Core, outcome: Outcome, *, at: float = 0.0, seconds: float = 0.0) -> None:
    """Make one call that ends so."""
    core.done(begun(core, at), outcome, at + seconds)


def test_a_new_core_counts_nothing() -> None:
    """Every number is 0, and it is closed."""
    core = core_of()

    assert core.state is State.CLOSED
    numbers = (core.generation, core.in_flight, core.failures, core.probes, core.successes)
    assert (*numbers, core.trips) == (0, 0, 0, 0, 0, 0)
    assert (core.succeeded, core.failed, core.neutral, core.slow, core.late) == (0, 0, 0, 0, 0)
    assert set(core.rejected.values()) == {0}
    assert core.window(0.0) == (0, 0, 0)


def test_a_rejection_says_what_it_was_given() -> None:
    """A word for machines, a few for people."""
    rejection = Rejection("tired", "is tired")

    assert (rejection.reason, rejection.says) == ("tired", "is tired")


def test_everything_is_counted_more_than_once() -> None:
    """Two of a kind are two: refused, neutral, late."""
    core = core_of(max_concurrent_requests=1)
    first = begun(core)
    assert [core.admit(0.0), core.admit(0.0)] == [FULL, FULL]
    assert core.rejected["full"] == 2
    core.done(first, NEUTRAL, 0.0)
    call(core, NEUTRAL)
    assert core.neutral == 2

    core = core_of(max_concurrent_requests=2)
    under_way = [begun(core), begun(core)]
    core.force_open()
    for token in under_way:
        core.done(token, SUCCESS, 0.0)
    assert core.late == 2


def test_when_to_come_again_depends_on_why_not_now() -> None:
    """Open: the rest of its time, never below 0; by hand: as long as usual; else soon."""
    core = core_of(recovery_timeout=7)
    core.open(10.0)

    assert core.retry_after(OPEN, 16.75) == 0.25
    assert core.retry_after(OPEN, 99.0) == 0.0
    assert core.retry_after(FORCED, 10.0) == 7.0
    assert core.retry_after(FULL, 10.0) == 1.0


def test_an_open_breaker_keeps_to_the_new_numbers() -> None:
    """Told otherwise while open, it tries again when those say so, counted from when it opened."""
    core = core_of(recovery_timeout=100)
    core.open(10.0)
    core.configure(CircuitBreakerConfig(recovery_timeout=5, recovery_jitter=0))

    assert core.retry_after(OPEN, 12.0) == 3.0
    assert core.admit(14.9) is OPEN
    assert not isinstance(core.admit(15.0), Rejection)


def test_a_window_survives_other_numbers_of_the_same_shape() -> None:
    """Another size or kind begins empty; anything else leaves what was seen."""
    for kind, size, other in (
        ("count", "window_calls", "window_seconds"),
        ("time", "window_seconds", "window_calls"),
    ):
        values = {"failure_rate": 1.0, "minimum_calls": 2, "window": kind}
        core = core_of(**values)
        call(core, FAILURE)
        call(core, SUCCESS)

        for same in ({"minimum_calls": 3}, {other: 50}, {"failure_threshold": 9}):
            core.configure(CircuitBreakerConfig.model_validate({**values, **same}))
            assert core.window(0.0) == (2, 1, 0)
        core.configure(CircuitBreakerConfig.model_validate({**values, size: 50}))
        assert core.window(0.0) == (0, 0, 0)
        call(core, SUCCESS)
        core.configure(CircuitBreakerConfig())
        assert core.window(0.0) == (0, 0, 0)


def test_a_window_of_time_forgets_also_when_it_is_only_looked_at() -> None:
    """Calls leave it after its seconds, and are judged by their own time."""
    core = core_of(
        failure_threshold=None,
        failure_rate=0.5,
        minimum_calls=2,
        window="time",
        window_seconds=20,
    )
    call(core, FAILURE, at=100.5)
    assert core.window(119.0) == (1, 1, 0)
    assert core.window(121.0) == (0, 0, 0)

    call(core, FAILURE, at=140.0)
    assert core.state is State.CLOSED
    call(core, FAILURE, at=157.0)
    assert core.state.value == "open"


def test_a_slow_call_that_leaves_the_window_is_one_call() -> None:
    """What takes its place makes no further call of it."""
    core = core_of(
        failure_threshold=None,
        slow_call_seconds=1,
        slow_call_rate=1.0,
        window_calls=2,
        minimum_calls=2,
    )
    call(core, SUCCESS, seconds=1)
    call(core, SUCCESS)
    call(core, SUCCESS)

    assert core.window(0.0) == (2, 0, 0)
    assert core.slow == 1


def test_a_rate_is_too_high_from_its_value_on() -> None:
    """Half of the calls slow is too many where half is the bound; the same for failures."""
    slow = core_of(failure_threshold=None, slow_call_seconds=1, slow_call_rate=0.5, minimum_calls=2)
    failed = core_of(failure_threshold=None, failure_rate=0.5, minimum_calls=2)
    call(slow, SUCCESS, seconds=1)
    call(failed, FAILURE)
    assert (slow.state, failed.state) == (State.CLOSED, State.CLOSED)
    call(slow, SUCCESS)
    call(failed, SUCCESS)

    assert (slow.state, failed.state) == (State.OPEN, State.OPEN)


def test_when_a_call_ended_matters_where_rates_are_judged() -> None:
    """Whoever calls spares itself the time where nothing is measured."""
    assert core_of(failure_rate=0.5).measures
    assert core_of(slow_call_seconds=1, slow_call_rate=0.5).measures
    assert not core_of().measures


def test_calls_of_one_slot_leave_the_window_together() -> None:
    """Several of a kind in one slot are counted, and forgotten, each."""
    window = TimeWindow(20)
    for number, mark in enumerate((1, 3, 3, 5, 5, 7)):
        window.add(mark, 40 + number / 4)
    assert (window.calls, window.failures, window.slow) == (6, 3, 3)
    window.forget(59.9)
    assert (window.calls, window.failures, window.slow) == (6, 3, 3)
    window.forget(60.0)
    assert (window.calls, window.failures, window.slow) == (0, 0, 0)
