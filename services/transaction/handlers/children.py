"""Sagas that are steps of other sagas: begun and undone by their parents' commands.

The end of a child is the answer to its parent's step, so the commands themselves are answered only
where there is nothing to wait for.
"""

from dataclasses import replace
from uuid import UUID

from contracts.errors import FieldError, InvalidInput, Refused, Retryable
from contracts.saga_events import ParentStep
from contracts.saga_orders import StartChild, UndoChild
from contracts.saga_tools import SagaTypeUnknown
from contracts.transaction import OrderKind, SubmissionView
from contracts.types import TransactionId
from infra.bus.context import Context, SagaStep
from infra.bus.handler import LATER, Later
from sagas.definitions import UnknownDefinitionError, find
from sagas.engine.decision import Ordered, start_with
from sagas.engine.family import child_id
from services.transaction.handlers.orchestrator import Orchestrator

ABSENT_LOOKS_MAX = 6
"""Deliveries over which a child to be undone may still turn up: about 6 s with the bus's waits."""


class ChildNotThereYetError(Retryable):
    """The child to be undone has not begun; its beginning may be under way."""


async def on_start_child(
    command: StartChild, context: Context, *, orchestrator: Orchestrator
) -> SubmissionView | Later:
    """Begin a saga whose end answers its parent's step; none where the parent waits no more."""
    parent, command_id = _parent(context), UUID(context.message_id)
    waits = (await orchestrator.load(parent.saga_id)).state
    stands = waits.steps.get(parent.step) if waits is not None else None
    if stands is None or stands.command_id != command_id:
        return LATER
    try:
        definition = find(command.saga_type, command.version)
    except UnknownDefinitionError as error:
        raise Refused(SagaTypeUnknown(because=str(error))) from None
    began = start_with(
        definition.starts_with.model_validate(command.message),
        saga_id=child_id(command_id),
        at=context.now,
        actor=context.actor,
        correlation=context.correlation,
        cause=context.message_id,
    )
    step = ParentStep(
        transaction_id=TransactionId(parent.saga_id),
        saga_type=parent.saga_type,
        step=parent.step,
        command_id=command_id,
    )
    begin = replace(began, parent=step)
    child = await orchestrator.advance(began.saga_id, begin, context, definition=definition)
    if context.again and child.state is not None and child.state.status.ended:
        # Its answer may have been lost with whoever appended its end.
        await orchestrator.send_again(child, child.causes[-1], context)
    return LATER


async def on_undo_child(
    command: UndoChild, context: Context, *, orchestrator: Orchestrator
) -> SubmissionView | Later:
    """Undo what a child did; its end answers. One that never began is undone already."""
    child = await orchestrator.load(command.transaction_id)
    if child.state is None:
        if context.delivered < ABSENT_LOOKS_MAX:
            raise ChildNotThereYetError(f"{command.transaction_id} has not begun")
        return SubmissionView(transaction_id=command.transaction_id, repeated=False)
    given = Ordered(
        order=OrderKind.COMPENSATE,
        reason=f"step {_parent(context).step} of its parent is undone",
        by=context.actor,
        at=context.now,
        cause=context.message_id,
        command_id=UUID(context.message_id),
    )
    child = await orchestrator.advance(command.transaction_id, given, context)
    if context.again and child.state is not None and child.state.status.ended:
        await orchestrator.send_again(child, child.causes[-1], context)
    return LATER


def _parent(context: Context) -> SagaStep:
    if context.saga is None:
        problem = FieldError(
            field="message",
            value=None,
            problem="it was sent on behalf of no step of a transaction",
            remedy="Begin a transaction with the command that its definition starts with.",
        )
        raise Refused(InvalidInput(count=1, errors=[problem]))
    return context.saga
