"""How a bench drives a peer in another process: lines of JSON, and a closed loop of equal sagas.

Both sides of a comparison run their sagas through `closed_loop`, so that both are asked in the same
way. Standard library only: this runs in the peers' environment as well.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

LINE_BYTES_MAX = 16 * 1024 * 1024
"""The longest answer: some hundred thousand latencies."""

Saga = Callable[[int], Awaitable[object]]
"""Runs the saga with that number from its start to its end."""


@dataclass(frozen=True, slots=True)
class Order:
    """Keep so many sagas in flight for so long."""

    at_once: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Ran:
    """What one closed loop saw: how long each saga took, and all of them together."""

    seconds: float
    latencies_ms: list[float]

    @property
    def per_second(self) -> float:
        """Sagas ended in a second, those included that ended after the time was over."""
        return len(self.latencies_ms) / self.seconds


async def closed_loop(saga: Saga, order: Order) -> Ran:
    """Start a saga whenever one ends, until the time is over; wait for those in flight."""
    latencies_ms: list[float] = []
    began = time.perf_counter()
    until = began + order.seconds
    number = 0

    async def lane() -> None:
        nonlocal number
        while (started := time.perf_counter()) < until:
            number += 1
            await saga(number)
            latencies_ms.append((time.perf_counter() - started) * 1e3)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(order.at_once):
            lanes.create_task(lane())
    return Ran(time.perf_counter() - began, latencies_ms)


async def serve(run: Callable[[Order], Awaitable[Ran]]) -> None:
    """Say that we are ready, then run what each line on standard input orders, until it ends.

    Standard output belongs to the answers alone.
    """
    loop = asyncio.get_running_loop()
    _answer({"ready": True})
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _answer(asdict(await run(Order(**json.loads(line)))))


def _answer(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()
