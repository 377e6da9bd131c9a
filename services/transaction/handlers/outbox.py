"""What a transition asks for, on its way out: commands, timers, the answer to a parent's step.

Ids come from the transition, so sending twice does nothing twice. What is sent was decided before.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self

from contracts import envelope as wire
from contracts import subjects
from contracts.catalog import encode_refusal, message_class
from contracts.entry import Entry
from contracts.saga_orders import StartChild
from infra.bus.bus import Bus
from infra.bus.context import Context, SagaStep
from sagas.engine.decision import ParentReply, StepCommand, Timer, Transition
from sagas.engine.record import read_commands, read_replies, read_timers
from sagas.engine.state import SagaState
from services.transaction.handlers.timers import Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one transition asked for, and the sequence of its entry."""

    seq: int
    commands: tuple[StepCommand, ...] = ()
    timers: tuple[Timer, ...] = ()
    replies: tuple[ParentReply, ...] = ()

    @classmethod
    def by(cls, transition: Transition, seq: int) -> Self:
        """Give what a transition asks for that was just appended."""
        return cls(
            seq=seq,
            commands=transition.commands,
            timers=transition.timers,
            replies=transition.replies,
        )

    @classmethod
    def still(cls, entry: Entry, state: SagaState) -> Self:
        """Give what an entry asked for and its saga still waits for."""
        steps = state.steps.values()
        awaited = {one for step in steps for one in (step.command_id, step.probe_id)}
        armed = timers_of(state)
        return cls(
            seq=entry.seq,
            commands=tuple(c for c in read_commands(entry.effects) if c.command_id in awaited),
            timers=tuple(t for t in read_timers(entry.effects) if t.name in armed),
            replies=read_replies(entry.effects),
        )


def timers_of(state: SagaState) -> set[str | None]:
    """Name the timers that count where a saga stands."""
    return {state.timer, *(step.timer for step in state.steps.values())}


class Outbox:
    """Sends for sagas."""

    def __init__(self, bus: Bus, timers: Timers) -> None:
        """Say through what."""
        self._bus = bus
        self._timers = timers

    async def send(self, state: SagaState, asked: Asked, context: Context) -> None:
        """Send everything, and return once the broker has it.

        Raises:
            Retryable: the broker is unwell; some of it may be out.
        """
        self._timers.keep(state.saga_id, timers_of(state))
        # At once: with a broker that syncs, each of them takes as long as an append.
        sent = [self._timers.arm(state.saga_id, timer, context) for timer in asked.timers]
        sent += [self._command(state, command, context) for command in asked.commands]
        if len(sent) == 1:
            await sent[0]
        elif sent:
            await asyncio.gather(*sent)
        for reply in asked.replies:
            await self._reply(state, reply, asked.seq, context)

    async def _command(self, state: SagaState, command: StepCommand, context: Context) -> None:
        # Every time that a step is asked has a timer of its own, also under the same command.
        times = state.steps[command.step].timers
        again = f":{times}" if times > 1 else ""
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
            attempt_key=f"{command.command_id}{again}",
        )

    async def _reply(
        self, state: SagaState, reply: ParentReply, seq: int, context: Context
    ) -> None:
        """Answer the step of another saga, as a participant does."""
        body: dict[str, Any] = (
            {"result": reply.result}
            if reply.refusal is None
            else {"refused": encode_refusal(reply.refusal)}
        )
        parent, reply_id = reply.parent, f"{state.saga_id}:{seq}:reply"
        headers = {
            wire.MESSAGE_ID: reply_id,
            "ce-specversion": wire.SPEC_VERSION,
            "ce-id": reply_id,
            "ce-type": f"{StartChild.contract.type}.answered",
            "ce-source": "tracseq/transaction",
            "ce-time": context.now.isoformat(),
            wire.CORRELATION: state.correlation,
            wire.CAUSATION: str(reply.command_id),
            wire.ACTOR: "transaction",
            wire.SAGA_ID: str(parent.transaction_id),
            wire.SAGA_TYPE: parent.saga_type,
            wire.SAGA_STEP: parent.step,
        }
        if context.traceparent:
            headers[wire.TRACEPARENT] = context.traceparent
        await self._bus.connection.publish(
            subjects.reply(parent.saga_type, parent.transaction_id),
            json.dumps(body).encode(),
            headers,
            stream=subjects.REPLIES,
        )
