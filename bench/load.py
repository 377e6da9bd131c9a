"""Load: so many at once, so many times, and how long each took. Bounded; stops by itself."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from bench.report import percentile


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load saw."""

    count: int
    seconds: float
    latencies_seconds: list[float]

    @property
    def per_second(self) -> float:
        """How many were done each second."""
        return self.count / self.seconds

    def latency_ms(self, share: float) -> float:
        """Give the latency below which that share lies, in milliseconds."""
        return percentile(self.latencies_seconds, share) * 1000


async def drive(work: Callable[[int], Awaitable[object]], *, count: int, at_once: int) -> Measured:
    """Do `work(0) ... work(count - 1)`, `at_once` of them at a time."""
    numbers: Iterator[int] = iter(range(count))
    latencies: list[float] = []

    async def worker() -> None:
        for number in numbers:
            started = time.perf_counter()
            await work(number)
            latencies.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return Measured(count, time.perf_counter() - started, latencies)
