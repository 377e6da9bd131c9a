"""Fifty clients in two processes, and when the last of them had an update.

Times are of the machine's monotonic clock, which all its processes share. Nothing here knows what
carries the updates: a watcher is any program that prints a line for each number it saw.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers import environment

CLIENTS = 50
PROCESSES = 2
READY_WITHIN_SECONDS = 60
SEEN_WITHIN_SECONDS = 30

Update = Callable[[int], Awaitable[float]]
"""Sets a number and gives the time at which it was begun, of the monotonic clock."""


@dataclass(slots=True)
class Fleet:
    """Watchers, and what they saw last."""

    processes: list[asyncio.subprocess.Process] = field(
        default_factory=list[asyncio.subprocess.Process]
    )

    def drop_one(self, number: int) -> None:
        """Have one client of one process lose its connection."""
        process = self.processes[number % len(self.processes)]
        if process.stdin is None:
            raise RuntimeError("a watcher's input is piped")
        process.stdin.write(b"drop\n")

    async def all_saw(self, number: int) -> float:
        """Give the time at which the last client had this number; waits for it for ever."""
        return max(await asyncio.gather(*(_seen(one, number) for one in self.processes)))

    async def until_all_saw(self, number: int) -> float:
        """Give the time at which the last client had this number.

        Raises:
            TimeoutError: one never had it.
        """
        async with asyncio.timeout(SEEN_WITHIN_SECONDS):
            return await self.all_saw(number)


async def _seen(process: asyncio.subprocess.Process, number: int) -> float:
    while True:
        told = json.loads(await _line(process))
        if told["seen"] >= number:
            at: float = told["at"]
            return at


async def _line(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise RuntimeError("a watcher's output is piped")
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a watcher ended with {await process.wait()}; see above")
    return line


@asynccontextmanager
async def fleet(python: Path | str, module: str, *arguments: str) -> AsyncGenerator[Fleet]:
    """Run the watchers of a module, each process with its share of the clients."""
    async with AsyncExitStack() as stack:
        watching = Fleet()
        for number in range(PROCESSES):
            process = await asyncio.create_subprocess_exec(
                *(str(python), "-m", module, *arguments, str(CLIENTS // PROCESSES), str(number)),
                cwd=environment.ROOT,
                env=environment.environment(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(_stop, process)
            watching.processes.append(process)
        async with asyncio.timeout(READY_WITHIN_SECONDS):
            for process in watching.processes:
                await _line(process)
        yield watching


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def updates(watching: Fleet, update: Update, numbers: Sequence[int]) -> list[float]:
    """Update one after the other; give the milliseconds until the last client had each."""
    latencies_ms: list[float] = []
    for number in numbers:
        began = await update(number)
        latencies_ms.append((await watching.until_all_saw(number) - began) * 1e3)
    return latencies_ms
