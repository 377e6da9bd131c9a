"""Advice of other instances: what a breaker makes of it, and that it harms nobody."""

from collections.abc import Callable, Hashable

import pytest

from infra.breaker import Advice, BreakerRegistry, CircuitBreakerConfig, State
from infra.breaker.advice import PEERS_MAX, Peers
from infra.breaker.core import OPEN, Core, Outcome, Rejection, Token

SUCCESS, FAILURE, NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL
OPENED, TRIES, CLOSED = State.OPEN, State.HALF_OPEN, State.CLOSED


class Heard:
    """A core on a clock that starts at 100 s, and those who advise it."""

    def __init__(self, *draws: float, **values: object) -> None:
        """Take the numbers of the breaker, and what chance draws, 0 after that."""
        numbers = {"recovery_timeout": 10, "recovery_jitter": 0, **values}
        self.config = CircuitBreakerConfig.model_validate(numbers)
        self.draws = list(draws)
        self.core = Core(self.config, lambda: self.draws.pop(0) if self.draws else 0.0)
        self.peers = Peers()
        self.now = 100.0

    def hear(
        self, state: State, *, peer: Hashable = "a", seconds: float = 5.0, age: float = 0.0
    ) -> None:
        """Hear what a peer says."""
        advice = Advice(peer, "store", state, seconds, age)
        self.peers.hear(advice, self.core, self.config, self.now)

    def begun(self) -> Token:
        """Begin a call that is let in."""
        token = self.core.admit(self.now)
        assert not isinstance(token, Rejection)
        return token

    def call(self, outcome: Outcome) -> State:
        """Make a call that ends so; gives the state behind it."""
        self.core.done(self.begun(), outcome, self.now)
        return self.core.state

    def fail_twice(self) -> State:
        """Make two calls that fail; gives the state behind them."""
        self.call(FAILURE)
        return self.call(FAILURE)

    def waits(self) -> float:
        """Give how long the open breaker stays so."""
        return self.core.retry_after(OPEN, self.now)


def test_advice_alone_opens_nothing() -> None:
    """A peer's outage closes no way that works."""
    heard = Heard()
    heard.hear(OPENED)

    assert heard.core.state is State.CLOSED
    assert heard.call(SUCCESS) is State.CLOSED
    assert heard.call(NEUTRAL) is State.CLOSED
    assert not heard.core.advised


def test_two_failures_of_its_own_open_who_was_advised() -> None:
    """In a row: one is chance. That it opened on advice is seen until it is closed."""
    heard = Heard()
    heard.hear(OPENED)
    for outcome in (FAILURE, SUCCESS, FAILURE, NEUTRAL):
        assert heard.call(outcome) is State.CLOSED

    assert heard.call(FAILURE) is State.OPEN
    assert heard.core.advised
    assert heard.waits() == 10.0
    assert heard.core.trips == 1
    heard.core.reset()
    assert heard.core.advised is False


def test_who_saw_it_itself_did_not_open_on_advice() -> None:
    """Its own threshold was reached, or its own rate."""
    for values in ({"failure_threshold": 1}, {"failure_rate": 1.0, "minimum_calls": 1}):
        heard = Heard(**values)
        heard.hear(OPENED)

        assert heard.call(FAILURE) is State.OPEN
        assert not heard.core.advised


def test_advice_runs_out() -> None:
    """At the end of the opener's time, from when it said so, and of the breaker's own at most."""
    for seconds, age, limits, lasts in (
        (5.0, 0.0, {}, 5.0),
        (5.0, 2.0, {}, 3.0),
        (5.0, -3_600.0, {}, 5.0),
        (86_400.0, 0.0, {"recovery_timeout_max": 60}, 60.0),
        (86_400.0, 0.0, {"recovery_timeout": 90, "recovery_timeout_max": 60}, 90.0),
    ):
        for within, state in ((-0.25, State.OPEN), (0.0, State.CLOSED)):
            heard = Heard(**limits)
            heard.hear(OPENED, seconds=seconds, age=age)
            heard.now += lasts + within
            assert heard.fail_twice() is state


