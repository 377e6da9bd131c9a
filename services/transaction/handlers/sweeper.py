"""The second net under the clocks of sagas: finds those that ran out and whose timer never fired.

The list tells where to look, and may be wrong; the log tells what is due. What is found is handed
in as if its timer had fired: the timer itself, should it fire yet, is stale then.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from contracts import subjects
from contracts.errors import Refused, Retryable
from contracts.transaction import TransactionStatus
from infra.bus.context import Context
from infra.clock import Clock
from infra.telemetry import metrics
from sagas.engine.decision import Due
from sagas.engine.state import SagaState
from services.transaction.handlers.orchestrator import Orchestrator, OrphanInputError
from services.transaction.handlers.ownership import Ownership

log = structlog.get_logger(__name__)

Overdue = Callable[[datetime, int], Awaitable[Sequence[UUID]]]
"""Names at most so many sagas of which, as far as the list knows, a clock ran out before a time."""

SWEPT_MAX = 1_000
"""Sagas looked at in one sweep; the others are left to the next."""


class Sweeper:
    """Sweeps the partitions that this process owns."""

    def __init__(
        self,
        overdue: Overdue,
        orchestrator: Orchestrator,
        ownership: Ownership,
        clock: Clock,
        *,
        every_seconds: float,
        grace_seconds: float,
    ) -> None:
        """Say how often, and how late a timer may be by itself."""
        self._overdue = overdue
        self._orchestrator = orchestrator
        self._ownership = ownership
        self._clock = clock
        self._every_seconds = every_seconds
        self._grace = timedelta(seconds=grace_seconds)
        self._swept = metrics.counter("tracseq_saga_timers_swept_total", service="transaction")

    async def run(self) -> None:
        """Sweep now and then, for ever."""
        while True:
            await self._clock.sleep(self._every_seconds)
            try:
                await self.sweep()
            except (Refused, Retryable) as error:
                log.info("sweep.later", error=repr(error))

    async def sweep(self) -> int:
        """Hand in what is overdue, and count it.

        Raises:
            Refused: the list does not answer.
            Retryable: the broker is unwell.
        """
        before, count = self._clock.now() - self._grace, 0
        for saga_id in await self._overdue(before, SWEPT_MAX):
            if subjects.saga_partition(saga_id) in self._ownership.partitions:
                count += await self._sweep(saga_id, before)
        return count

    async def _sweep(self, saga_id: UUID, before: datetime) -> int:
        state = (await self._orchestrator.load(saga_id)).state
        names = overdue_timers(state, before) if state is not None else []
        for name in names:
            cause = f"{saga_id}:{name}:swept"
            given = Due(name=name, at=self._clock.now(), cause=cause)
            context = Context(
                message_id=cause,
                actor=state.actor if state else "transaction",
                correlation=state.correlation if state else cause,
                now=given.at,
                # It may have been found before, by a process that died over it.
                repeated=True,
            )
            try:
                await self._orchestrator.advance(saga_id, given, context)
            except OrphanInputError as error:
                log.info("sweep.in_vain", saga_id=str(saga_id), timer=name, why=str(error))
                continue
            self._swept.inc()
            log.warning("timer.swept", saga_id=str(saga_id), timer=name)
        return len(names)


def overdue_timers(state: SagaState, before: datetime) -> list[str]:
    """Name the timers that count in a saga and were to fire before a time."""
    # One that failed waits for a person, and its other steps may still be under way.
    closed = state.status.ended and state.status is not TransactionStatus.FAILED
    if closed or state.status is TransactionStatus.PAUSED:
        return []
    armed = [(step.timer, step.due_at) for step in state.steps.values()]
    armed.append((state.timer, state.deadline))
    return [name for name, due_at in armed if name and due_at is not None and due_at < before]
