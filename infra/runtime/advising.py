"""The instances of a service tell each other of their circuit breakers: advice, no shared state.

Never on the way of a call: a change is noted, and told by a loop of its own on plain NATS. Nothing
is stored or repeated: what cannot be told at once is dropped, and a broker that is away changes
nothing. What a breaker makes of advice stands in `infra.breaker.advice`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from uuid import UUID

import structlog
from pydantic import ValidationError

from contracts import subjects
from contracts.breaker import AdvisedState, BreakerAdvice, BreakerState
from infra.breaker import Advice, BreakerRegistry, State, StateChange
from infra.bus.connection import Connection
from infra.bus.errors import NotSent
from infra.bus.pushes import Pushes
from infra.clock import Clock

WAITING_MAX = 256
"""Changes noted and not told yet; beyond it the oldest are dropped."""
CONNECTED_LOOK_SECONDS = 0.25
"""Between two looks whether the connection is up, before it is listened on for the first time."""

_TOLD: dict[tuple[State, State], AdvisedState] = {
    (State.CLOSED, State.OPEN): BreakerState.OPEN,
    (State.HALF_OPEN, State.OPEN): BreakerState.OPEN,
    (State.OPEN, State.HALF_OPEN): BreakerState.HALF_OPEN,
    (State.HALF_OPEN, State.CLOSED): BreakerState.CLOSED,
}
"""Changes that calls lead to; what is done by hand is meant for one instance."""

log = structlog.get_logger(__name__)


class Adviser:
    """Tells the other instances of one service's breakers, and hears them."""

    def __init__(
        self,
        connection: Connection,
        breakers: BreakerRegistry,
        *,
        instance: str,
        clock: Clock,
        ids: Callable[[], UUID],
    ) -> None:
        """Note changes from now on; `run` tells and hears."""
        self._connection = connection
        self._breakers = breakers
        self._instance = instance
        self._clock = clock
        self._subject = subjects.breaker_advice(breakers.service)
        # Two processes may have been given the same name.
        self._origin = ids()
        self._waiting = deque[BreakerAdvice](maxlen=WAITING_MAX)
        self._some = asyncio.Event()
        self._pushes = Pushes(connection, self._subject, self._hear)
        breakers.watch(self._note)

    def _note(self, change: StateChange) -> None:
        breaker = self._breakers.get(change.breaker)
        state = _TOLD.get((change.old, change.new))
        if change.by is not None or state is None:
            return
        # Only who saw it tells of it: else a few errors could keep everyone careful for ever.
        if change.new is State.OPEN and breaker.advised:
            return
        spared = breaker.time_until_open
        self._waiting.append(
            BreakerAdvice(
                origin=self._origin,
                instance=self._instance,
                breaker=change.breaker,
                state=state,
                seconds=0.0 if spared is None else spared.total_seconds(),
                at=change.at,
            )
        )
        self._some.set()

    async def run(self) -> None:
        """Tell and hear, for ever."""
        while not self._connection.connected:
            await self._clock.sleep(CONNECTED_LOOK_SECONDS)
        await self._pushes.start()
        while True:
            await self._some.wait()
            self._some.clear()
            while self._waiting:
                await self._tell(self._waiting.popleft())

    async def _tell(self, advice: BreakerAdvice) -> None:
        try:
            await self._connection.send(self._subject, advice.model_dump_json().encode())
        except NotSent as error:
            log.info("circuit_breaker_advice_dropped", breaker=advice.breaker, error=repr(error))

    def _hear(self, body: bytes) -> None:
        try:
            said = BreakerAdvice.model_validate_json(body)
        except ValidationError as error:
            log.info("circuit_breaker_advice_unreadable", error=str(error))
            return
        if said.origin == self._origin:
            return
        self._breakers.hear(
            Advice(
                peer=said.origin,
                breaker=said.breaker,
                state=State(said.state.value),
                seconds=said.seconds,
                age_seconds=(self._clock.now() - said.at).total_seconds(),
            )
        )
