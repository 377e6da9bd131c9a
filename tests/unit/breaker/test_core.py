# pyright: reportPrivateUsage=false
"""The core beside the oracle: every state that can be reached, and every step from it."""

from collections import deque
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import product

import pytest

from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import OPEN, Core, Outcome, Rejection, State, Token
from infra.breaker.window import CountWindow
from tests.unit.breaker.oracle import Oracle, Rules

BASE = CircuitBreakerConfig(
    recovery_timeout=2, recovery_jitter=0, max_concurrent_requests=2, success_threshold=2
)
CHANCE = 0.5
STATES_MAX = 200_000
COUNTED = ("succeeded", "failed", "neutral", "slow", "late")


def _with(**values: object) -> CircuitBreakerConfig:
    return CircuitBreakerConfig.model_validate({**dict(BASE), **values})


PLAIN = [
    _with(
        failure_threshold=failures,
        success_threshold=successes,
        half_open_max=probes,
        max_concurrent_requests=calls,
    )
    for failures, successes, probes, calls in product((1, 2, 3), (1, 2, 3), (1, 2), (1, 2, 3))
]
WINDOWS = [
    _with(failure_threshold=row, failure_rate=rate, window_calls=size, minimum_calls=least)
    for row, rate, (size, least) in product((None, 2), (0.5, 1.0), ((2, 1), (3, 2), (3, 3), (4, 3)))
]
SLOW = [
    _with(
        failure_threshold=row,
        failure_rate=rate,
        slow_call_seconds=1,
        slow_call_rate=0.6,
        window_calls=2,
        minimum_calls=least,
    )
    for row, rate, least in product((None, 2), (None, 0.6), (1, 2))
]
TIMES = [
    _with(recovery_timeout=0, failure_threshold=2),
    _with(recovery_timeout=1, backoff_factor=2, recovery_timeout_max=4, failure_threshold=1),
    _with(recovery_timeout=4, backoff_factor=2, recovery_timeout_max=1, failure_threshold=1),
    _with(recovery_timeout=4, recovery_jitter=0.5, failure_threshold=2),
]
ADVICE = [
    _with(
        failure_threshold=row,
        failure_rate=None if row else 1.0,
        window_calls=3,
        minimum_calls=3,
        recovery_timeout_max=most,
        recovery_jitter=jitter,
        success_threshold=1,
        max_concurrent_requests=1,
    )
    for row, most, jitter in product((None, 1, 2, 3), (1, 3), (0, 0.5))
]
FAMILIES = {
    "plain": PLAIN,
    "windows": WINDOWS,
    "slow calls": SLOW,
    "times": TIMES,
    "advice": ADVICE,
}


@dataclass(frozen=True)
class Node:
    """Core and oracle after the same history."""

    core: Core
    oracle: Oracle
    tokens: tuple[Token, ...] = ()
    now: float = 0.0


def _copy(core: Core) -> Core:
    copied = Core.__new__(Core)
    for name in Core.__slots__:
        value = getattr(core, name)
        if name == "rejected":
            value = dict(value)
        elif isinstance(value, CountWindow):
            # By hand: `deepcopy` took most of the search's time.
            value = copy(value)
            value._ring = bytearray(value._ring)
        setattr(copied, name, value)
    return copied


