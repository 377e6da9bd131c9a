"""Where one step of a saga stands, and how each event of a step changes that.

Nothing is decided here: an event has happened, whatever it says.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from contracts.message import Event
from contracts.saga_events import (
    StepAnswered,
    StepAsked,
    StepAwaiting,
    StepPostponed,
    StepReused,
    StepSignalled,
)
from contracts.transaction import StepStatus, TransactionStepEnded
from sagas.engine.making import replacing

OUTSTANDING: Final = (StepStatus.ASKED, StepStatus.AWAITING, StepStatus.UNDOING)
"""How a step stands of which something is awaited."""


class StepState(NamedTuple):
    """Where one step stands."""

    status: StepStatus = StepStatus.WAITING
    attempts: int = 0
    """How often it was asked in the present direction."""
    command_id: UUID | None = None
    """The command whose answer is awaited; None also where the next attempt gets a new one."""
    asked: tuple[UUID, ...] = ()
    """Every command that asked to do it, oldest first."""
    undone_by: tuple[UUID, ...] = ()
    """Every command that asked to undo it, oldest first."""
    probe_id: UUID | None = None
    """The command that asked what became of it, while that is awaited."""
    probes: int = 0
    timer: str | None = None
    """The timer that counts; every other one is stale."""
    timers: int = 0
    """How many were armed: no two have the same name."""
    due_at: datetime | None = None
    postponed: bool = False
    """Whether the timer ends a pause between attempts rather than a wait for an answer."""
    output: dict[str, Any] | None = None
    """What it answered."""
    reused: bool = False
    """Whether a fork took it over: it is never undone."""
    signal: str | None = None
    """What it waits for, or waited for."""
    needs: int = 0
    allowed: tuple[str, ...] | None = None
    given_by: tuple[str, ...] = ()
    """Who sent the signal, oldest first."""
    detail: str | None = None
    """Why it stands where it stands, for people."""
    asked_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def outstanding(self) -> bool:
        """Whether something is awaited of it."""
        return self.status in OUTSTANDING


_with = replacing(StepState)


def rearmed(before: StepState, timer: str, due_at: datetime) -> StepState:
    """Give a step whose clock runs again after a pause."""
    return _with(before, timer=timer, timers=before.timers + 1, due_at=due_at)


def _on_asked(before: StepState, event: StepAsked, at: datetime) -> StepState:
    if event.probe:
        return _with(
            before,
            timer=event.timer,
            timers=before.timers + 1,
            due_at=event.deadline,
            probe_id=event.command_id,
            probes=before.probes + 1,
        )
    asked, undone_by = before.asked, before.undone_by
    if event.undo:
        undone_by = _added(undone_by, event.command_id)
    else:
        asked = _added(asked, event.command_id)
    return _with(
        before,
        status=StepStatus.UNDOING if event.undo else StepStatus.ASKED,
        attempts=event.attempt,
        command_id=event.command_id,
        asked=asked,
        undone_by=undone_by,
        probe_id=None,
        timer=event.timer,
        timers=before.timers + 1,
        due_at=event.deadline,
        postponed=False,
        asked_at=before.asked_at or at,
        ended_at=None,
    )


def _on_awaiting(before: StepState, event: StepAwaiting, at: datetime) -> StepState:
    return _with(
        before,
        status=StepStatus.AWAITING,
        attempts=before.attempts + 1,
        signal=event.signal,
        needs=event.needs,
        allowed=None if event.allowed is None else tuple(event.allowed),
        timer=event.timer,
        timers=before.timers + 1,
        due_at=event.deadline,
        postponed=False,
        asked_at=before.asked_at or at,
        ended_at=None,
    )


def _on_signalled(before: StepState, event: StepSignalled, _at: datetime) -> StepState:
    given_by = (*before.given_by, event.by)
    return _with(before, given_by=given_by, output={**event.data, "by": list(given_by)})


def _on_answered(before: StepState, event: StepAnswered, _at: datetime) -> StepState:
    if before.probe_id is not None and event.command_id == before.probe_id:
        told = event.output or {}
        done = _with(before, probe_id=None)
        return _with(done, output=told.get("result") or {}) if told.get("done") else done
    output = before.output if event.output is None or event.undo else event.output
    if event.command_id == before.command_id:
        return _with(before, command_id=None, timer=None, due_at=None, output=output)
    return _with(before, output=output)


def _on_postponed(before: StepState, event: StepPostponed, _at: datetime) -> StepState:
    return _with(
        before,
        timer=event.timer,
        timers=before.timers + 1,
        due_at=event.until,
        postponed=True,
        probe_id=None,
        detail=event.detail,
    )


def _on_reused(before: StepState, event: StepReused, at: datetime) -> StepState:
    return _with(before, status=event.status, output=event.output, reused=True, ended_at=at)


def _on_step_ended(before: StepState, event: TransactionStepEnded, at: datetime) -> StepState:
    return _with(
        before,
        status=event.status,
        # Where nobody answered, it may still be done under this command: it is asked again so.
        command_id=before.command_id if event.status is StepStatus.STUCK else None,
        probe_id=None,
        timer=None,
        due_at=None,
        postponed=False,
        detail=event.detail,
        ended_at=at,
    )


def _added(ids: tuple[UUID, ...], command_id: UUID) -> tuple[UUID, ...]:
    return ids if command_id in ids else (*ids, command_id)


CHANGES_OF_STEP: Final[Mapping[type[Event], Callable[[StepState, Any, datetime], StepState]]] = {
    StepAsked: _on_asked,
    StepAwaiting: _on_awaiting,
    StepSignalled: _on_signalled,
    StepAnswered: _on_answered,
    StepPostponed: _on_postponed,
    StepReused: _on_reused,
    TransactionStepEnded: _on_step_ended,
}
"""What each event does to the step that it is of, at a time."""
