"""What travels through a simulated world, and how each message is named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from contracts.errors import Refusal
from contracts.saga_events import ParentStep
from contracts.saga_orders import StartChild, UndoChild
from contracts.transaction import Failure, OrderKind
from contracts.types import TransactionId
from sagas.engine.decision import (
    Due,
    Input,
    Ordered,
    ParentReply,
    Replied,
    Signalled,
    Start,
    StepCommand,
    failure_of,
)
from sagas.engine.family import child_id
from sagas.engine.state import SagaState
from tests.simulation.broker import Message, Queue
from tests.simulation.kernel import SECOND
from tests.simulation.node import NOON

COMMAND_WINDOW: Final = 600 * SECOND
Labels = dict[UUID, str]


@dataclass(frozen=True, slots=True)
class Given:
    """What stands in a message to a saga."""

    make: Callable[[datetime], Input]
    """Makes the input, at a time by the clock of whoever takes it."""
    begins: str | None = None
    """The type of the saga that it begins."""
    asked_by: tuple[UUID, str] | None = None
    """The saga and the step that want this one undone."""


@dataclass(frozen=True, slots=True)
class Order:
    """What stands in a message to a participant."""

    command: StepCommand
    label: str
    """The saga's name in the trace."""


def to_moment(at: datetime) -> int:
    """Give a time as microseconds since the world began."""
    since = at - NOON
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def short(an_id: UUID) -> str:
    """Give enough of an id to tell it from others in a trace."""
    return an_id.hex[-4:]


# To sagas


def start_message(saga_id: UUID, saga_type: str, message: Mapping[str, Any], label: str) -> Message:
    """Write the message with which a client begins a saga."""

    def make(at: datetime) -> Start:
        return Start(
            saga_id=saga_id,
            message={"saga_type": saga_type, **message},
            at=at,
            actor="ada",
            correlation=label,
            cause=f"{label} start",
        )

    given = Given(make, begins=saga_type)
    return Message(f"{label} start", f"{label} start", Queue.INPUTS, saga_id, given)


def due_message(saga_id: UUID, name: str, key: str, label: str) -> Message:
    """Write the message that says that a timer fired."""
    given = Given(lambda at: Due(name=name, at=at, cause=key))
    return Message(f"{label} timer {name}", key, Queue.INPUTS, saga_id, given)


def signal_message(
    saga_id: UUID, signal: str, data: dict[str, Any], *, by: str, label: str
) -> Message:
    """Write the message with which somebody tells a saga what it waits for."""

    def make(at: datetime) -> Signalled:
        return Signalled(signal=signal, data=data, by=by, at=at, cause=label)

    return Message(label, label, Queue.INPUTS, saga_id, Given(make))


def order_message(saga_id: UUID, order: OrderKind, step: str | None, label: str) -> Message:
    """Write the message with which a person gives an order."""

    def make(at: datetime) -> Ordered:
        return Ordered(order=order, reason="as simulated", by="olga", at=at, cause=label, step=step)

    return Message(label, label, Queue.INPUTS, saga_id, Given(make))


def reply_message(
    saga_id: UUID,
    step: str,
    command_id: UUID,
    outcome: Mapping[str, Any] | Failure,
    *,
    label: str,
) -> Message:
    """Write the answer to a command of a saga."""
    cause = f"{command_id}:reply"
    failure = outcome if isinstance(outcome, Failure) else None
    result = None if isinstance(outcome, Failure) else outcome

    def make(at: datetime) -> Replied:
        return Replied(
            step=step, command_id=command_id, at=at, cause=cause, result=result, failure=failure
        )

    said = f"{label} {step} {short(command_id)} {'refused' if failure else 'answered'}"
    return Message(said, cause, Queue.INPUTS, saga_id, Given(make), window=COMMAND_WINDOW)


# Between sagas


