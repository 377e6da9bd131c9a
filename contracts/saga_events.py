"""What a saga's own log says: every turn of its steps. Private: nothing here leaves the log."""

from typing import Any
from uuid import UUID

from pydantic import Field

from contracts.message import Event
from contracts.transaction import Failure, StepStatus
from contracts.types import ActorId, TransactionId, UtcTime, Value


class ParentStep(Value):
    """The step of another saga that a saga carries out."""

    transaction_id: TransactionId
    saga_type: str
    step: str
    command_id: UUID
    """The command whose answer is this saga's end."""


class ForkPoint(Value):
    """Where a saga branched off another."""

    transaction_id: TransactionId
    seq: int
    """Stream sequence of the other's newest entry then."""
    step: str
    """The first step that was not taken over."""


class SagaStarted(Event, type="transaction.saga_started", public=False):
    """A saga began under this definition, with this message."""

    transaction_id: TransactionId
    definition_hash: str
    steps: list[str]
    """Their names, in order."""
    message_type: str
    message_version: int
    message: dict[str, Any]
    attributes: dict[str, str] = Field(default_factory=dict[str, str])
    """What it can be found by, besides its steps and times."""
    parent: ParentStep | None = None
    forked_from: ForkPoint | None = None
    timer: str | None = None
    """The timer that fires at the deadline of the whole saga; None where it has none."""
    deadline: UtcTime | None = None


class StepAsked(Event, type="transaction.step_asked", public=False):
    """A participant was asked to do or undo a step; asked again, it gets the same command id."""

    transaction_id: TransactionId
    step: str
    undo: bool
    command_id: UUID
    attempt: int
    """1 for the first time in this direction."""
    timer: str
    """The timer that fires at the deadline."""
    deadline: UtcTime
    probe: bool = False
    """Whether it was only asked what became of the step."""


class StepAwaiting(Event, type="transaction.step_awaiting", public=False):
    """The saga waits for a signal."""

    transaction_id: TransactionId
    step: str
    signal: str
    needs: int
    """From how many different people."""
    allowed: list[ActorId] | None = None
    """Who may send it; None where whoever has the permission may."""
    timer: str
    deadline: UtcTime


class StepSignalled(Event, type="transaction.step_signalled", public=False):
    """A signal came that the saga waits for; the entry names who sent it."""

    transaction_id: TransactionId
    step: str
    signal: str
    by: ActorId
    data: dict[str, Any]
    agrees: bool = True
    """False where it is an approval that was denied."""


class StepReused(Event, type="transaction.step_reused", public=False):
    """A fork takes a step over as the saga that it branched off had it; it never undoes it."""

    transaction_id: TransactionId
    step: str
    status: StepStatus
    output: dict[str, Any] | None = None


class StepAnswered(Event, type="transaction.step_answered", public=False):
    """A participant answered: with what it made (`output`), or with why it did not (`failure`)."""

    transaction_id: TransactionId
    step: str
    undo: bool
    command_id: UUID
    output: dict[str, Any] | None = None
    failure: Failure | None = None


class StepPostponed(Event, type="transaction.step_postponed", public=False):
    """A step will be asked again after a pause: nobody answered, or the participant was unwell."""

    transaction_id: TransactionId
    step: str
    undo: bool
    detail: str
    timer: str
    """The timer that ends the pause."""
    until: UtcTime


class TimersRearmed(Event, type="transaction.timers_rearmed", public=False):
    """A resumed saga's clocks run again, each with the time that it had left when it was paused."""

    transaction_id: TransactionId
    timers: dict[str, str]
    """By step, the new timer; the empty name is the saga's own deadline."""
    due_at: dict[str, UtcTime]


class SagaMigrated(Event, type="transaction.saga_migrated", public=False):
    """A saga goes on under another version of its definition, which would have led here too."""

    transaction_id: TransactionId
    definition_version: int
    definition_hash: str
    steps: list[str]


class SubmissionClaimed(Event, type="transaction.submission_claimed", public=False):
    """The content of a manifest belongs to a transaction."""

    content: str
    transaction_id: TransactionId
    attempt: int
