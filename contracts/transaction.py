"""Transactions: the processes that span services, as their sagas carry them."""

from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

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
    Reason,
    TransactionId,
    UtcTime,
    Value,
    View,
)

StepName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$"), Field(examples=["reserve"])
]
SearchAttribute = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}:.{1,255}$"),
    Field(
        description="`name:value`, of what a saga's definition says that it can be found by",
        examples=["barcode:LAB-2026-000123"],
    ),
]
TransactionSeq = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[1-9][0-9]{0,14}$"),
    Field(
        description="`transaction_id:seq`, both as an answer about the transaction says them; "
        "the sequences of two transactions cannot be compared",
        examples=["01890a5d-ac96-774b-bcce-b302099a8057:1207"],
    ),
]


class TransactionStatus(StrEnum):
    """Where a saga stands."""

    RUNNING = "running"
    AWAITING = "awaiting"
    """It waits for a signal: for a person, or for something outside the laboratory's services."""
    PAUSED = "paused"
    """It stands still by order, and its clocks with it."""
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    """Everything that had been done was undone."""
    CANCELLED = "cancelled"
    """As compensated, because somebody asked for it."""
    FAILED = "failed"
    """It can neither finish nor be undone by itself: a person is needed."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self in _ENDED


_ENDED = frozenset(
    {
        TransactionStatus.COMPLETED,
        TransactionStatus.COMPENSATED,
        TransactionStatus.CANCELLED,
        TransactionStatus.FAILED,
    }
)

EndStatus = Literal[
    TransactionStatus.COMPLETED,
    TransactionStatus.COMPENSATED,
    TransactionStatus.CANCELLED,
    TransactionStatus.FAILED,
]


class OrderKind(StrEnum):
    """What a person may order a saga to do."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    """Undo what was done and end as cancelled; refused from the pivot on."""
    COMPENSATE = "compensate"
    """Undo what was done: of a saga that failed, or completed without a point of no return."""
    RETRY = "retry"
    """Ask a stuck step, or a stuck undo, again."""
    SKIP = "skip"
    """Go on without a stuck step, or leave undone what a stuck undo would undo."""
    COMPLETE = "complete"
    """Take a stuck step, or a stuck undo, as done by hand, with the answer given."""
    MIGRATE = "migrate"
    """Go on under another version of the definition, which would have led here too."""


class StepStatus(StrEnum):
    """Where one step of a saga stands."""

    WAITING = "waiting"
    ASKED = "asked"
    AWAITING = "awaiting"
    """Waits for a signal."""
    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Nobody said in time whether it was done."""
    SKIPPED = "skipped"
    UNDOING = "undoing"
    UNDONE = "undone"
    LEFT = "left"
    """Not undone: a person said to leave it."""
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


class SignalView(View):
    """A signal that a transaction waits for."""

    signal: str
    step: str
    needs: int
    """From how many different people."""
    given_by: list[ActorId]
    """Who gave it already."""
    allowed: list[ActorId] | None
    """Who may; None where whoever has the permission may."""
    until: UtcTime | None


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
    awaits: list[SignalView] = Field(default_factory=list[SignalView])
    """The signals that it waits for."""
    attributes: dict[str, str] = Field(default_factory=dict[str, str])
    """What it can be found by, as its definition says."""
    deadline: UtcTime | None = None
    due_at: UtcTime | None = None
    """When the next of its clocks runs out; None while it is paused or has ended."""
    parent_id: TransactionId | None = None
    """The transaction that a step of began this one."""
    forked_from: TransactionId | None = None
    definition_hash: str = ""
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


# Which transactions


class _Selection(BaseModel):
    """What transactions are found by: one set of fields for lists and for orders to many."""

    status: list[TransactionStatus] = Field(
        default_factory=list[TransactionStatus], max_length=len(TransactionStatus)
    )
    """They stand in one of these."""
    saga_type: Name | None = None
    step: StepName | None = None
    """They stand at this step: it is asked, awaited, being undone, or stuck."""
    actor: ActorId | None = None
    """Who began them."""
    correlation: Name | None = None
    attribute: list[SearchAttribute] = Field(default_factory=list[SearchAttribute], max_length=20)
    """They have all of these, each `name:value`, as their definition names them."""
    started_after: UtcTime | None = None
    """At this time, or after it."""
    started_before: UtcTime | None = None
    changed_before: UtcTime | None = None
    """Nothing has happened to them since."""


