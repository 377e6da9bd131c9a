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

from contracts.transaction import (
    DeadlinePassed,
    StepStatus,
)
from sagas.engine import orders
from sagas.engine.beginning import begin
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
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.draft import SAGA_TIMER, Draft
from sagas.engine.failures import compensate, fail, unanswered
from sagas.engine.signals import decide_signal
from sagas.engine.state import SagaState
from sagas.engine.ways import go_on, is_closed, may_turn_back, settle, stands_still

CLOCK_SKEW_MAX: Final = timedelta(seconds=2)
"""How much too early a timer may fire and still count: clocks differ."""


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
            return decide_signal(definition, state, given)
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
    if stands_still(state) or step is None or stands is None or stands.timer != given.name:
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
        fail(draft, step, unanswered(step, stands))
    return draft.finish()


def _on_deadline(definition: Definition, state: SagaState, given: Due) -> Transition | Ignored:
    """Turn a saga back that took too long; one that cannot turn back any more is told about."""
    deadline = state.deadline
    if stands_still(state) or state.back or state.timer != given.name or deadline is None:
        return Ignored(why=Why.STALE, detail=f"nothing waits for timer {given.name}")
    if given.at + CLOCK_SKEW_MAX < deadline:
        detail = f"timer {given.name} is due at {deadline}"
        return Ignored(why=Why.EARLY, detail=detail, again_at=deadline)
    draft = Draft(definition, given, state)
    if may_turn_back(definition, state) and not state.status.ended:
        failure = failure_of("", DeadlinePassed(deadline=deadline))
        compensate(draft, failure)
    else:
        draft.overdue(deadline)
    return draft.finish()


def _on_reply(definition: Definition, state: SagaState, given: Replied) -> Transition | Ignored:
    step = definition.by_name.get(given.step)
    stands = state.steps.get(given.step)
    if step is None or stands is None:
        return Ignored(why=Why.UNKNOWN, detail=f"the saga has no step {given.step!r}")
    if stands.probe_id is not None and given.command_id == stands.probe_id:
        return _on_probed(definition, state, given, step)
    if given.command_id not in stands.asked and given.command_id not in stands.undone_by:
        # An answer to an earlier probe cannot be told from one to nothing: it harms as little.
        why = Why.STALE if stands.probes else Why.UNKNOWN
        detail = f"step {step.name} does not wait for command {given.command_id}"
        return Ignored(why=why, detail=detail)
    if given.command_id != stands.command_id or is_closed(state):
        return _on_late_reply(definition, state, given)
    if stands.status is StepStatus.STUCK:
        return _on_stuck_reply(definition, state, given, step)
    draft = Draft(definition, given, state)
    undo = stands.status is StepStatus.UNDOING
    draft.answered(given, undo=undo)
    if given.failure is not None:
        fail(draft, step, given.failure)
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
    if is_closed(state):
        return Ignored(why=Why.STALE, detail=f"nothing waits for probe {given.command_id}")
    draft = Draft(definition, given, state)
    draft.answered(given, undo=False)
    if given.failure is None and (given.result or {}).get("done"):
        draft.end_step(step, StepStatus.DONE)
        settle(draft)
    else:
        # Surely not done is known; a probe that failed leaves it unknown.
        stands = draft.step(step.name)
        fail(draft, step, unanswered(step, stands), surely_not_done=given.failure is None)
    return draft.finish()


def _on_late_reply(
    definition: Definition, state: SagaState, given: Replied
) -> Transition | Ignored:
    """Judge an answer that the saga did not wait for: news only where a lost step was done."""
    step, stands = definition.by_name[given.step], state.steps[given.step]
    news = given.failure is None and given.command_id in stands.asked and stands.output is None
    if not news or stands.status in {StepStatus.SKIPPED, StepStatus.LEFT}:
        return Ignored(why=Why.STALE, detail=f"nothing waits for {given.command_id} any more")
    if state.status.ended and step.kind is StepKind.QUERY:
        return Ignored(why=Why.STALE, detail=f"step {step.name} leaves nothing behind")
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
