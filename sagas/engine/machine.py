"""What a saga does next: `decide(definition, state, input)`. All branching of the engine is here.

Forward, one stage is asked after the other. A refused step ends the way forward: what had been done
is undone in reverse, one step at a time. Four rules carry the rest:

* **A known failure gets a new command id, an unknown outcome keeps the old one.** Participants
  answer a repeated id with the recorded outcome, so asking again is safe where nobody answered.
* **What may have been done is undone.** A compensatable step is undone too where nobody answered
  or its participant was unwell, and undone again when its answer turns up late. A pivot given up
  like that cannot be undone: the saga fails and a person looks.
* **Each step has one timer that counts**, named in the state; every other one is stale.
* **A paused saga takes what comes and asks for nothing**: answers are recorded, clocks stand still.

What people order is decided in `orders.py`.
"""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contracts.errors import FieldError, InvalidInput, Refusal
from contracts.saga_orders import SignalNotAllowed, SignalNotAwaited
from contracts.transaction import (
    ApprovalDenied,
    DeadlinePassed,
    Failure,
    SignalMissing,
    StepStatus,
    StepUnanswered,
    TransactionStatus,
)
from contracts.types import TransactionId
from sagas.engine import orders
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Ordered,
    Replied,
    Signalled,
    Start,
    Transition,
    Why,
    failure_of,
)
from sagas.engine.definition import Approval, Definition, Retry, Step, StepKind
from sagas.engine.draft import SAGA_TIMER, Draft, begin
from sagas.engine.state import SagaState, StepState
from sagas.engine.ways import go_back, go_on, may_turn_back, settle

CLOCK_SKEW_MAX: Final = timedelta(seconds=2)
"""How much too early a timer may fire and still count: clocks differ."""
UNWELL_STATUS: Final = 500
"""From this status on, a failure says nothing about the order itself: asking again may help."""


class DefinitionChangedError(ValueError):
    """A saga is to go on under a definition that is not the one it started with."""


def decide(definition: Definition, state: SagaState | None, given: Input) -> Transition | Ignored:
    """Say what an input leads to. The same three arguments always give the same answer.

    Raises:
        DefinitionChangedError: the saga started under another table of the same name and version.
    """
    if isinstance(given, Start):
        return _begin(definition, given) if state is None else _begun_already(state, given)
    if state is None:
        return Ignored(why=Why.UNKNOWN, detail="there is no such saga")
    if given.cause in state.causes:
        return Ignored(why=Why.DUPLICATE, detail=f"{given.cause} was decided on before")
    if state.definition_hash != definition.hash:
        raise DefinitionChangedError(
            f"saga {state.saga_id} started under {state.saga_type} version {state.version} with "
            f"hash {state.definition_hash}; the table of that version has {definition.hash} now. "
            "Give the changed table a new version and keep the old one."
        )
    return _take(definition, state, given)


# Inputs


def _take(
    definition: Definition, state: SagaState, given: Replied | Due | Signalled | Ordered
) -> Transition | Ignored:
    match given:
        case Replied():
            return _on_reply(definition, state, given)
        case Due():
            return _on_due(definition, state, given)
        case Signalled():
            return _on_signal(definition, state, given)
        case Ordered():
            return orders.decide_order(definition, state, given)


def _begin(definition: Definition, given: Start) -> Transition:
    draft = begin(definition, given)
    go_on(draft)
    return draft.finish()


def _begun_already(state: SagaState, given: Start) -> Ignored:
    if given.cause in state.causes:
        return Ignored(why=Why.DUPLICATE, detail=f"{given.cause} was decided on before")
    return Ignored(why=Why.STALE, detail=f"saga {state.saga_id} began at {state.started_at}")


def _on_due(definition: Definition, state: SagaState, given: Due) -> Transition | Ignored:
    name = given.name.rpartition(".")[0]
    if name == SAGA_TIMER:
        return _on_deadline(definition, state, given)
    step = definition.by_name.get(name)
    stands = None if step is None else state.steps.get(step.name)
    if _stands_still(state) or step is None or stands is None or stands.timer != given.name:
        return Ignored(why=Why.STALE, detail=f"nothing waits for timer {given.name}")
    if stands.due_at is not None and given.at + CLOCK_SKEW_MAX < stands.due_at:
        detail = f"timer {given.name} is due at {stands.due_at}"
        return Ignored(why=Why.EARLY, detail=detail, again_at=stands.due_at)
    draft = Draft(definition, given, state)
    undo = stands.status is StepStatus.UNDOING
    if stands.postponed:
        draft.ask(step, undo=undo)
    elif step.probe is not None and stands.probe_id is None and not undo:
        draft.probe(step)
    else:
        _fail(draft, step, _unanswered(step, stands))
    return draft.finish()


