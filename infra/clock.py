"""The only source of time. Whoever needs the time takes a `Clock`; nobody else asks the system."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time and lets time pass."""

    def now(self) -> datetime:
        """Give the time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Give seconds from some start, never backwards: for measuring, not for dates."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Give the time, in UTC."""
        return datetime.now(UTC)

    # As it is: a circuit breaker asks it twice in each call, where a function around it shows.
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


SYSTEM: Clock = SystemClock()
