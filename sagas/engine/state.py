"""Where a saga stands, and how each event changes that. The log alone rebuilds it.

No definition is needed to fold a history, so a history can be read when its definition is gone.
Nothing is decided here: an event has happened, whatever it says.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.entry import Entry
from contracts.message import Event
from contracts.transaction import (
    Failure,
    SagaStarted,
    StepAnswered,
    StepAsked,
    StepPostponed,
    StepStatus,
    TransactionCompensating,
    TransactionEnded,
    TransactionStarted,
    TransactionStatus,
    TransactionStepEnded,
)

CAUSES_MAX: Final = 64
"""Causes that a state remembers; older duplicates are told by what the saga waits for."""


class Circumstances(Protocol):
    """What a fold needs to know about an entry besides its events."""

    @property
    def at(self) -> datetime: ...  # noqa: D102 - as in Entry
    @property
    def actor(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def cause(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def correlation(self) -> str: ...  # noqa: D102 - as in Entry


class StepState(BaseModel):
    """Where one step stands."""

    model_config = ConfigDict(frozen=True)

    status: StepStatus = StepStatus.WAITING
    attempts: int = 0
    """How often it was asked in the present direction."""
    command_id: UUID | None = None
    """The command whose answer is awaited; None also where the next attempt gets a new one."""
    asked: tuple[UUID, ...] = ()
    """Every command that asked to do it, oldest first."""
    undone_by: tuple[UUID, ...] = ()
    """Every command that asked to undo it, oldest first."""
    timer: str | None = None
    """The timer that counts; every other one is stale."""
    timers: int = 0
    """How many were armed: no two have the same name."""
    due_at: datetime | None = None
    paused: bool = False
    """Whether the timer ends a pause rather than a wait for an answer."""
    output: dict[str, Any] | None = None
    """What it answered."""
    detail: str | None = None
    """Why it stands where it stands, for people."""
    asked_at: datetime | None = None
    ended_at: datetime | None = None


class SagaState(BaseModel):
    """Where a saga stands."""

    model_config = ConfigDict(frozen=True)

    saga_id: UUID
    saga_type: str
    version: int
    definition_hash: str = ""
    status: TransactionStatus = TransactionStatus.RUNNING
    steps: dict[str, StepState] = Field(default_factory=dict[str, StepState])
    message: dict[str, Any] = Field(default_factory=dict[str, Any])
    """The start message, as JSON."""
    actor: str
    correlation: str
    started_at: datetime
    changed_at: datetime
    ended_at: datetime | None = None
    failure: Failure | None = None
    causes: tuple[str, ...] = ()
    """The inputs that led here, oldest first, at most `CAUSES_MAX`."""

    def output(self, step: str) -> Mapping[str, Any] | None:
        """Give what a step answered; None where it has not."""
        found = self.steps.get(step)
        return None if found is None else found.output


def fold(entries: Iterable[Entry]) -> SagaState | None:
    """Rebuild the state from a saga's entries, oldest first."""
    state: SagaState | None = None
    for entry in entries:
        for event in entry.events:
            state = evolve(state, event, entry)
    return state


def evolve(state: SagaState | None, event: Event, entry: Circumstances) -> SagaState | None:
    """Give the state after an event. Events of other kinds change nothing."""
    if isinstance(event, TransactionStarted):
        return SagaState(
            saga_id=event.transaction_id,
            saga_type=event.saga_type,
            version=event.definition_version,
            actor=entry.actor,
            correlation=entry.correlation,
            started_at=entry.at,
            changed_at=entry.at,
            causes=(entry.cause,),
        )
    if state is None:
        return None
    update = _update(state, event, entry.at)
    if update is None:
        return state
    update["changed_at"] = entry.at
    if state.causes[-1] != entry.cause:
        update["causes"] = (*state.causes, entry.cause)[-CAUSES_MAX:]
    # Copied, not validated: the events were, and a fold runs over every entry ever written.
    return state.model_copy(update=update)


def _update(state: SagaState, event: Event, at: datetime) -> dict[str, Any] | None:
    match event:
        case StepAsked() | StepAnswered() | StepPostponed() | TransactionStepEnded():
            before = state.steps.get(event.step)
            if before is None:
                return None
            after = before.model_copy(update=_update_step(before, event, at))
            return {"steps": {**state.steps, event.step: after}}
        case SagaStarted():
            return {
                "definition_hash": event.definition_hash,
                "steps": dict.fromkeys(event.steps, StepState()),
                "message": event.message,
            }
        case TransactionCompensating():
            return {"status": TransactionStatus.COMPENSATING, "failure": event.failure}
        case TransactionEnded():
            failure = event.failure or state.failure
            return {"status": event.status, "failure": failure, "ended_at": at}
        case _:
            return None


_NOTHING_AWAITED: Final[Mapping[str, Any]] = {"command_id": None, "timer": None, "due_at": None}


def _update_step(
    before: StepState,
    event: StepAsked | StepAnswered | StepPostponed | TransactionStepEnded,
    at: datetime,
) -> dict[str, Any]:
    match event:
        case StepAsked():
            return _asked(before, event, at)
        case StepAnswered():
            update = dict(_NOTHING_AWAITED) if event.command_id == before.command_id else {}
            if event.output is not None and not event.undo:
                update["output"] = event.output
            return update
        case StepPostponed():
            return {
                "timer": event.timer,
                "timers": before.timers + 1,
                "due_at": event.until,
                "paused": True,
                "detail": event.detail,
            }
        case TransactionStepEnded():
            return {
                **_NOTHING_AWAITED,
                "status": event.status,
                "paused": False,
                "detail": event.detail,
                "ended_at": at,
            }


def _asked(before: StepState, event: StepAsked, at: datetime) -> dict[str, Any]:
    field, earlier = ("undone_by", before.undone_by) if event.undo else ("asked", before.asked)
    return {
        "status": StepStatus.UNDOING if event.undo else StepStatus.ASKED,
        "attempts": event.attempt,
        "command_id": event.command_id,
        field: earlier if event.command_id in earlier else (*earlier, event.command_id),
        "timer": event.timer,
        "timers": before.timers + 1,
        "due_at": event.deadline,
        "paused": False,
        "asked_at": before.asked_at or at,
        "ended_at": None,
    }
