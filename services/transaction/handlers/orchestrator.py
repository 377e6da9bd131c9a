"""Where the pure saga engine meets the log: an input, its transition, what that asks for.

An input is done with only when its transition is in the log *and* its commands and timers are out.
A crash in between brings the input again, which finds its transition and sends what that one asked
for: the ids are the same, so nothing is done twice. Nothing is decided here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from contracts import envelope as wire
from contracts import subjects
from contracts.aggregate import Loaded
from contracts.catalog import message_class
from contracts.entry import Entry
from contracts.transaction import TransactionEnded
from infra.bus.bus import Bus
from infra.bus.context import Context, SagaStep
from infra.log.log import Aggregates, Change, Log
from infra.telemetry import metrics
from sagas.definitions import find
from sagas.engine.decision import Due, Ignored, Input, Start, StepCommand, Timer, Transition, Why
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import read_commands, read_timers, to_entry_parts
from sagas.engine.state import SagaState
from services.transaction import domain
from services.transaction.handlers.waiting import Waiting

log = structlog.get_logger(__name__)

DUE_TTL = "168h"
"""How long a timer that fired waits to be heard."""


class OrphanInputError(LookupError):
    """An input that nobody waits for and a person should see: it becomes a dead letter."""


@dataclass(slots=True)
class _Decided:
    """What the engine said to one input."""

    definition: Definition | None
    answer: Transition | Ignored | None = None


class Orchestrator:
    """Carries every saga on, one input at a time per saga."""

    def __init__(self, logs: Sequence[Log], bus: Bus, waiting: Waiting) -> None:
        """Take the logs of the partitions, in order."""
        self._sagas = [log.of(domain.SAGA) for log in logs]
        self._bus = bus
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
            OrphanInputError: no saga waits for it, and a person should see it.
            Retryable: the broker is unwell; hand the same input in again.
        """
        sagas, decided = self.of(saga_id), _Decided(definition)

        def choose(state: SagaState | None) -> Sequence[Any]:
            decided.answer = _decide(decided.definition, state, given)
            return decided.answer.events if isinstance(decided.answer, Transition) else ()

        def effects() -> dict[str, Any]:
            return (
                to_entry_parts(decided.answer)[1] if isinstance(decided.answer, Transition) else {}
            )

        change = Change(
            domain.SAGA, str(saga_id), choose, new=isinstance(given, Start), effects=effects
        )
        loaded: Loaded[SagaState] = (await sagas.log.transact([change], context))[0]
        match decided.answer:
            case Transition() as transition if loaded.causes[-1:] == (context.message_id,):
                await self._send(transition.state, transition.commands, transition.timers, context)
                self._tell(saga_id, transition)
            case Ignored(why=Why.EARLY, again_at=again_at) if again_at and isinstance(given, Due):
                timer = Timer(name=given.name, due_at=again_at)
                await self._arm(saga_id, timer, context, again=True)
            case Ignored(dead=True, detail=detail):
                raise OrphanInputError(detail)
            case _:
                await self._send_again(saga_id, loaded, context)
        return loaded

    # What a transition asks for

    async def _send(
        self,
        state: SagaState,
        commands: Sequence[StepCommand],
        timers: Sequence[Timer],
        context: Context,
    ) -> None:
        for timer in timers:
            await self._arm(state.saga_id, timer, context)
        for command in commands:
            attempts = state.steps[command.step].attempts
            await self._bus.send(
                message_class(command.type).contract,
                json.dumps(command.data).encode(),
                message_id=str(command.command_id),
                # On behalf of whoever began the saga, not of the service that answered last.
                actor=state.actor,
                correlation=state.correlation,
                causation=context.message_id,
                saga=SagaStep(saga_id=state.saga_id, saga_type=state.saga_type, step=command.step),
                traceparent=context.traceparent,
                attempt_key=str(command.command_id)
                if attempts == 1
                else f"{command.command_id}:{attempts}",
            )

    async def _send_again(self, saga_id: UUID, loaded: Loaded[SagaState], context: Context) -> None:
        """Send once more what the transition of a repeated input asked for and is still awaited."""
        state = loaded.state
        if state is None or state.status.ended or context.message_id not in loaded.causes:
            return
        entry = await self._entry_of(saga_id, context.message_id)
        if entry is None:
            return
        awaited = {step.command_id for step in state.steps.values()}
        armed = {step.timer for step in state.steps.values()}
        commands = [c for c in read_commands(entry.effects) if c.command_id in awaited]
        timers = [t for t in read_timers(entry.effects) if t.name in armed]
        await self._send(state, commands, timers, context)

    async def _entry_of(self, saga_id: UUID, cause: str) -> Entry | None:
        for entry in reversed(await self.of(saga_id).history(saga_id)):
            if entry.cause == cause:
                return entry
        return None

    async def _arm(
        self, saga_id: UUID, timer: Timer, context: Context, *, again: bool = False
    ) -> None:
        """Ask the broker to say when a time has come.

        There is one subject per saga, so that a newer timer replaces the older: only one counts.
        """
        timer_id = (
            f"{saga_id}:{timer.name}:{_stamp(timer.due_at)}" if again else f"{saga_id}:{timer.name}"
        )
        headers = {
            wire.MESSAGE_ID: timer_id,
            "Nats-Schedule": f"@at {timer.due_at.isoformat()}",
            "Nats-Schedule-Target": subjects.saga_due(saga_id, timer.name),
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
        await self._bus.connection.publish(subjects.saga_timer(saga_id, "deadline"), body, headers)

    def _tell(self, saga_id: UUID, transition: Transition) -> None:
        self._waiting.changed(saga_id)
        for event in transition.events:
            if isinstance(event, TransactionEnded):
                key = (transition.saga_type, str(event.status))
                counter = self._ended.get(key)
                if counter is None:
                    counter = self._ended[key] = metrics.counter(
                        "tracseq_sagas_ended_total", saga_type=key[0], status=key[1]
                    )
                counter.inc()
                log.info(
                    "saga.ended",
                    saga_id=str(saga_id),
                    saga_type=transition.saga_type,
                    status=str(event.status),
                )


def _decide(
    definition: Definition | None, state: SagaState | None, given: Input
) -> Transition | Ignored:
    if definition is None:
        if state is None:
            return Ignored(why=Why.UNKNOWN, detail="there is no such saga")
        definition = find(state.saga_type, state.version)
    return decide(definition, state, given)


def _stamp(at: datetime) -> str:
    return f"{at.timestamp():.3f}"
