"""What people, or something outside, tell a saga that waits for it: who may, and what it leads to.

A signal that cannot be taken is refused with the reason, and changes nothing.
"""

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contracts.errors import FieldError, InvalidInput, Refusal
from contracts.saga_orders import SignalNotAllowed, SignalNotAwaited
from contracts.transaction import ApprovalDenied, StepStatus, TransactionStatus
from contracts.types import TransactionId
from sagas.engine.decision import Ignored, Signalled, Transition, Why, failure_of
from sagas.engine.definition import Approval, Definition, Step
from sagas.engine.draft import Draft
from sagas.engine.failures import deny
from sagas.engine.state import SagaState
from sagas.engine.ways import settle, stands_still


def decide_signal(
    definition: Definition, state: SagaState, given: Signalled
) -> Transition | Ignored:
    """Say what a signal leads to."""
    waiting = [
        step
        for step in definition.steps
        if step.awaited is not None
        and step.awaited.signal == given.signal
        and state.steps[step.name].status is StepStatus.AWAITING
    ]
    if not waiting or stands_still(state):
        return _refused(_not_awaited(state, given))
    step = waiting[0]
    refusal = _unfit(state, step, given)
    if refusal is not None:
        return _refused(refusal)
    if given.by in state.steps[step.name].given_by:
        return Ignored(why=Why.STALE, detail=f"{given.by} sent {given.signal} before")
    draft = Draft(definition, given, state)
    denied = _is_approval(step) and not given.data.get("approved")
    draft.signalled(step, given, agrees=not denied)
    stands = draft.step(step.name)
    if denied and step.awaited is not None and step.awaited.denial_ends:
        comment = str(given.data.get("comment") or "without a comment")
        refused = ApprovalDenied(step=step.name, by=given.by, comment=comment)
        deny(draft, step, failure_of(step.name, refused))
    elif denied or len(stands.given_by) >= stands.needs:
        draft.end_step(step, StepStatus.DONE)
        settle(draft)
    return draft.finish()


def _unfit(state: SagaState, step: Step, given: Signalled) -> Refusal | None:
    """Say why a signal cannot be taken, where it cannot."""
    awaited, stands = step.awaited, state.steps[step.name]
    if awaited is None:
        return None
    because = ""
    if stands.allowed is not None and given.by not in stands.allowed:
        because = f"only {', '.join(stands.allowed) or 'nobody'} may."
    elif awaited.not_starter and given.by == state.actor:
        because = "whoever began the process may not; ask somebody else."
    if because:
        return SignalNotAllowed(
            transaction_id=TransactionId(state.saga_id),
            signal=given.signal,
            actor=given.by,
            because=because,
        )
    try:
        awaited.data.model_validate(dict(given.data))
    except ValidationError as error:
        errors = [_field_error(awaited.data, one) for one in error.errors()]
        return InvalidInput(count=len(errors), errors=errors)
    return None


def _field_error(model: type[BaseModel], found: ErrorDetails) -> FieldError:
    return FieldError(
        field=".".join(("data", *map(str, found["loc"]))),
        value=None if found["type"] == "missing" else repr(found["input"])[:80],
        problem=found["msg"],
        remedy=f"Send an object with {', '.join(model.model_fields)}.",
    )


def _not_awaited(state: SagaState, given: Signalled) -> Refusal:
    signals = [s.signal or "" for s in state.steps.values() if s.status is StepStatus.AWAITING]
    awaited = ", ".join(signals) or "nothing"
    if state.status is TransactionStatus.PAUSED:
        awaited = "nothing while it is paused; resume it first"
    return SignalNotAwaited(
        transaction_id=TransactionId(state.saga_id), signal=given.signal, awaited=awaited
    )


def _refused(refusal: Refusal) -> Ignored:
    return Ignored(why=Why.REFUSED, detail=refusal.to_problem().detail, refusal=refusal)


def _is_approval(step: Step) -> bool:
    return step.awaited is not None and issubclass(step.awaited.data, Approval)
