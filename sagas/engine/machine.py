"""What a saga does next: `decide(definition, state, input)`. All branching of the engine is here.

Forward, one step is asked after the other. A refused step ends the way forward: what had been done
is undone in reverse. Three rules carry the rest:

* **A known failure gets a new command id, an unknown outcome keeps the old one.** Participants
  answer a repeated id with the recorded outcome, so asking again is safe where nobody answered.
* **What may have been done is undone.** A compensatable step is undone too where nobody answered
  or its participant was unwell, and undone again when its answer turns up late. A pivot given up
  like that cannot be undone: the saga fails and a person looks.
* **One step is awaited at a time, with one timer.** Timers are never cancelled: the one that
  counts is named in the state, and every other one is stale.
"""

from datetime import timedelta
from typing import Final

from contracts.transaction import Failure, StepStatus, StepUnanswered, TransactionStatus
from sagas.engine.decision import Due, Ignored, Input, Replied, Start, Transition, Why, failure_of
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.draft import Draft, begin
from sagas.engine.state import SagaState, StepState

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
    if isinstance(given, Due):
        return _on_due(definition, state, given)
    return _on_reply(definition, state, given)


# Inputs


def _begin(definition: Definition, given: Start) -> Transition:
    draft = begin(definition, given)
    _go_on(draft)
    return draft.finish()


def _begun_already(state: SagaState, given: Start) -> Ignored:
    if given.cause in state.causes:
        return Ignored(why=Why.DUPLICATE, detail=f"{given.cause} was decided on before")
    return Ignored(why=Why.STALE, detail=f"saga {state.saga_id} began at {state.started_at}")


def _on_due(definition: Definition, state: SagaState, given: Due) -> Transition | Ignored:
    step = definition.by_name.get(given.name.rpartition(".")[0])
    stands = None if step is None else state.steps.get(step.name)
    if state.status.ended or step is None or stands is None or stands.timer != given.name:
        return Ignored(why=Why.STALE, detail=f"nothing waits for timer {given.name}")
    if stands.due_at is not None and given.at + CLOCK_SKEW_MAX < stands.due_at:
        detail = f"timer {given.name} is due at {stands.due_at}"
        return Ignored(why=Why.EARLY, detail=detail, again_at=stands.due_at)
    draft = Draft(definition, given, state)
    if stands.paused:
        draft.ask(step, undo=stands.status is StepStatus.UNDOING)
    else:
        _fail(draft, step, _unanswered(step, stands))
    return draft.finish()


def _on_reply(definition: Definition, state: SagaState, given: Replied) -> Transition | Ignored:
    step = definition.by_name.get(given.step)
    stands = state.steps.get(given.step)
    if step is None or stands is None:
        return Ignored(why=Why.UNKNOWN, detail=f"the saga has no step {given.step!r}")
    if given.command_id not in stands.asked + stands.undone_by:
        detail = f"step {step.name} was never asked with command {given.command_id}"
        return Ignored(why=Why.UNKNOWN, detail=detail)
    if given.command_id != stands.command_id or state.status.ended:
        return _on_late_reply(definition, state, given)
    draft = Draft(definition, given, state)
    undo = stands.status is StepStatus.UNDOING
    draft.answered(given, undo=undo)
    if given.failure is not None:
        _fail(draft, step, given.failure)
    elif undo:
        draft.end_step(step, StepStatus.UNDONE)
        _go_back(draft)
    else:
        draft.end_step(step, StepStatus.DONE)
        _go_on(draft)
    return draft.finish()


