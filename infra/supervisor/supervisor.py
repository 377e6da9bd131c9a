"""Several children as one: started in groups, kept up within bounds, stopped in reverse order.

A child that dies is started again after a growing pause. One that will not stay up is given up, and
whoever runs the supervisor is told: half a system that looks whole is worse than none.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, cast

import structlog

from infra.clock import SYSTEM, Clock
from infra.supervisor.child import Child, ChildFailedError, Program

logger = cast("structlog.stdlib.BoundLogger", structlog.get_logger(__name__))


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """How patient to be with a child that dies."""

    failures_max: int = 10
    """So many deaths in a row, and it is given up."""
    pause_first_seconds: float = 0.05
    """Doubled with each death in a row."""
    pause_max_seconds: float = 2.0
    steady_after_seconds: float = 5.0
    """Whoever lived as long as this begins a new row."""

    def pause_seconds(self, failures: int) -> float:
        """Say how long to wait after so many deaths in a row (1 or more)."""
        return min(self.pause_first_seconds * 2.0 ** (failures - 1), self.pause_max_seconds)


def _nothing_to_tell() -> None:
    """Stand in where nobody asked to be told."""


class Supervisor:
    """Children in groups, in the order in which they need each other."""

    def __init__(
        self,
        *,
        policy: RestartPolicy = RestartPolicy(),
        on_change: Callable[[], None] = _nothing_to_tell,
        clock: Clock = SYSTEM,
    ) -> None:
        """Prepare; nothing is started. `on_change` is called whenever a child was started again."""
        self._policy = policy
        self._on_change = on_change
        self._clock = clock
        self._groups: list[list[Child]] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._lost: asyncio.Future[ChildFailedError] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        """Start nothing yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        await self.stop()

    @property
    def children(self) -> list[Child]:
        """Every child, in the order of the start."""
        return [child for group in self._groups for child in group]

    async def start(self, *programs: Program) -> list[Child]:
        """Start programs beside each other and return once all are ready.

        Raises:
            ChildFailedError: one did not come up; stop the supervisor then.
        """
        group = [Child(program, clock=self._clock) for program in programs]
        self._groups.append(group)
        try:
            async with asyncio.TaskGroup() as tasks:
                for child in group:
                    tasks.create_task(child.start())
        except* ChildFailedError as errors:
            raise _first(errors) from None
        self._keepers += [
            asyncio.create_task(self._keep(child), name=f"keep {child.program.name}")
            for child in group
        ]
        return group

    async def lost(self) -> ChildFailedError:
        """Wait until a child is given up; for ever while all goes well."""
        return await asyncio.shield(self._lost)

    async def stop(self) -> None:
        """Stop everything: the last group first, within a group together."""
        await self._stop_keeping()
        while self._groups:
            await asyncio.gather(*(child.stop() for child in self._groups[-1]))
            self._groups.pop()

    def kill(self) -> None:
        """Kill everything at once; for whoever has no patience left."""
        for keeper in self._keepers:
            keeper.cancel()
        for child in self.children:
            child.kill()

    async def _stop_keeping(self) -> None:
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, child: Child) -> None:
        """Start a child again whenever it dies, until it has died too often."""
        name, failures, started_at = child.program.name, 0, self._clock.monotonic()
        while True:
            code = await child.exited()
            lived_seconds = self._clock.monotonic() - started_at
            failures = 1 if lived_seconds >= self._policy.steady_after_seconds else failures + 1
            if failures > self._policy.failures_max:
                self._give_up(child, code, failures)
                return
            pause_seconds = self._policy.pause_seconds(failures)
            logger.warning(
                "child died",
                child=name,
                code=code,
                lived_seconds=lived_seconds,
                pause_seconds=pause_seconds,
            )
            await self._clock.sleep(pause_seconds)
            started_at = self._clock.monotonic()
            try:
                await child.start()
            except ChildFailedError as error:
                logger.warning("child did not come back", child=name, error=str(error))
            else:
                logger.info("child is back", child=name, pid=child.pid, restarts=child.restarts)
                self._on_change()

    def _give_up(self, child: Child, code: int, failures: int) -> None:
        text = (
            f"{child.program.name} died {failures} times in a row (exit code {code} at last) and "
            f"is given up. Its log says why: {child.program.log_file}"
        )
        logger.error("child given up", child=child.program.name, code=code, failures=failures)
        if not self._lost.done():
            self._lost.set_result(ChildFailedError(text))


def _first(errors: BaseExceptionGroup[ChildFailedError]) -> ChildFailedError:
    leaf: BaseException = errors
    while isinstance(leaf, BaseExceptionGroup):
        leaf = cast("BaseExceptionGroup[BaseException]", leaf).exceptions[0]
    if not isinstance(leaf, ChildFailedError):
        raise TypeError("a group of failures holds failures only") from leaf
    return leaf
