"""Tells everyone of a service's circuit breakers: each change of state is an event on the bus.

Never on the way of a call: a change is noted, and told by a loop of its own. While the broker is
away changes wait, as many as there is room for; of more the oldest are forgotten and counted. An
outage is told once, however often a trial fails meanwhile: half-open is told with what follows it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from uuid import UUID

import structlog

from contracts import subjects
from contracts.breaker import BreakerChanged, BreakerState
from contracts.envelope import Envelope
from contracts.errors import Retryable
from infra.breaker import BreakerRegistry, State, StateChange
from infra.bus.connection import Connection
from infra.clock import Clock

WAITING_MAX = 256
"""Changes that wait to be told; beyond it the oldest are forgotten."""
RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Announcer:
    """Tells of the changes of one service's breakers."""

    def __init__(
        self,
        connection: Connection,
        breakers: BreakerRegistry,
        *,
        instance: str,
        clock: Clock,
        ids: Callable[[], UUID],
    ) -> None:
        """Note changes from now on; `run` tells of them."""
        self._connection = connection
        self._breakers = breakers
        self._instance = instance
        self._clock = clock
        self._ids = ids
        self._waiting = deque[Envelope](maxlen=WAITING_MAX)
        self._trials = dict[str, StateChange]()
        """By breaker: that it let a trial through, until it is known what came of it."""
        self._some = asyncio.Event()
        breakers.watch(self._note)

    def _note(self, change: StateChange) -> None:
        if change.old is State.OPEN and change.new is State.HALF_OPEN:
            self._trials[change.breaker] = change
            return
        trial = self._trials.pop(change.breaker, None)
        if trial is None:
            self._keep(change)
        elif change.new is not State.OPEN:
            self._keep(trial)
            self._keep(change)

    def _keep(self, change: StateChange) -> None:
        event = BreakerChanged(
            service=self._breakers.service,
            instance=self._instance,
            breaker=change.breaker,
            old=BreakerState(change.old.value),
            new=BreakerState(change.new.value),
        )
        if len(self._waiting) == WAITING_MAX:
            self._breakers.untold += 1
        self._waiting.append(
            Envelope(
                id=str(self._ids()),
                type=event.contract.type,
                version=event.contract.version,
                source=f"tracseq/{self._breakers.service}",
                time=change.at,
                data=event.__pydantic_serializer__.to_json(event),
                subject=f"{self._breakers.service}/{change.breaker}",
                actor=change.by or self._breakers.service,
            )
        )
        self._some.set()

    async def run(self) -> None:
        """Tell for ever, the oldest first."""
        while True:
            await self._some.wait()
            while self._waiting:
                await self._tell(self._waiting[0])
            self._some.clear()

    async def _tell(self, envelope: Envelope) -> None:
        """Tell of one change; one that nobody takes waits on, and is told again under its id."""
        try:
            await self._connection.publish(
                subjects.of(BreakerChanged.contract),
                envelope.data,
                envelope.headers(),
                stream=subjects.EVENTS,
            )
        except Retryable as error:
            log.info("circuit_breaker_change_waits", error=repr(error))
            await self._clock.sleep(RETRY_SECONDS)
            return
        # Meanwhile it may have been forgotten for newer ones.
        if self._waiting and self._waiting[0] is envelope:
            self._waiting.popleft()
