"""A worker: a process that runs sagas when told, the servers behind it, and what both cost.

It speaks `protocol`. CPU is that of all its processes, children and those that have ended included:
PostgreSQL has one process for each connection.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.peers import environment
from bench.peers.environment import PeerMissingError
from bench.peers.protocol import LINE_BYTES_MAX, Order, Ran
from infra.supervisor import Child, ChildFailedError, Program

READY_WITHIN_SECONDS = 60
STOP_WITHIN_SECONDS = 10
DRAIN_SECONDS_MAX = 60
"""How long the sagas in flight may take to end after their time is over."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process, and the servers that stand behind it."""

    process: asyncio.subprocess.Process
    server_pids: Sequence[int]

    @property
    def pids(self) -> Sequence[int]:
        """The processes whose CPU counts, each with its children."""
        return [self.process.pid, *self.server_pids]

    async def run(self, order: Order) -> Ran:
        """Send the order and wait for what came of it."""
        if self.process.stdin is None:
            raise RuntimeError("a worker's input is piped")
        self.process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        return Ran(**await self.answer(order.seconds + DRAIN_SECONDS_MAX))

    async def answer(self, within_seconds: float) -> dict[str, Any]:
        """Read one line.

        Raises:
            PeerMissingError: the worker ended, or says nothing.
        """
        if self.process.stdout is None:
            raise RuntimeError("a worker's output is piped")
        try:
            async with asyncio.timeout(within_seconds):
                line = await self.process.stdout.readline()
        except TimeoutError:
            raise PeerMissingError(f"it said nothing for {within_seconds:g} s") from None
        if not line:
            raise PeerMissingError(
                f"it ended with {await self.process.wait()}; what it said stands above"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


def cpu_seconds(pids: Iterable[int]) -> float:
    """Sum the CPU time that processes, their children and their ended children have used."""
    total = 0.0
    for pid in pids:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            try:
                used = process.cpu_times()
            except psutil.NoSuchProcess:
                # Its parent has its time from now on.
                continue
            total += used.user + used.system + used.children_user + used.children_system
    return total


@asynccontextmanager
async def running(programs: Sequence[Program]) -> AsyncGenerator[list[int]]:
    """Run servers, started in order; give their process ids.

    Raises:
        PeerMissingError: one does not come up.
    """
    async with AsyncExitStack() as stack:
        pids = list[int]()
        for program in programs:
            child = Child(program)
            try:
                await child.start()
            except ChildFailedError as failed:
                raise PeerMissingError(str(failed)) from failed
            stack.push_async_callback(child.stop)
            pids += [child.pid] if child.pid is not None else []
        yield pids


@asynccontextmanager
async def worker(
    python: Path, module: str, *arguments: str, servers: Sequence[int] = ()
) -> AsyncGenerator[Worker]:
    """Run a module of the bench as a worker, by that Python.

    Raises:
        PeerMissingError: it does not come up.
    """
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", module, *arguments),
        cwd=environment.ROOT,
        env=environment.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    worker = Worker(process, servers)
    try:
        await worker.answer(READY_WITHIN_SECONDS)
        yield worker
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_WITHIN_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
