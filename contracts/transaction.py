"""Transactions: the processes that span services, as their sagas carry them."""

from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.errors import FieldError, Problem, Refusal
from contracts.message import Command, Event, Query, get, post
from contracts.types import (
    ActorId,
    EmailAddress,
    FileRef,
    Name,
    Page,
    PageNumber,
    PageSize,
    TransactionId,
    UtcTime,
    Value,
    View,
)


class TransactionStatus(StrEnum):
    """Where a saga stands."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    """Everything that had been done was undone."""
    FAILED = "failed"
    """It can neither finish nor be undone by itself: a person is needed."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in {
            TransactionStatus.COMPLETED,
            TransactionStatus.COMPENSATED,
            TransactionStatus.FAILED,
        }


class StepStatus(StrEnum):
    """Where one step of a saga stands."""

    WAITING = "waiting"
    ASKED = "asked"
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Nobody said in time whether it was done."""
    SKIPPED = "skipped"
    UNDOING = "undoing"
    UNDONE = "undone"
    STUCK = "stuck"
    """Neither done nor undone after every retry."""


class Failure(Value):
    """Why a transaction did not complete."""

    step: str
    code: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = Field(default_factory=list[FieldError])
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    """The refusal's own fields."""


class StepView(View):
    """One step of a transaction."""

    name: str
    status: StepStatus
    attempts: int
    asked_at: UtcTime | None = None
    ended_at: UtcTime | None = None
    detail: str | None = None


class TransactionView(View):
    """A transaction as it stands."""

    transaction_id: TransactionId
    saga_type: str
    definition_version: int
    status: TransactionStatus
    steps: list[StepView]
    actor: ActorId
    correlation: str
    started_at: UtcTime
    changed_at: UtcTime
    ended_at: UtcTime | None
    failure: Failure | None
    result: dict[str, Any]
    """What the steps answered, by step; large parts are references."""
    transitions: int
    seq: int

    def to_problem(self, trace_id: str | None = None) -> Problem | None:
        """Say why it did not complete, as problem details; None where it did or may yet."""
        if self.failure is None or not self.status.ended:
            return None
        own: dict[str, Any] = {
            "transaction_id": str(self.transaction_id),
            "transaction_status": self.status,
            "step": self.failure.step,
        }
        return Problem(
            type=f"urn:tracseq:problem:{self.failure.code}",
            title=self.failure.title,
            status=self.failure.status,
            detail=self.failure.detail,
            code=self.failure.code,
            errors=self.failure.errors,
            trace_id=trace_id,
            **own,
        )


class SubmissionView(View):
    """A submission that was taken: its transaction carries it on."""

    transaction_id: TransactionId
    repeated: bool
    """The same file had been submitted before; this is that submission's transaction."""


class TransitionView(View):
    """One transition of a transaction, as its log has it."""

    seq: int
    number: int
    at: UtcTime
    cause: str
    actor: ActorId
    events: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    timers: list[dict[str, Any]]
    status: TransactionStatus
    trace_id: str | None
    hash: str


class TransactionHistory(View):
    """Every transition of a transaction, oldest first."""

    transaction_id: TransactionId
    transitions: list[TransitionView]


# Queries


class GetTransaction(
    Query[TransactionView],
    type="transaction.get",
    http=get("/transactions/{transaction_id}"),
    needs="transactions:read",
):
    """Show a transaction as it is, or as it was at a time.

    With `wait_seconds`, show it once it ended or the wait is over.
    """

    transaction_id: TransactionId
    at: UtcTime | None = None
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 0


class ListTransactions(
    Query[Page[TransactionView]],
    type="transaction.list",
    http=get("/transactions"),
    needs="transactions:read",
):
    """List transactions, newest first."""

    status: TransactionStatus | None = None
    saga_type: Name | None = None
    page: PageNumber = 1
    page_size: PageSize = 50


class GetTransactionHistory(
    Query[TransactionHistory],
    type="transaction.history",
    http=get("/transactions/{transaction_id}/history"),
    needs="transactions:read",
):
    """Show every transition of a transaction."""

    transaction_id: TransactionId


class ExportTransaction(
    Query[dict[str, Any]],
    type="transaction.export",
    http=get("/transactions/{transaction_id}/export"),
    needs="transactions:read",
):
    """Give the whole history, fit for replay and verification anywhere.

    It is `{"transaction_id": ..., "entries": [...]}`.
    """

    transaction_id: TransactionId


# Commands


class SubmitManifest(
    Command[SubmissionView],
    type="transaction.submit_manifest",
    http=post(
        "/submissions", status=202, location="/transactions/{transaction_id}", then=GetTransaction
    ),
    needs="samples:create",
):
    """Take a laboratory's manifest: every row becomes a stored sample, or nothing happens."""

    file: FileRef
    sheet: Name | None = None
    partial: bool = False
    """Take the valid rows and leave the others out."""
    emails: Annotated[list[EmailAddress], Field(max_length=100)] = Field(
        default_factory=list[EmailAddress]
    )
    """Who is told when the samples are stored."""


# Events


class TransactionStarted(Event, type="transaction.started"):
    """A process that spans services began."""

    transaction_id: TransactionId
    saga_type: str
    definition_version: int


class TransactionStepEnded(Event, type="transaction.step_ended"):
    """One step was done, refused, given up, skipped, undone, or is stuck."""

    transaction_id: TransactionId
    saga_type: str
    step: str
    status: StepStatus
    detail: str | None = None


class TransactionCompensating(Event, type="transaction.compensating"):
    """A step failed: what had been done is being undone."""

    transaction_id: TransactionId
    saga_type: str
    failure: Failure


class TransactionEnded(Event, type="transaction.ended"):
    """A process that spans services came to its end."""

    transaction_id: TransactionId
    saga_type: str
    status: Literal[
        TransactionStatus.COMPLETED, TransactionStatus.COMPENSATED, TransactionStatus.FAILED
    ]
    failure: Failure | None = None


class SagaStarted(Event, type="transaction.saga_started", public=False):
    """A saga began under this definition, with this message."""

    transaction_id: TransactionId
    definition_hash: str
    steps: list[str]
    """Their names, in order."""
    message_type: str
    message_version: int
    message: dict[str, Any]


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


class SubmissionClaimed(Event, type="transaction.submission_claimed", public=False):
    """The content of a manifest belongs to a transaction."""

    content: str
    transaction_id: TransactionId
    attempt: int


# Refusals


class TransactionNotFound(
    Refusal,
    code="transaction.not_found",
    status=404,
    says="There is no transaction {transaction_id}. List them with GET /api/v1/transactions.",
):
    """The transaction is not known here."""

    transaction_id: TransactionId


class StepUnanswered(
    Refusal,
    code="transaction.step_unanswered",
    status=504,
    says="Step {step} was asked {attempts} time(s) and nobody answered within "
    "{within_seconds:g} s each time. See whether the service that owns {command_type} is well; "
    "then submit again.",
):
    """A step of a process was not answered in time."""

    step: str
    command_type: str
    attempts: int
    within_seconds: float
