"""For tests of what uses breakers: any breaker in any state, and a clock that is moved by hand.

A pytest plugin: `pytest_plugins = ["infra.breaker.testing"]` in the root conftest, or import the
fixture `breakers` where it is used. Nothing of a running service imports it.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.breaker.breaker import CircuitBreaker
from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import State

START = datetime(2026, 1, 1, tzinfo=UTC)
"""When a manual clock begins."""


class ManualClock:
    """A `Clock` that stands still until it is moved."""

    def __init__(self) -> None:
        """Begin at `START`."""
        self._passed = 0.0
        self._sleepers = list[tuple[float, asyncio.Future[None]]]()

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return START + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Give the seconds it was moved."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Wait until it was moved so far."""
        if seconds <= 0:
            return
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._passed + seconds, woken))
        await woken

    def move(self, seconds: float) -> None:
        """Let time pass, and wake who has slept enough.

        Raises:
            ValueError: time does not go backwards.
        """
        if seconds < 0:
            raise ValueError(f"seconds is {seconds}: give 0 or more, time does not go backwards")
        self._passed += seconds
        waiting = list[tuple[float, asyncio.Future[None]]]()
        for until, woken in self._sleepers:
            if until > self._passed:
                waiting.append((until, woken))
            elif not woken.done():
                woken.set_result(None)
        self._sleepers = waiting


class BreakerLab:
    """Makes breakers on a clock of its own, and puts any breaker into any state."""

    def __init__(self) -> None:
        """Begin without breakers."""
        self.clock = ManualClock()
        self._made = list[CircuitBreaker]()
        self._put = list[CircuitBreaker]()

    def make(
        self,
        name: str = "dependency",
        config: CircuitBreakerConfig | None = None,
        *,
        state: State = State.CLOSED,
        **options: Any,  # noqa: ANN401 - the breaker's own
    ) -> CircuitBreaker:
        """Make a breaker on the lab's clock, in that state, with no chance in its jitter."""
        options.setdefault("chance", lambda: 0.0)
        breaker = CircuitBreaker(name, config, clock=self.clock, **options)
        self._made.append(breaker)
        self.put(breaker, state)
        return breaker

    def put(self, breaker: CircuitBreaker, state: State) -> None:
        """Put a breaker into a state, also one of a real service; it is reset after the test."""
        self._put.append(breaker)
        steps = {
            State.CLOSED: breaker.reset,
            State.OPEN: breaker.open,
            State.HALF_OPEN: breaker.half_open,
            State.FORCED_OPEN: breaker.force_open,
        }
        steps[state]()

    def move(self, seconds: float) -> None:
        """Move the clock, and cancel what its breakers have let run for too long."""
        self.clock.move(seconds)
        for breaker in self._made:
            breaker.expire_overdue()

    def restore(self) -> None:
        """Reset every breaker that was put into a state."""
        for breaker in self._put:
            breaker.reset()


@pytest.fixture
def breakers() -> Iterator[BreakerLab]:
    """Give a lab for breakers; those it touched are closed again afterwards."""
    lab = BreakerLab()
    yield lab
    lab.restore()