def _on_deadline(definition: Definition, state: SagaState, given: Due) -> Transition | Ignored:
    """Turn a saga back that took too long; one that cannot turn back any more is told about."""
    deadline = state.deadline
    if _stands_still(state) or state.back or state.timer != given.name or deadline is None:
        return Ignored(why=Why.STALE, detail=f"nothing waits for timer {given.name}")
    if given.at + CLOCK_SKEW_MAX < deadline:
        detail = f"timer {given.name} is due at {deadline}"
        return Ignored(why=Why.EARLY, detail=detail, again_at=deadline)
    draft = Draft(definition, given, state)
    if may_turn_back(definition, state) and not state.status.ended:
        failure = failure_of("", DeadlinePassed(deadline=deadline))
        _compensate(draft, failure)
    else:
        draft.overdue(deadline)
    return draft.finish()


def _on_reply(definition: Definition, state: SagaState, given: Replied) -> Transition | Ignored:
    step = definition.by_name.get(given.step)
    stands = state.steps.get(given.step)
    if step is None or stands is None:
        return Ignored(why=Why.UNKNOWN, detail=f"the saga has no step {given.step!r}")
    if given.command_id == stands.probe_id:
        return _on_probed(definition, state, given, step)
    if given.command_id not in stands.asked + stands.undone_by:
        # An answer to an earlier probe cannot be told from one to nothing: it harms as little.
        why = Why.STALE if stands.probes else Why.UNKNOWN
        detail = f"step {step.name} does not wait for command {given.command_id}"
        return Ignored(why=why, detail=detail)
    if given.command_id != stands.command_id or _is_closed(state):
        return _on_late_reply(definition, state, given)
    if stands.status is StepStatus.STUCK:
        return _on_stuck_reply(definition, state, given, step)
    draft = Draft(definition, given, state)
    undo = stands.status is StepStatus.UNDOING
    draft.answered(given, undo=undo)
    if given.failure is not None:
        _fail(draft, step, given.failure)
    else:
        draft.end_step(step, StepStatus.UNDONE if undo else StepStatus.DONE)
        settle(draft)
    return draft.finish()


def _on_stuck_reply(
    definition: Definition, state: SagaState, given: Replied, step: Step
) -> Transition | Ignored:
    """Take the answer that a step got stuck for the want of: once it is known, the saga goes on."""
    if given.failure is not None:
        detail = f"step {step.name} is stuck and was not done: a person orders what happens"
        return Ignored(why=Why.STALE, detail=detail)
    draft = Draft(definition, given, state)
    draft.answered(given, undo=state.back)
    draft.end_step(step, StepStatus.UNDONE if state.back else StepStatus.DONE)
    draft.reopen()
    settle(draft)
    return draft.finish()


def _on_probed(
    definition: Definition, state: SagaState, given: Replied, step: Step
) -> Transition | Ignored:
    """Take what a participant says became of a step."""
    if _is_closed(state):
        return Ignored(why=Why.STALE, detail=f"nothing waits for probe {given.command_id}")
    draft = Draft(definition, given, state)
    draft.answered(given, undo=False)
    if given.failure is None and (given.result or {}).get("done"):
        draft.end_step(step, StepStatus.DONE)
        settle(draft)
    else:
        # Surely not done is known; a probe that failed leaves it unknown.
        stands = draft.step(step.name)
        _fail(draft, step, _unanswered(step, stands), surely_not_done=given.failure is None)
    return draft.finish()


def _on_late_reply(
    definition: Definition, state: SagaState, given: Replied
) -> Transition | Ignored:
    """Judge an answer that the saga did not wait for: news only where a lost step was done."""
    step, stands = definition.by_name[given.step], state.steps[given.step]
    news = given.failure is None and given.command_id in stands.asked and stands.output is None
    if not news or stands.status in {StepStatus.SKIPPED, StepStatus.LEFT}:
        return Ignored(why=Why.STALE, detail=f"nothing waits for {given.command_id} any more")
    if state.status.ended:
        detail = f"step {step.name} was done, and its saga is {state.status}: see what it left"
        return Ignored(why=Why.CLOSED, detail=detail)
    if stands.status not in {StepStatus.UNKNOWN, StepStatus.UNDOING, StepStatus.UNDONE}:
        return Ignored(why=Why.STALE, detail=f"step {step.name} is {stands.status}")
    # It may have been done after it was undone; only an undo sent from now on surely comes later.
    draft = Draft(definition, given, state)
    draft.answered(given, undo=False)
    if stands.status is StepStatus.UNDOING and not draft.paused:
        draft.ask(step, undo=True, anew=True)
    else:
        # Its turn comes, or comes again, after the undo that is under way: one at a time.
        draft.end_step(step, StepStatus.DONE)
    return draft.finish()


