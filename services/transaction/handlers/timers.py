"""The clocks of sagas, kept by the broker: armed as scheduled messages, cancelled by deleting them.

A saga is asked again when one fires, so one that fires in vain does no harm, and neither does a
cancellation that is lost. One that never fires is found by the sweeper: so one that is due far away
is armed a moment later, and mostly not at all (`arming.py`).
"""

import asyncio
import json
from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

import structlog

from contracts import envelope as wire
from contracts import subjects
from contracts.errors import Conflict, Retryable
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection
from infra.bus.context import Context
from infra.clock import SYSTEM, Clock
from sagas.engine.decision import Timer
from services.transaction.handlers.arming import Armed, Later

log = structlog.get_logger(__name__)

DUE_TTL = "168h"
"""How long a timer that fired waits to be heard."""
CANCELS_MAX = 10_000
"""Ended sagas whose timers wait to be deleted; those of one more fire in vain."""
CANCELS_AT_ONCE = 16
ARMED_AT_ONCE = 64
LOOK_SECONDS = 0.25
"""How often what waits is looked at."""
BEGUN_MAX = 10_000
"""Sagas of which it is known that they have no timer yet; the oldest is forgotten first."""


def _nobody(_saga_id: UUID) -> bool:
    return False


class Timers:
    """Arms timers, and deletes those of sagas that have ended."""

    def __init__(
        self,
        connection: Connection,
        *,
        waits: Callable[[UUID], bool] = _nobody,
        clock: Clock = SYSTEM,
    ) -> None:
        """Use a connection; `run` deletes, `run_late` arms what may wait.

        `waits` says of a saga whether its timers may: only whoever carries a saga on hears that it
        went on.
        """
        self._connection = connection
        self._waits = waits
        self._clock = clock
        self._later = Later()
        self._bare: dict[UUID, None] = {}
        self._ended: dict[UUID, int] = {}
        self._more = asyncio.Event()

    def begin(self, saga_id: UUID) -> None:
        """Hear of a saga that was begun a moment ago: it has no timer yet."""
        self._bare[saga_id] = None
        if len(self._bare) > BEGUN_MAX:
            del self._bare[next(iter(self._bare))]

    def keep(self, saga_id: UUID, names: Collection[str | None]) -> None:
        """Hear that a saga went on: of its timers only these count any more."""
        self._later.keep(saga_id, names)

    async def arm(
        self, saga_id: UUID, timer: Timer, context: Context, *, again: bool = False
    ) -> None:
        """Have the broker say when a time has come: at once where that is near, else soon.

        There is one subject for each step, so that its newer timer replaces its older: only one
        counts. With `again` a timer that fired too early is armed once more.
        """
        if not again and self._waits(saga_id):
            armed = Armed(saga_id, timer, context)
            if self._later.put(_slot(timer.name), armed, now_seconds=self._clock.monotonic()):
                return
        await self._arm(saga_id, timer, context, again=again)

    async def _arm(
        self,
        saga_id: UUID,
        timer: Timer,
        context: Context,
        *,
        again: bool = False,
        replaces: bool = True,
    ) -> None:
        self._bare.pop(saga_id, None)
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
        if not replaces:
            headers[EXPECTED_LAST_SUBJECT_SEQ] = "0"
        body = json.dumps({"saga_id": str(saga_id), "timer": timer.name}).encode()
        subject = subjects.saga_timer(saga_id, _slot(timer.name))
        await self._connection.publish(subject, body, headers)

    def cancel(self, saga_id: UUID, before: int) -> None:
        """Have every timer deleted, soon, that was armed before a sequence of the saga's stream."""
        self._later.keep(saga_id, ())
        if saga_id in self._bare:
            del self._bare[saga_id]
            return
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

    async def run_late(self) -> None:
        """Arm what has waited long enough, for ever; at its end all that waits, where it can."""
        try:
            while True:
                await self._clock.sleep(LOOK_SECONDS)
                await self._arm_all(self._later.due(self._clock.monotonic()))
        finally:
            await self._arm_all(self._later.due())

    async def _arm_all(self, waited: list[Armed]) -> None:
        for start in range(0, len(waited), ARMED_AT_ONCE):
            part = waited[start : start + ARMED_AT_ONCE]
            await asyncio.gather(*(self._arm_late(armed) for armed in part))

    async def _arm_late(self, armed: Armed) -> None:
        # Whoever carries the saga on by now may have armed a newer one, which must stay.
        replaces = self._waits(armed.saga_id)
        try:
            await self._arm(armed.saga_id, armed.timer, armed.context, replaces=replaces)
        except Conflict:
            log.info("timers.newer_there", saga_id=str(armed.saga_id), timer=armed.timer.name)
        except Retryable as error:
            log.info("timers.not_armed", saga_id=str(armed.saga_id), error=repr(error))
            # It waits once more, unless its saga has another in its place by now.
            self._later.put_back(
                _slot(armed.timer.name), armed, now_seconds=self._clock.monotonic()
            )

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