def _on_late_reply(
    definition: Definition, state: SagaState, given: Replied
) -> Transition | Ignored:
    """Judge an answer that the saga did not wait for: news only where a lost step was done."""
    step, stands = definition.by_name[given.step], state.steps[given.step]
    news = given.failure is None and given.command_id in stands.asked and stands.output is None
    if not news or stands.status is StepStatus.SKIPPED:
        return Ignored(why=Why.STALE, detail=f"nothing waits for {given.command_id} any more")
    if state.status.ended:
        detail = f"step {step.name} was done, and its saga is {state.status}: see what it left"
        return Ignored(why=Why.CLOSED, detail=detail)
    if stands.status not in {StepStatus.UNDOING, StepStatus.UNDONE}:
        return Ignored(why=Why.STALE, detail=f"step {step.name} is {stands.status}")
    # It may have been done after it was undone; only an undo sent from now on surely comes later.
    draft = Draft(definition, given, state)
    draft.answered(given, undo=False)
    if stands.status is StepStatus.UNDOING:
        draft.ask(step, undo=True, anew=True)
    else:
        # Its turn comes again when the undo that is under way is answered: one at a time.
        draft.end_step(step, StepStatus.DONE)
    return draft.finish()


# Failures


def _fail(draft: Draft, step: Step, failure: Failure) -> None:
    """Go on from a step, or an undo, that was refused or not answered."""
    stands = draft.step(step.name)
    undo = stands.status is StepStatus.UNDOING
    retry = step.undo_retry if undo else step.retry
    definite = failure.status < UNWELL_STATUS
    # An undo may not be refused, so a refused one is asked again until a person is called.
    if stands.attempts < retry.attempts and (undo or not definite):
        draft.postpone(step, failure.detail, retry.pause(stands.attempts), undo=undo)
    elif undo:
        draft.end_step(step, StepStatus.STUCK, failure.detail)
        draft.end(TransactionStatus.FAILED, failure)
    elif step.kind is StepKind.RETRIABLE:
        _fail_after_pivot(draft, step, failure)
    elif definite and (step.undo is None or len(stands.asked) == 1):
        draft.end_step(step, StepStatus.REFUSED, failure.detail)
        _compensate(draft, failure)
    else:
        _give_up(draft, step, failure)


def _fail_after_pivot(draft: Draft, step: Step, failure: Failure) -> None:
    if step.optional:
        draft.end_step(step, StepStatus.SKIPPED, failure.detail)
        _go_on(draft)
    else:
        draft.end_step(step, StepStatus.STUCK, failure.detail)
        draft.end(TransactionStatus.FAILED, failure)


def _give_up(draft: Draft, step: Step, failure: Failure) -> None:
    if step.kind is StepKind.PIVOT:
        # Perhaps the point of no return was passed: neither way is safe without a person.
        draft.end_step(step, StepStatus.STUCK, failure.detail)
        draft.end(TransactionStatus.FAILED, failure)
    else:
        draft.end_step(step, StepStatus.UNKNOWN, failure.detail)
        _compensate(draft, failure)


def _compensate(draft: Draft, failure: Failure) -> None:
    draft.turn_back(failure)
    _go_back(draft)


# Directions


def _go_on(draft: Draft) -> None:
    """Ask the next step; with none left, the saga is completed."""
    steps = draft.state.steps
    for step in draft.definition.steps:
        if steps[step.name].status is StepStatus.WAITING:
            draft.ask(step, undo=False)
            return
    draft.end(TransactionStatus.COMPLETED)


def _go_back(draft: Draft) -> None:
    """Undo the newest step that was, or may have been, done; with none left, all is undone."""
    steps = draft.state.steps
    for step in reversed(draft.definition.steps):
        if step.undo and steps[step.name].status in {StepStatus.DONE, StepStatus.UNKNOWN}:
            draft.ask(step, undo=True)
            return
    draft.end(TransactionStatus.COMPENSATED, draft.state.failure)


def _unanswered(step: Step, stands: StepState) -> Failure:
    command = step.undo if stands.status is StepStatus.UNDOING and step.undo else step.ask
    refusal = StepUnanswered(
        step=step.name,
        command_type=command.contract.type,
        attempts=stands.attempts,
        within_seconds=step.within.total_seconds(),
    )
    return failure_of(step.name, refusal)