def _on_signal(definition: Definition, state: SagaState, given: Signalled) -> Transition | Ignored:
    waiting = [
        step
        for step in definition.steps
        if step.awaited is not None
        and step.awaited.signal == given.signal
        and state.steps[step.name].status is StepStatus.AWAITING
    ]
    if not waiting or _stands_still(state):
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
        _deny(draft, step, failure_of(step.name, refused))
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


def _is_closed(state: SagaState) -> bool:
    # A saga that failed waits for a person, and its other steps may still be under way.
    return state.status.ended and state.status is not TransactionStatus.FAILED


def _stands_still(state: SagaState) -> bool:
    return _is_closed(state) or state.status is TransactionStatus.PAUSED


def _is_approval(step: Step) -> bool:
    return step.awaited is not None and issubclass(step.awaited.data, Approval)


# Failures


def _fail(draft: Draft, step: Step, failure: Failure, *, surely_not_done: bool = False) -> None:
    """Go on from a step, or an undo, that was refused or not answered."""
    stands = draft.step(step.name)
    undo = stands.status is StepStatus.UNDOING
    if draft.paused:
        # Decided once the saga goes on: it is asked again then, and fails again if it must.
        draft.postpone(step, failure.detail, timedelta(0), undo=undo)
        return
    retry = step.undo_retry if undo else step.retry
    definite = failure.status < UNWELL_STATUS
    safe = undo or step.idempotent or surely_not_done or definite
    if stands.attempts < retry.attempts and safe and _may_help(retry, failure, undo=undo):
        number = stands.timers + 1
        pause = retry.pause(stands.attempts, f"{draft.saga_id}:{step.name}:{number}")
        draft.postpone(step, failure.detail, pause, undo=undo)
    elif undo:
        _stick(draft, step, failure)
    elif step.kind is StepKind.RETRIABLE:
        _fail_after_pivot(draft, step, failure)
    elif step.awaited is not None or (definite and (not step.undo or len(stands.asked) == 1)):
        draft.end_step(step, StepStatus.REFUSED, failure.detail)
        _compensate(draft, failure)
    elif step.kind is StepKind.PIVOT:
        # Perhaps the point of no return was passed: neither way is safe without a person.
        _stick(draft, step, failure)
    else:
        draft.end_step(step, StepStatus.UNKNOWN, failure.detail)
        _compensate(draft, failure)


def _deny(draft: Draft, step: Step, failure: Failure) -> None:
    if step.kind is StepKind.RETRIABLE:
        _fail_after_pivot(draft, step, failure)
        return
    draft.end_step(step, StepStatus.REFUSED, failure.detail)
    _compensate(draft, failure)


def _may_help(retry: Retry, failure: Failure, *, undo: bool) -> bool:
    """Say whether asking again may help after this failure."""
    if undo:
        # An undo may not be refused, so a refused one is asked again until a person is called.
        return True
    if failure.code in retry.never:
        return False
    return failure.status >= UNWELL_STATUS or failure.code in retry.also


def _fail_after_pivot(draft: Draft, step: Step, failure: Failure) -> None:
    if step.optional:
        draft.end_step(step, StepStatus.SKIPPED, failure.detail)
        settle(draft)
    else:
        _stick(draft, step, failure)


def _stick(draft: Draft, step: Step, failure: Failure) -> None:
    draft.end_step(step, StepStatus.STUCK, failure.detail)
    if not draft.state.status.ended:
        draft.end(TransactionStatus.FAILED, failure)


def _compensate(draft: Draft, failure: Failure) -> None:
    orders.turn_back(draft, failure)
    go_back(draft)


def _unanswered(step: Step, stands: StepState) -> Failure:
    if step.awaited is not None:
        missing = SignalMissing(
            step=step.name,
            signal=step.awaited.signal,
            within_seconds=step.within.total_seconds(),
        )
        return failure_of(step.name, missing)
    command = step.undo if stands.status is StepStatus.UNDOING else step.ask
    refusal = StepUnanswered(
        step=step.name,
        command_type=command.contract.type if command else "",
        attempts=stands.attempts,
        within_seconds=step.within.total_seconds(),
    )
    return failure_of(step.name, refusal)