class TransactionFilter(_Selection, Value):
    """Which transactions; all that is said must hold."""


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
    _Selection,
    Query[Page[TransactionView]],
    type="transaction.list",
    http=get("/transactions"),
    needs="transactions:read",
):
    """List transactions, newest first: those of which all that is asked holds."""

    min_seq: TransactionSeq | None = None
    """Wait until the list shows this transition, or a later one of the same transaction."""
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
    """A step failed, or somebody cancelled: what had been done is being undone."""

    transaction_id: TransactionId
    saga_type: str
    failure: Failure
    cancelled: bool = False
    """Whether somebody asked for it: it then ends as cancelled."""


class TransactionPaused(Event, type="transaction.paused"):
    """A process stands still by order: nothing is asked, and no clock runs."""

    transaction_id: TransactionId
    saga_type: str
    reason: Reason


class TransactionResumed(Event, type="transaction.resumed"):
    """A paused process goes on, with the time that each clock had left."""

    transaction_id: TransactionId
    saga_type: str
    reason: Reason


class TransactionOrdered(Event, type="transaction.ordered"):
    """A person gave an order to a process, by hand; the entry names who."""

    transaction_id: TransactionId
    saga_type: str
    order: OrderKind
    reason: Reason
    step: str | None = None
    command_id: UUID | None = None
    """The command of another saga's step that waits for this one to be undone."""


class TransactionReopened(Event, type="transaction.reopened"):
    """A process that had ended goes on, by order."""

    transaction_id: TransactionId
    saga_type: str
    status: Literal[TransactionStatus.RUNNING, TransactionStatus.COMPENSATING]


class TransactionOverdue(Event, type="transaction.overdue"):
    """A process passed its deadline and can only go forward: somebody should look."""

    transaction_id: TransactionId
    saga_type: str
    deadline: UtcTime


class TransactionEnded(Event, type="transaction.ended"):
    """A process that spans services came to its end."""

    transaction_id: TransactionId
    saga_type: str
    status: EndStatus
    failure: Failure | None = None


# Refusals


class TransactionNotFound(
    Refusal,
    code="transaction.not_found",
    status=404,
    says="There is no transaction {transaction_id}. List them with GET /api/v1/transactions.",
):
    """The transaction is not known here."""

    transaction_id: TransactionId


class SignalMissing(
    Refusal,
    code="transaction.signal_missing",
    status=504,
    says="Nobody sent {signal!r} to step {step} within {within_seconds:g} s.",
):
    """A process waited for people, or for something outside, and nothing came."""

    step: str
    signal: str
    within_seconds: float


class ApprovalDenied(
    Refusal,
    code="transaction.approval_denied",
    status=409,
    says="{by} denied step {step} ({comment}). What was done is undone; submit again once it is "
    "mended.",
):
    """Somebody who was asked said no."""

    step: str
    by: ActorId
    comment: str


class DeadlinePassed(
    Refusal,
    code="transaction.deadline_passed",
    status=504,
    says="The process was to be done by {deadline}, and was not.",
):
    """A process took longer than its definition allows."""

    deadline: UtcTime


class CancelledByOrder(
    Refusal,
    code="transaction.cancelled",
    status=409,
    says="{by} ended the process ({reason}). What was done is undone; submit again where it is "
    "wanted.",
):
    """A person had what was done undone."""

    by: ActorId
    reason: str


class ChildUndone(
    Refusal,
    code="transaction.child_undone",
    status=409,
    says="Transaction {transaction_id}, which carries out this step, ended {ended} ({because}). "
    "See GET /api/v1/transactions/{transaction_id}.",
):
    """The process that a step began undid itself."""

    transaction_id: TransactionId
    ended: TransactionStatus
    because: str


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