def child_reply(reply: ParentReply, labels: Labels) -> Message:
    """Write the end of a saga that is a step of another."""
    parent = reply.parent
    outcome = failure_of(parent.step, reply.refusal) if reply.refusal else reply.result or {}
    return reply_message(
        parent.transaction_id,
        parent.step,
        reply.command_id,
        outcome,
        label=labels[parent.transaction_id],
    )


def undo_refused(
    message: Message, given: Input, refusal: Refusal, labels: Labels
) -> Message | None:
    """Write to a parent that its child cannot be undone; None where no parent asked."""
    asked_by: tuple[UUID, str] | None = message.body.asked_by
    if not isinstance(given, Ordered) or given.command_id is None or asked_by is None:
        return None
    parent_id, step = asked_by
    failure = failure_of(step, refusal)
    return reply_message(parent_id, step, given.command_id, failure, label=labels[parent_id])


def absent_undone(message: Message, labels: Labels) -> Message:
    """Write to a parent that a child, which never began, is undone."""
    parent_id, step = message.body.asked_by
    return reply_message(parent_id, step, UUID(message.id), {}, label=labels[parent_id])


# To participants


def command_message(command: StepCommand, state: SagaState, labels: Labels) -> Message:
    """Write a command; another attempt at the same one is the same to all but the broker."""
    attempt = state.steps[command.step].timers
    label = labels[state.saga_id]
    if command.type == StartChild.contract.type:
        return _start_child(command, state, labels, attempt)
    if command.type == UndoChild.contract.type:
        return _undo_child(command, state, labels, attempt)
    return Message(
        f"{label} {_verb(command)} {command.step} {short(command.command_id)}",
        str(command.command_id),
        Queue.COMMANDS,
        state.saga_id,
        Order(command, label),
        key=f"{command.command_id}:{attempt}",
        window=COMMAND_WINDOW,
    )


def _verb(command: StepCommand) -> str:
    if command.undo:
        return "undo"
    return "probe" if command.type.endswith("probe") else "do"


def _child_label(saga_id: UUID, command: StepCommand, state: SagaState, labels: Labels) -> str:
    """Name a child, whether it is first heard of to begin it or to undo it."""
    return labels.setdefault(saga_id, f"{labels[state.saga_id]}.{command.step}-{short(saga_id)}")


def _start_child(command: StepCommand, state: SagaState, labels: Labels, attempt: int) -> Message:
    saga_id = child_id(command.command_id)
    label = _child_label(saga_id, command, state, labels)
    parent = ParentStep(
        transaction_id=TransactionId(state.saga_id),
        saga_type=state.saga_type,
        step=command.step,
        command_id=command.command_id,
    )
    cause = str(command.command_id)

    def make(at: datetime) -> Start:
        return Start(
            saga_id=saga_id,
            message=command.data["message"],
            at=at,
            actor=state.actor,
            correlation=state.correlation,
            cause=cause,
            parent=parent,
        )

    given = Given(make, begins=command.data["saga_type"])
    return Message(
        f"{label} start",
        cause,
        Queue.INPUTS,
        saga_id,
        given,
        key=f"{cause}:{attempt}",
        window=COMMAND_WINDOW,
    )


def _undo_child(command: StepCommand, state: SagaState, labels: Labels, attempt: int) -> Message:
    saga_id = UUID(command.data["transaction_id"])
    label = _child_label(saga_id, command, state, labels)
    cause = str(command.command_id)

    def make(at: datetime) -> Ordered:
        return Ordered(
            order=OrderKind.COMPENSATE,
            reason="the saga that began it turned back",
            by=state.actor,
            at=at,
            cause=cause,
            command_id=command.command_id,
        )

    given = Given(make, asked_by=(state.saga_id, command.step))
    return Message(
        f"{label} undo {short(command.command_id)}",
        cause,
        Queue.INPUTS,
        saga_id,
        given,
        key=f"{cause}:{attempt}",
        window=COMMAND_WINDOW,
    )
