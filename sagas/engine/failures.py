"""What follows when a step, or an undo, was refused or not answered.

Whether something failed is for participants and clocks to say; how a saga turns, for `ways.py`.
"""

from datetime import timedelta
from typing import Final

from contracts.transaction import (
    Failure,
    SignalMissing,
    StepStatus,
    StepUnanswered,
    TransactionStatus,
)
from sagas.engine import orders
from sagas.engine.decision import failure_of
from sagas.engine.definition import Retry, Step, StepKind
from sagas.engine.draft import Draft
from sagas.engine.step_state import StepState
from sagas.engine.ways import go_back, settle

UNWELL_STATUS: Final = 500
"""From this status on, a failure says nothing about the order itself: asking again may help."""


def fail(draft: Draft, step: Step, failure: Failure, *, surely_not_done: bool = False) -> None:
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
        compensate(draft, failure)
    elif step.kind is StepKind.PIVOT:
        # Perhaps the point of no return was passed: neither way is safe without a person.
        _stick(draft, step, failure)
    else:
        draft.end_step(step, StepStatus.UNKNOWN, failure.detail)
        compensate(draft, failure)


def deny(draft: Draft, step: Step, failure: Failure) -> None:
    """Go on from an approval that somebody did not give."""
    if step.kind is StepKind.RETRIABLE:
        _fail_after_pivot(draft, step, failure)
        return
    draft.end_step(step, StepStatus.REFUSED, failure.detail)
    compensate(draft, failure)


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


def compensate(draft: Draft, failure: Failure) -> None:
    """Turn the saga back, and undo the newest of what was done."""
    orders.turn_back(draft, failure)
    go_back(draft)


def unanswered(step: Step, stands: StepState) -> Failure:
    """Put into words that nobody answered a step, or sent its signal, in time."""
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
