"""What people tell a saga to do: which orders make sense where it stands, and what they lead to.

Every order is a transition of its own, with who gave it and why. One that makes no sense is refused
with the reason and the remedy, and changes nothing. Nothing is done here that a person did not say.
"""

from collections.abc import Callable, Mapping
from typing import Final

from contracts.saga_orders import OrderRefused
from contracts.transaction import (
    CancelledByOrder,
    Failure,
    OrderKind,
    StepStatus,
    TransactionStatus,
)
from contracts.types import TransactionId
from sagas.engine.decision import Ignored, Ordered, Transition, Why, failure_of
from sagas.engine.definition import Definition, Step
from sagas.engine.draft import Draft
from sagas.engine.state import SagaState
from sagas.engine.ways import (
    go_back,
    is_pivot,
    is_pivot_unclear,
    may_turn_back,
    settle,
    stuck,
)

UNDER_WAY: Final = frozenset({TransactionStatus.RUNNING, TransactionStatus.COMPENSATING})
NO_LONGER_AWAITED: Final = "no longer awaited, as the saga turned back"


class CannotError(ValueError):
    """An order makes no sense where the saga stands; the text says why and what to do instead."""


def decide_order(definition: Definition, state: SagaState, given: Ordered) -> Transition | Ignored:
    """Say what an order leads to."""
    draft = Draft(definition, given, state)
    try:
        _ORDERS[given.order](draft, given)
    except CannotError as reason:
        refusal = OrderRefused(
            transaction_id=TransactionId(state.saga_id), order=given.order, because=str(reason)
        )
        return Ignored(why=Why.REFUSED, detail=str(reason), refusal=refusal)
    return draft.finish()


def turn_back(draft: Draft, failure: Failure, *, cancelled: bool = False) -> None:
    """Say that the saga goes back, and that nothing of the way forward is awaited any more."""
    for step in draft.definition.steps:
        status = draft.step(step.name).status
        if status is StepStatus.ASKED:
            # It may have been done, or be done later: it is undone in its turn.
            draft.end_step(step, StepStatus.UNKNOWN, NO_LONGER_AWAITED)
        elif status is StepStatus.AWAITING:
            draft.end_step(step, StepStatus.SKIPPED, NO_LONGER_AWAITED)
    draft.turn_back(failure, cancelled=cancelled)


# Standing still


def _pause(draft: Draft, given: Ordered) -> None:
    if draft.state.status not in UNDER_WAY:
        raise CannotError(f"it is {draft.state.status}, so nothing goes on that could be paused.")
    draft.ordered(given)
    draft.pause(given.reason)


def _resume(draft: Draft, given: Ordered) -> None:
    if not draft.paused:
        raise CannotError(f"it is {draft.state.status} and not paused.")
    draft.ordered(given)
    draft.resume(given.reason)
    if not any(stands.outstanding for stands in draft.state.steps.values()):
        settle(draft)


# Turning back


def _cancel(draft: Draft, given: Ordered) -> None:
    state = draft.state
    if state.back or (state.status.ended and state.status is not TransactionStatus.FAILED):
        raise CannotError(f"it is {_where(state)} already.")
    if is_pivot_unclear(draft.definition, state):
        raise CannotError(_say_of_pivot(draft.definition))
    _require_way_back(draft)
    draft.ordered(given)
    refusal = CancelledByOrder(by=given.by, reason=given.reason)
    turn_back(draft, failure_of("", refusal), cancelled=True)
    go_back(draft)