def test_old_advice_is_no_advice() -> None:
    """What ran out on its way neither counts nor makes careful."""
    heard = Heard(open_at_peers=1)
    heard.hear(OPENED, age=5.0)

    assert heard.peers.count(heard.now) == 0
    assert heard.fail_twice() is State.CLOSED


def test_care_lasts_as_long_as_anybody_advises_it() -> None:
    """The longest advice counts, and who is answered again takes its own back."""
    heard = Heard()
    heard.hear(OPENED, peer="a", seconds=8.0)
    heard.hear(OPENED, peer="b", seconds=2.0)
    assert heard.peers.count(heard.now) == 2
    heard.now += 1.75
    assert heard.peers.count(heard.now) == 2
    heard.now += 0.25
    assert heard.peers.count(heard.now) == 1
    heard.hear(CLOSED, peer="b")
    assert heard.fail_twice() is State.OPEN

    heard.core.reset()
    heard.hear(OPENED, peer="a", seconds=8.0)
    heard.hear(CLOSED, peer="a")
    assert heard.peers.count(heard.now) == 0
    assert heard.fail_twice() is State.CLOSED


def test_own_answers_end_care() -> None:
    """Who was answered while half-open, or is reset by hand, knows better than older advice."""
    heard = Heard(success_threshold=1)
    heard.hear(OPENED, seconds=300.0)
    assert heard.fail_twice() is State.OPEN
    heard.now += 10

    assert heard.call(SUCCESS) is State.CLOSED
    assert heard.fail_twice() is State.CLOSED


def test_enough_peers_open_it_at_once_where_that_is_configured() -> None:
    """Each counts once; without the number, none of them is enough."""
    for number, expected in ((None, State.CLOSED), (2, State.OPEN), (3, State.CLOSED)):
        heard = Heard(open_at_peers=number)
        for peer in ("a", "a", "b"):
            heard.hear(OPENED, peer=peer)

        assert heard.core.state is expected
        assert heard.core.advised is (expected is State.OPEN)


@pytest.mark.parametrize("state", [State.HALF_OPEN, State.FORCED_OPEN, State.OPEN])
def test_peers_open_only_what_is_closed(state: State) -> None:
    """A trial goes on, a hand's order stands, an outage is not counted twice."""
    heard = Heard(open_at_peers=1)
    turns: dict[State, Callable[[], None]] = {
        State.HALF_OPEN: heard.core.half_open,
        State.FORCED_OPEN: heard.core.force_open,
        State.OPEN: lambda: heard.core.open(100.0),
    }
    turns[state]()
    trips = heard.core.trips
    heard.now += 1
    heard.hear(OPENED)

    assert (heard.core.state, heard.core.trips) == (state, trips)
    assert not heard.core.advised


def test_a_trial_is_left_to_who_began_one() -> None:
    """For one recovery time from then, shortened at random so that another may be next."""
    heard = Heard(0.0, 1.0, recovery_jitter=0.1)
    heard.core.open(100.0)
    heard.now += 9
    heard.hear(TRIES, age=1.0)

    assert heard.waits() == 8.0
    assert heard.core.admit(heard.now + 7.75) is OPEN
    assert not isinstance(heard.core.admit(heard.now + 8), Rejection)


def test_a_trial_elsewhere_never_hastens() -> None:
    """Who is to wait longer waits on: back-off stays what it is."""
    heard = Heard(backoff_factor=10.0)
    heard.core.open(100.0)
    heard.core.open(100.0)
    heard.hear(TRIES)

    assert heard.waits() == 100.0


def test_a_trial_is_not_left_to_others_for_ever() -> None:
    """Who alone could be answered tries within the time that back-off may come to."""
    for most, waits in ((25, 25.0), (3, 10.0)):
        heard = Heard(recovery_timeout_max=most)
        heard.core.open(100.0)
        for _ in range(9):
            heard.now += 9
            heard.hear(TRIES)
        heard.now = 100.0

        assert heard.waits() == waits


