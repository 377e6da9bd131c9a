"""The clocks of sagas, kept by the broker: armed as scheduled messages, cancelled by deleting them.

A saga is asked again when one fires, so one that fires in vain does no harm, and neither does a
cancellation that is lost. One that never fires is found by the sweeper.
"""

import asyncio
import json
from datetime import datetime
from uuid import UUID

import structlog

from contracts import envelope as wire
from contracts import subjects
from contracts.errors import Retryable
from infra.bus.connection import Connection
from infra.bus.context import Context
from sagas.engine.decision import Timer

log = structlog.get_logger(__name__)

DUE_TTL = "168h"
"""How long a timer that fired waits to be heard."""
CANCELS_MAX = 10_000
"""Ended sagas whose timers wait to be deleted; those of one more fire in vain."""
CANCELS_AT_ONCE = 16


class Timers:
    """Arms timers, and deletes those of sagas that have ended."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; `run` deletes."""
        self._connection = connection
        self._ended: dict[UUID, int] = {}
        self._more = asyncio.Event()

    async def arm(
        self, saga_id: UUID, timer: Timer, context: Context, *, again: bool = False
    ) -> None:
        """Ask the broker to say when a time has come.

        There is one subject for each step, so that its newer timer replaces its older: only one
        counts. With `again` a timer that fired too early is armed once more.
        """
        timer_id = f"{saga_id}:{timer.name}" + (f":{_stamp(timer.due_at)}" if again else "")
        headers = {
            wire.MESSAGE_ID: timer_id,
            "Nats-Schedule": f"@at {timer.due_at.isoformat()}",
            "Nats-Schedule-Target": subjects.saga_due(saga_id, _slot(timer.name)),
            "Nats-Schedule-TTL": DUE_TTL,
            "ce-specversion": wire.SPEC_VERSION,
            "ce-id": timer_id,
            "ce-type": "transaction.due",
            "ce-source": "tracseq/transaction",
            "ce-time": context.now.isoformat(),
            wire.CORRELATION: context.correlation,
            wire.ACTOR: context.actor,
        }
        if context.traceparent:
            headers[wire.TRACEPARENT] = context.traceparent
        body = json.dumps({"saga_id": str(saga_id), "timer": timer.name}).encode()
        subject = subjects.saga_timer(saga_id, _slot(timer.name))
        await self._connection.publish(subject, body, headers)

    def cancel(self, saga_id: UUID, before: int) -> None:
        """Have every timer deleted, soon, that was armed before a sequence of the saga's stream."""
        if len(self._ended) < CANCELS_MAX or saga_id in self._ended:
            self._ended[saga_id] = max(before, self._ended.get(saga_id, 0))
            self._more.set()

    async def run(self) -> None:
        """Delete what is to be deleted, for ever; what fails is left to fire in vain."""
        while True:
            await self._more.wait()
            batch = [self._ended.popitem() for _ in range(min(CANCELS_AT_ONCE, len(self._ended)))]
            if not self._ended:
                self._more.clear()
            await asyncio.gather(*(self._delete(saga_id, before) for saga_id, before in batch))

    async def _delete(self, saga_id: UUID, before: int) -> None:
        stream = subjects.saga_stream(subjects.saga_partition(saga_id))
        try:
            # Not beyond its end: a saga that was reopened meanwhile has new ones.
            await self._connection.purge(stream, subjects.saga_timer(saga_id, ">"), before=before)
        except Retryable as error:
            log.info("timers.not_cancelled", saga_id=str(saga_id), error=repr(error))


def _slot(name: str) -> str:
    return name.rpartition(".")[0] or "saga"


def _stamp(at: datetime) -> str:
    return f"{at.timestamp():.3f}"
