"""Where the pure saga engine meets the log: an input, its transition, what that asks for.

An input is done with only when its transition is in the log *and* its commands and timers are out.
A crash in between brings the input again, which finds its transition and sends what that one asked
for: the ids are the same, so nothing is done twice. Nothing is decided here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from contracts import subjects
from contracts.aggregate import Loaded
from contracts.errors import Refused
from contracts.transaction import TransactionEnded, TransactionStatus
from infra.bus.context import Context
from infra.log.log import Aggregates, Change, Log
from infra.telemetry import metrics
from sagas.definitions import find
from sagas.engine.decision import Due, Ignored, Input, Replied, Start, Timer, Transition, Why
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from services.transaction import domain
from services.transaction.handlers.outbox import Asked, Outbox
from services.transaction.handlers.ownership import EPOCH, Ownership
from services.transaction.handlers.timers import Timers
from services.transaction.handlers.waiting import Waiting

log = structlog.get_logger(__name__)


class OrphanInputError(LookupError):
    """An input that nobody waits for and a person should see: it becomes a dead letter."""


@dataclass(slots=True)
class _Decided:
    """What the engine said to one input, and under which epoch it was asked."""

    definition: Definition | None
    answer: Transition | Ignored | None = None
    epoch: int = 0


class Orchestrator:
    """Carries every saga on, one input at a time per saga."""

    def __init__(
        self,
        logs: Sequence[Log],
        outbox: Outbox,
        timers: Timers,
        ownership: Ownership,
        *,
        waiting: Waiting,
    ) -> None:
        """Take the logs of the partitions, in order."""
        self._kind = ownership.watching(domain.SAGA)
        self._sagas = [log.of(self._kind) for log in logs]
        self._outbox = outbox
        self._timers = timers
        self._ownership = ownership
        self._waiting = waiting
        self._ended: dict[tuple[str, str], Counter] = {}

    def of(self, saga_id: UUID) -> Aggregates[SagaState]:
        """Give the logs among which a saga's lies."""
        return self._sagas[subjects.saga_partition(saga_id)]

    async def load(self, saga_id: UUID) -> Loaded[SagaState]:
        """Load a saga as it is."""
        return await self.of(saga_id).get(saga_id)

    async def advance(
        self, saga_id: UUID, given: Input, context: Context, *, definition: Definition | None = None
    ) -> Loaded[SagaState]:
        """Hand an input to the engine, append what it says, send what that asks for.

        Raises:
            Refused: an order or a signal makes no sense where the saga stands.
            OrphanInputError: no saga waits for it, and a person should see it.
            NotHeldError: it is for the owner of the partition, and that is another process.
            Retryable: the broker is unwell; hand the same input in again.
        """
        decided = _Decided(definition)
        loaded = await self._transact(saga_id, given, context, decided)
        match decided.answer:
            # After a lost race, another process's entry may have the same cause: that one counts.
            case Transition() as transition if loaded.state == transition.state:
                asked = Asked.by(transition, loaded.seq)
                if loaded.number == 1:
                    self._timers.begin(saga_id)
                await self._outbox.send(transition.state, asked, context)
                self._tell(saga_id, transition, loaded)
            case Ignored(why=Why.EARLY, again_at=again_at) if again_at and isinstance(given, Due):
                timer = Timer(name=given.name, due_at=again_at)
                await self._timers.arm(saga_id, timer, context, again=True)
            case Ignored(refusal=refusal) if refusal is not None:
                raise Refused(refusal)
            case Ignored(dead=True, detail=detail):
                raise OrphanInputError(detail)
            case _:
                await self.send_again(loaded, context.message_id, context)
        return loaded

    async def _transact(
        self, saga_id: UUID, given: Input, context: Context, decided: _Decided
    ) -> Loaded[SagaState]:
        for_owner = isinstance(given, Replied | Due)

        def choose(state: SagaState | None) -> Sequence[Any]:
            # Asked anew for each decision: whoever stood still meanwhile may own nothing any more.
            decided.epoch = self._ownership.epoch(saga_id, owned=for_owner)
            decided.answer = _decide(decided.definition, state, given)
            return decided.answer.events if isinstance(decided.answer, Transition) else ()

        def effects() -> dict[str, Any]:
            if not isinstance(decided.answer, Transition):
                return {}
            return {**to_entry_parts(decided.answer)[1], EPOCH: decided.epoch}

        def result() -> SagaState | None:
            return decided.answer.state if isinstance(decided.answer, Transition) else None

        change = Change(
            self._kind,
            str(saga_id),
            choose,
            new=isinstance(given, Start),
            effects=effects,
            result=result,
        )
        loaded: Loaded[SagaState] = (await self.of(saga_id).log.transact([change], context))[0]
        return loaded

    async def send_again(self, loaded: Loaded[SagaState], cause: str, context: Context) -> None:
        """Send once more what an input's transition asked for and is still waited for, if any."""
        state = loaded.state
        if state is None or not (context.again or cause in loaded.causes):
            return
        entry = await self.of(state.saga_id).log.caused_by(self._kind, loaded, cause)
        if entry is not None:
            await self._outbox.send(state, Asked.still(entry, state), context)

    def _tell(self, saga_id: UUID, transition: Transition, loaded: Loaded[SagaState]) -> None:
        self._waiting.changed(saga_id, loaded)
        for event in transition.events:
            if isinstance(event, TransactionEnded):
                self._count(transition.saga_type, event.status)
                log.info(
                    "saga.ended",
                    saga_id=str(saga_id),
                    saga_type=transition.saga_type,
                    status=str(event.status),
                )
        # One that failed may have steps under way, whose clocks count once it goes on.
        status = transition.state.status
        if status.ended and status is not TransactionStatus.FAILED:
            self._timers.cancel(saga_id, loaded.seq)

    def _count(self, saga_type: str, status: str) -> None:
        key = (saga_type, status)
        counter = self._ended.get(key)
        if counter is None:
            counter = self._ended[key] = metrics.counter(
                "tracseq_sagas_ended_total", saga_type=saga_type, status=status
            )
        counter.inc()


def _decide(
    definition: Definition | None, state: SagaState | None, given: Input
) -> Transition | Ignored:
    if definition is None:
        if state is None:
            return Ignored(why=Why.UNKNOWN, detail="there is no such saga")
        definition = find(state.saga_type, state.version)
    return decide(definition, state, given)