def test_who_hears_that_another_is_answered_tries_soon() -> None:
    """Within a second, at random, so that not all do at once."""
    heard = Heard(0.0, 0.75)
    heard.core.open(100.0)
    heard.hear(CLOSED)
    assert heard.waits() == 0.75

    heard = Heard(0.0, 0.75, recovery_timeout=0.5)
    heard.core.open(100.0)
    heard.hear(CLOSED)
    assert heard.waits() == 0.5


def test_it_tries_soon_only_once_before_it_is_closed() -> None:
    """Others may be answered and this one not: it keeps to its own times then."""
    heard = Heard(success_threshold=1)
    heard.hear(CLOSED)
    heard.core.open(100.0)
    heard.hear(CLOSED)
    assert heard.waits() == 0.0
    assert heard.call(FAILURE) is State.OPEN
    heard.hear(CLOSED)
    assert heard.waits() == 10.0

    heard.now += 10
    assert heard.call(SUCCESS) is State.CLOSED
    heard.core.open(heard.now)
    heard.hear(CLOSED)
    assert heard.waits() == 0.0


def test_who_is_to_try_soon_is_not_put_off() -> None:
    """When somebody is answered all may try; where that trial fails, others are left theirs."""
    heard = Heard()
    heard.core.open(100.0)
    heard.hear(CLOSED)
    heard.hear(TRIES)
    assert heard.waits() == 0.0

    assert heard.call(FAILURE) is State.OPEN
    heard.now += 4
    heard.hear(TRIES)
    assert heard.waits() == 10.0


def test_what_is_doubled_changes_nothing_more() -> None:
    """Any advice may arrive twice."""
    for state in (OPENED, TRIES, CLOSED):
        once, twice = Heard(), Heard()
        for heard, times in ((once, 1), (twice, 2)):
            heard.core.open(100.0)
            for _ in range(times):
                heard.hear(state, age=1.0)

        assert twice.waits() == once.waits()
        assert twice.peers.count(100.0) == once.peers.count(100.0)
        assert twice.core.state is once.core.state


def test_no_crowd_fills_the_memory() -> None:
    """Beyond a number no other peer is heard, until advice runs out; who is known is."""
    heard = Heard()
    for number in range(PEERS_MAX + 1):
        heard.hear(OPENED, peer=number)
    heard.hear(OPENED, peer=0, seconds=9.0)
    assert heard.peers.count(heard.now) == PEERS_MAX
    heard.now += 8

    assert heard.peers.count(heard.now) == 1
    heard.hear(OPENED, peer="new")
    assert heard.peers.count(heard.now) == 2


def advice(breaker: str = "store", state: State = OPENED, peer: str = "a") -> Advice:
    """Make advice as it comes from outside."""
    return Advice(peer, breaker, state, 5.0, 0.0)


def test_a_registry_passes_advice_on_by_name() -> None:
    """Nobody makes a breaker by speaking of it, and what is switched off hears nothing."""
    registry = BreakerRegistry("sample")
    store = registry.get("store", CircuitBreakerConfig(open_at_peers=1))
    other = registry.get("other")
    told = list[State]()
    registry.watch(lambda change: told.append(change.new))

    registry.hear(advice("nobody"))
    registry.switch(enabled=False)
    registry.hear(advice())
    registry.switch(enabled=True)
    assert (store.breaker_state, len(registry.snapshot())) == (State.CLOSED, 2)
    registry.hear(advice())

    assert (store.breaker_state, other.breaker_state) == (State.OPEN, State.CLOSED)
    assert (store.advised, other.advised) == (True, False)
    assert told == [State.OPEN]
    seen = {one.name: (one.advised, one.advised_by) for one in registry.snapshot()}
    assert seen == {"store": (True, 1), "other": (False, 0)}
