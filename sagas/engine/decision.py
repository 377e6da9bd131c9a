"""What goes into a decision of the machine, and what comes out of it. Nothing is decided here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from contracts.errors import Refusal
from contracts.message import Command, Event
from contracts.transaction import Failure
from sagas.engine.state import SagaState


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Begin a saga."""

    saga_id: UUID
    message: Mapping[str, Any]
    """The start message, as JSON."""
    at: datetime
    actor: str
    correlation: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """A participant answered a command: with a result, or with a failure."""

    step: str
    command_id: UUID
    at: datetime
    cause: str
    result: Mapping[str, Any] | None = None
    """As JSON; empty for a command that answers nothing."""
    failure: Failure | None = None
    """See `failure_of`. Its words are recorded, so that rewording a refusal changes no history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A timer fired."""

    name: str
    at: datetime
    cause: str


Input = Start | Replied | Due


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCommand:
    """A command for a participant."""

    step: str
    undo: bool
    command_id: UUID
    """By this the participant tells a repetition: where nobody answers, it is sent again."""
    type: str
    version: int
    data: Mapping[str, Any]
    deadline: datetime
    """When the saga stops waiting for this attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A wish to be told `Due(name)` at a time. Nobody cancels timers: a stale one is ignored."""

    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """What one input leads to. The events are appended first; commands and timers follow."""

    saga_type: str
    version: int
    definition_hash: str
    input: Input
    events: tuple[Event, ...]
    commands: tuple[StepCommand, ...]
    timers: tuple[Timer, ...]
    state: SagaState
    """The state afterwards: what folding the events gives."""


class Why(StrEnum):
    """Why an input leads to nothing."""

    DUPLICATE = "duplicate"
    """Its transition is in the log: what that one sent may be sent again."""
    STALE = "stale"
    """Nothing waits for it any more."""
    EARLY = "early"
    """A timer fired before its time: hand it in again at `again_at`."""
    CLOSED = "closed"
    """The saga has ended, and this answer would have mattered: a person should see it."""
    UNKNOWN = "unknown"
    """There is no such saga, or no such step: a person should see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An input that leads to nothing; nothing is appended."""

    why: Why
    detail: str
    again_at: datetime | None = None

    @property
    def dead(self) -> bool:
        """Whether it belongs among the dead letters."""
        return self.why in {Why.CLOSED, Why.UNKNOWN}


def start_with(
    message: Command[Any],
    *,
    saga_id: UUID,
    at: datetime,
    actor: str,
    correlation: str,
    cause: str,
) -> Start:
    """Make the input that begins a saga from its start message."""
    return Start(
        saga_id=saga_id,
        message=message.model_dump(mode="json"),
        at=at,
        actor=actor,
        correlation=correlation,
        cause=cause,
    )


def failure_of(step: str, refusal: Refusal) -> Failure:
    """Put a refusal into words, as it is recorded."""
    problem = refusal.to_problem()
    return Failure(
        step=step,
        code=problem.code,
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        errors=problem.errors,
        data=refusal.model_dump(mode="json", exclude={"errors"}),
    )
