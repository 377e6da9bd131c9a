"""Sagas that are steps of other sagas: what they are called, and what they answer."""

from typing import Any
from uuid import UUID

from contracts.transaction import ChildUndone, TransactionStatus
from contracts.types import TransactionId, derive_id
from sagas.engine.decision import ParentReply
from sagas.engine.state import SagaState


def child_id(command_id: UUID) -> TransactionId:
    """Name the saga that a command of another begins: the same command, the same saga."""
    return TransactionId(derive_id(command_id, "child"))


def answer_to_parent(state: SagaState) -> ParentReply | None:
    """Give the answer of a saga to the step that began it; None before it surely ended."""
    parent, status = state.parent, state.status
    if parent is None or not status.ended or status is TransactionStatus.FAILED:
        # Of a saga that a person must look at, neither outcome is true yet.
        return None
    if status is TransactionStatus.COMPLETED:
        outputs = {name: one.output for name, one in state.steps.items() if one.output is not None}
        result: dict[str, Any] = {"transaction_id": str(state.saga_id), "steps": outputs}
        return ParentReply(parent=parent, command_id=parent.command_id, result=result)
    if state.undo_command is not None:
        return ParentReply(parent=parent, command_id=state.undo_command, result={})
    refusal = ChildUndone(
        transaction_id=TransactionId(state.saga_id),
        ended=status,
        because=state.failure.detail if state.failure else "",
    )
    return ParentReply(parent=parent, command_id=parent.command_id, refusal=refusal)
