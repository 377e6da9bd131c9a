"""What goes into a decision of the machine, and what comes out of it. Nothing is decided here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, dataclass_transform
from uuid import UUID

from contracts.errors import Refusal
from contracts.message import Command, Event
from contracts.saga_events import ForkPoint, ParentStep
from contracts.transaction import ChildUndone, Failure, OrderKind, StepStatus
from sagas.engine.state import SagaState

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """Make a dataclass that nobody changes: type checkers see to it, and nothing when it runs.

    A frozen one takes twice the time to make, and every decision makes five of them.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)


@value
class Reused:
    """A step that a fork takes over."""

    status: StepStatus
    output: Mapping[str, Any] | None


@value
class Start:
    """Begin a saga."""

    saga_id: UUID
    message: Mapping[str, Any]
    """The start message, as JSON."""
    at: datetime
    actor: str
    correlation: str
    cause: str
    parent: ParentStep | None = None
    """The step of another saga that it carries out."""
    forked_from: ForkPoint | None = None
    reused: Mapping[str, Reused] = field(default_factory=dict[str, Reused])
    """What a fork takes over, by step."""


@value
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


@value
class Due:
    """A timer fired."""

    name: str
    at: datetime
    cause: str


@value
class Signalled:
    """Somebody, or something outside, said what a saga may wait for."""

    signal: str
    data: Mapping[str, Any]
    by: str
    at: datetime
    cause: str


@value
class Target:
    """The version of a definition that a saga is to go on under."""

    version: int
    hash: str
    steps: tuple[str, ...]


@value
class Ordered:
    """A person told a saga what to do; or its parent told it to undo what it did."""

    order: OrderKind
    reason: str
    by: str
    at: datetime
    cause: str
    step: str | None = None
    """For retry, skip and complete; the only stuck one where it is not named."""
    output: Mapping[str, Any] | None = None
    """For complete: what the step would have answered."""
    target: Target | None = None
    """For migrate; whether the saga would stand alike there is proved by whoever orders it."""
    command_id: UUID | None = None
    """The parent's command whose answer is the end of this saga."""


Input = Start | Replied | Due | Signalled | Ordered


@value
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


@value
class Timer:
    """A wish to be told `Due(name)` at a time. Nobody cancels timers: a stale one is ignored."""

    name: str
    due_at: datetime


@value
class ParentReply:
    """The answer of a saga that has ended to the step of another that began it."""

    parent: ParentStep
    command_id: UUID
    result: Mapping[str, Any] | None = None
    refusal: ChildUndone | None = None


@value
class Transition:
    """What one input leads to. The events are appended first; commands and timers follow."""

    saga_type: str
    version: int
    definition_hash: str
    input: Input
    events: tuple[Event, ...]
    commands: tuple[StepCommand, ...]
    timers: tuple[Timer, ...]
    replies: tuple[ParentReply, ...]
    """At most one: the end of a saga that is a step of another."""
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
    REFUSED = "refused"
    """An order or a signal that makes no sense where the saga stands: `refusal` says why."""


@value
class Ignored:
    """An input that leads to nothing; nothing is appended."""

    why: Why
    detail: str
    again_at: datetime | None = None
    refusal: Refusal | None = None

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
