"""The two ways that a saga goes: forward stage by stage, back step by step.

Why it goes one way or the other is decided in `machine.py` and `orders.py`.
"""

from typing import Final

from contracts.transaction import StepStatus, TransactionStatus
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.draft import Draft
from sagas.engine.state import SagaState
from sagas.engine.step_state import OUTSTANDING

MAY_BE_DONE: Final = (StepStatus.DONE, StepStatus.UNKNOWN)
"""How a step stands that must be undone on the way back."""
UNTOUCHED: Final = (StepStatus.WAITING, StepStatus.REFUSED)
"""How a pivot stands that surely was not passed."""


def settle(draft: Draft) -> None:
    """Go on in the saga's direction, unless it stands still."""
    if draft.paused or draft.state.status.ended:
        return
    if draft.state.back:
        go_back(draft)
    else:
        go_on(draft)


def go_on(draft: Draft) -> None:
    """Ask the next stage, once nothing of this one is awaited; after the last, it is completed."""
    for stage in draft.definition.stages:
        awaited = is_stuck = False
        for step in stage:
            status = draft.state.steps[step.name].status
            if status is StepStatus.WAITING:
                _enter(draft, step)
                status = draft.state.steps[step.name].status
            awaited = awaited or status in OUTSTANDING
            is_stuck = is_stuck or status is StepStatus.STUCK
        if awaited:
            return
        if is_stuck:
            draft.end(TransactionStatus.FAILED, draft.state.failure)
            return
    draft.end(TransactionStatus.COMPLETED)


def _enter(draft: Draft, step: Step) -> None:
    if step.when is not None and not step.when.holds(draft.state):
        detail = f"not needed, as this does not hold: {step.when}"
        draft.end_step(step, StepStatus.SKIPPED, detail)
    else:
        draft.ask(step, undo=False)


def go_back(draft: Draft) -> None:
    """Undo the newest step that was, or may have been, done; with none left, all is undone."""
    steps = draft.state.steps
    for stands in steps.values():
        if stands.status is StepStatus.UNDOING:
            return
    for step in reversed(draft.definition.steps):
        stands = steps[step.name]
        if step.undo is not None and stands.status in MAY_BE_DONE and not stands.reused:
            draft.ask(step, undo=True)
            return
    if draft.state.cancelled:
        draft.end(TransactionStatus.CANCELLED, draft.state.failure)
    else:
        draft.end(TransactionStatus.COMPENSATED, draft.state.failure)


def may_turn_back(definition: Definition, state: SagaState) -> bool:
    """Say whether a saga has surely not passed its point of no return, nor is about to."""
    pivot = definition.pivot
    return pivot is None or state.steps[pivot.name].status in UNTOUCHED


def is_pivot_unclear(definition: Definition, state: SagaState) -> bool:
    """Say whether nobody knows if the point of no return was passed: a person has to say."""
    pivot = definition.pivot
    return pivot is not None and state.steps[pivot.name].status is StepStatus.STUCK


def stuck(definition: Definition, state: SagaState) -> list[Step]:
    """Give the steps that wait for a person, in order."""
    return [s for s in definition.steps if state.steps[s.name].status is StepStatus.STUCK]


def is_pivot(step: Step) -> bool:
    """Say whether a step is the point of no return."""
    return step.kind is StepKind.PIVOT


def is_closed(state: SagaState) -> bool:
    """Say whether a saga has ended for good."""
    # A saga that failed waits for a person, and its other steps may still be under way.
    return state.status.ended and state.status is not TransactionStatus.FAILED


def stands_still(state: SagaState) -> bool:
    """Say whether nothing is to happen in a saga now."""
    return is_closed(state) or state.status is TransactionStatus.PAUSED