class Product:
    """Core and oracle, step by step side by side."""

    def __init__(self, config: CircuitBreakerConfig, *, advised: bool) -> None:
        """Take the numbers of both; without advice nobody says anything."""
        self.config = config
        self.advised = advised
        self.rules = Rules(config, CHANCE)
        growing = config.backoff_factor > 1
        self.trips_max = 4 if growing else 1
        self.age_max = int(config.slow_call_seconds or 0)

    def start(self) -> Node:
        """Begin both."""
        return Node(Core(self.config, lambda: CHANCE), Oracle())

    def steps(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Give everything that can happen next; raises where the two disagree."""
        yield "admit", self._admit(node)
        for index in range(len(node.tokens)):
            for outcome in Outcome:
                yield f"done {index} {outcome.value}", self._done(node, index, outcome)
        yield "tick", replace(node, now=node.now + 1, oracle=self.rules.tick(node.oracle))
        for mode in ("closed", "open", "half_open", "forced_open"):
            yield mode, self._turn(node, mode)
        if self.advised:
            for what in ("careful", "all open", "tries", "answered"):
                yield what, self._advise(node, what)

    def key(self, node: Node) -> tuple[object, ...]:
        """Name what matters of a node for all that can follow."""
        core, now = node.core, node.now
        waits = core.retry_after(OPEN, now) if core.state is State.OPEN else 0.0
        window = core._window
        # Where no row of failures opens it, their number grows without end and means nothing.
        row = self.config.failure_threshold or 0
        tokens = tuple(
            (generation == core.generation, min(now - began, self.age_max))
            for generation, began in node.tokens
        )
        return (
            (
                core.state,
                min(core.failures, row),
                core.in_flight,
                core.probes,
                core.successes,
                waits,
            ),
            (min(core.trips, self.trips_max), window and _ring(window)),
            (max(0.0, core._careful_until - now), core._hastened and core._hastened == core.trips),
            tokens,
            replace(
                node.oracle,
                trips=min(node.oracle.trips, self.trips_max),
                opened=self._opened(node.oracle.opened),
                calls=tuple((mine, min(age, self.age_max)) for mine, age in node.oracle.calls),
            ),
        )

    def _opened(self, ticks: int) -> int:
        """Give how long it is open, as far as that matters: for what a trial is put off to."""
        longest = max(self.config.recovery_timeout, self.config.recovery_timeout_max)
        return min(ticks, int(longest)) if self.advised else 0

    def _advise(self, node: Node, what: str) -> Node:
        core = _copy(node.core)
        says: dict[str, Callable[[], None]] = {
            "careful": lambda: core.be_careful(node.now + 2),
            "all open": lambda: core.open_on_advice(node.now),
            "tries": lambda: core.leave_trial(node.now),
            "answered": lambda: core.hasten(node.now),
        }
        says[what]()
        return self._agreed(Node(core, self.rules.advise(node.oracle, what), node.tokens, node.now))

    def _admit(self, node: Node) -> Node:
        core = _copy(node.core)
        rejected = dict(core.rejected)
        got = core.admit(node.now)
        oracle, reason = self.rules.admit(node.oracle)
        if isinstance(got, Rejection):
            assert got.reason == reason
            rejected[got.reason] += 1
            if reason == "open":
                assert core.retry_after(got, node.now) == oracle.wait
        else:
            assert reason is None
            assert got == (core.generation, node.now)
        assert core.rejected == rejected
        tokens = node.tokens if isinstance(got, Rejection) else (*node.tokens, got)
        return self._agreed(Node(core, oracle, tokens, node.now))

    def _done(self, node: Node, index: int, outcome: Outcome) -> Node:
        core = _copy(node.core)
        before = [getattr(core, name) for name in COUNTED]
        core.done(node.tokens[index], outcome, node.now)
        oracle, counted = self.rules.done(node.oracle, index, outcome)
        after = [getattr(core, name) for name in COUNTED]
        expected = [
            outcome is Outcome.SUCCESS,
            outcome is Outcome.FAILURE,
            outcome is Outcome.NEUTRAL,
            "slow" in counted,
            "late" in counted,
        ]
        assert [b - a for a, b in zip(before, after, strict=True)] == expected
        tokens = node.tokens[:index] + node.tokens[index + 1 :]
        return self._agreed(Node(core, oracle, tokens, node.now))

    def _turn(self, node: Node, mode: str) -> Node:
        core = _copy(node.core)
        turns: dict[str, Callable[[], None]] = {
            "closed": core.reset,
            "open": lambda: core.open(node.now),
            "half_open": core.half_open,
            "forced_open": core.force_open,
        }
        turns[mode]()
        return self._agreed(Node(core, self.rules.turn(node.oracle, mode), node.tokens, node.now))

    def _agreed(self, node: Node) -> Node:
        core, oracle = node.core, node.oracle
        assert core.state.value == oracle.mode
        assert core.advised == oracle.advised
        assert core.in_flight == len(oracle.calls) == len(node.tokens)
        assert [generation == core.generation for generation, _ in node.tokens] == [
            mine for mine, _ in oracle.calls
        ]
        if core.state is State.HALF_OPEN:
            assert core.probes == sum(1 for mine, _ in oracle.calls if mine)
            assert core.probes <= self.config.half_open_max
        return node


def _ring(window: object) -> tuple[object, ...]:
    """Name the content of a count window, wherever its ring begins."""
    ring, at = getattr(window, "_ring"), getattr(window, "_next")  # noqa: B009 - seen from inside
    return tuple(ring[at:] + ring[:at])


def explore(config: CircuitBreakerConfig, *, advised: bool) -> tuple[int, int]:
    """Follow every step from every state until nothing new appears; gives states and steps."""
    both = Product(config, advised=advised)
    first = both.start()
    seen = {both.key(first)}
    waiting = deque([first])
    steps = 0
    while waiting:
        node = waiting.popleft()
        for _, after in both.steps(node):
            steps += 1
            key = both.key(after)
            if key not in seen:
                seen.add(key)
                waiting.append(after)
                assert len(seen) <= STATES_MAX, "no fixpoint"
    return len(seen), steps


@pytest.mark.parametrize("family", FAMILIES)
def test_core_and_oracle_agree_in_every_reachable_state(family: str) -> None:
    """Breadth first to the fixpoint of each configuration, every answer and counter compared."""
    found = [explore(config, advised=family == "advice") for config in FAMILIES[family]]
    states, steps = (sum(counts) for counts in zip(*found, strict=True))

    # Shown by `pytest -s`.
    print(f"{family}: {len(found)} configurations, {states} states, {steps} steps")  # noqa: T201
    assert all(count > 5 for count, _ in found)


def test_enough_configurations_are_explored() -> None:
    """Every combination of small thresholds and bounds, beside windows, times and advice."""
    assert len(PLAIN) == 54
    assert sum(map(len, FAMILIES.values())) == 98