def _compensate(draft: Draft, given: Ordered) -> None:
    state, definition = draft.state, draft.definition
    by_parent = given.command_id is not None
    if by_parent and state.status in {TransactionStatus.COMPENSATED, TransactionStatus.CANCELLED}:
        # It undid itself before its parent asked for it.
        draft.ordered(given)
        draft.reply_to_parent()
        return
    if by_parent and state.back:
        # Its end, once it comes, is what the parent waits for.
        draft.ordered(given)
        return
    if state.back:
        remedy = "retry, skip or complete its stuck step." if state.status.ended else "wait for it."
        raise CannotError(f"it is {_where(state)} already: {remedy}")
    if not (by_parent or state.status in {TransactionStatus.FAILED, TransactionStatus.COMPLETED}):
        raise CannotError(f"it is {state.status}: cancel it instead.")
    if state.parent is not None and not by_parent and state.status is TransactionStatus.COMPLETED:
        parent = state.parent
        raise CannotError(
            f"it is step {parent.step} of transaction {parent.transaction_id}, which counts on it: "
            "compensate that one."
        )
    unclear = is_pivot_unclear(definition, state)
    if not unclear:
        _require_way_back(draft)
    draft.ordered(given)
    if unclear and definition.pivot is not None:
        # Whoever orders this says that the point of no return was not passed.
        draft.end_step(definition.pivot, StepStatus.REFUSED, f"not done, by order: {given.reason}")
    refusal = CancelledByOrder(by=given.by, reason=given.reason)
    turn_back(draft, state.failure or failure_of("", refusal))
    go_back(draft)


def _require_way_back(draft: Draft) -> None:
    if not may_turn_back(draft.definition, draft.state):
        pivot = draft.definition.pivot
        name = pivot.name if pivot else ""
        raise CannotError(
            f"step {name} is its point of no return, and it was passed or is under way: the saga "
            "goes forward only. Undo its effects by an order of their own."
        )


# Steps that wait for a person


def _retry(draft: Draft, given: Ordered) -> None:
    step = _chosen(draft, given)
    draft.ordered(given, step.name)
    draft.reopen()
    draft.ask(step, undo=draft.state.back)


def _skip(draft: Draft, given: Ordered) -> None:
    step = _chosen(draft, given)
    if is_pivot(step) and not draft.state.back:
        raise CannotError(_say_of_pivot(draft.definition))
    draft.ordered(given, step.name)
    draft.reopen()
    status = StepStatus.LEFT if draft.state.back else StepStatus.SKIPPED
    draft.end_step(step, status, f"by order: {given.reason}")
    settle(draft)


def _complete(draft: Draft, given: Ordered) -> None:
    step = _chosen(draft, given)
    draft.ordered(given, step.name)
    draft.reopen()
    if not draft.state.back:
        draft.answered_by_hand(step, given.output or {})
    status = StepStatus.UNDONE if draft.state.back else StepStatus.DONE
    draft.end_step(step, status, f"by hand: {given.reason}")
    settle(draft)


def _chosen(draft: Draft, given: Ordered) -> Step:
    waiting = stuck(draft.definition, draft.state)
    if draft.state.status is not TransactionStatus.FAILED or not waiting:
        raise CannotError(f"it is {_where(draft.state)}, and none of its steps is stuck.")
    names = ", ".join(step.name for step in waiting)
    if given.step is None:
        if len(waiting) > 1:
            raise CannotError(f"several of its steps are stuck: name one of {names}.")
        return waiting[0]
    chosen = [step for step in waiting if step.name == given.step]
    if not chosen:
        raise CannotError(f"step {given.step!r} is not stuck; stuck is: {names}.")
    return chosen[0]


# Another version


def _migrate(draft: Draft, given: Ordered) -> None:
    target, state = given.target, draft.state
    if target is None:
        raise CannotError("no version to go on under was named.")
    if state.status.ended and state.status is not TransactionStatus.FAILED:
        raise CannotError(f"it is {state.status}: it keeps the version that it ended under.")
    if target.version == state.version:
        raise CannotError(f"it goes on under version {state.version} already.")
    draft.ordered(given)
    draft.migrate(target)


def _say_of_pivot(definition: Definition) -> str:
    name = definition.pivot.name if definition.pivot else ""
    return (
        f"nobody knows whether step {name}, its point of no return, was done: look, and then say "
        "so with `complete` (it was) or `compensate` (it was not)."
    )


def _where(state: SagaState) -> str:
    if state.status.ended or not state.back:
        return str(state.status)
    return "being undone"


_ORDERS: Final[Mapping[OrderKind, Callable[[Draft, Ordered], None]]] = {
    OrderKind.PAUSE: _pause,
    OrderKind.RESUME: _resume,
    OrderKind.CANCEL: _cancel,
    OrderKind.COMPENSATE: _compensate,
    OrderKind.RETRY: _retry,
    OrderKind.SKIP: _skip,
    OrderKind.COMPLETE: _complete,
    OrderKind.MIGRATE: _migrate,
}
