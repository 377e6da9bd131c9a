"""Orders to sagas: what a person tells a process to do, and what a process waits to be told.

Every order names its reason, which is recorded with who gave it, and can be tried first: with
`dry_run` it is decided and shown, and nothing is recorded or sent.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from contracts.errors import Refusal
from contracts.message import Command, post
from contracts.transaction import (
    GetTransaction,
    OrderKind,
    StepName,
    StepStatus,
    SubmissionView,
    TransactionFilter,
    TransactionStatus,
)
from contracts.types import Name, Reason, TransactionId, View

SignalName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$"),
    Field(examples=["approval"]),
]
BULK_MAX = 10_000
"""Sagas that one bulk order may name."""


class StepChange(View):
    """What an order does to one step."""

    step: str
    before: StepStatus
    after: StepStatus


class OrderView(View):
    """What an order led to, or with `dry_run` would lead to."""

    transaction_id: TransactionId
    order: OrderKind | None
    """None for a signal."""
    dry_run: bool
    before: TransactionStatus
    after: TransactionStatus
    steps: list[StepChange]
    """Steps that stand otherwise afterwards."""
    asks: list[str]
    """What participants are asked at once: the types of the commands."""
    repeated: bool = False
    """It had been carried out before: nothing was done this time."""


class _Order(Command[OrderView]):
    """What every order says."""

    transaction_id: TransactionId
    reason: Reason
    dry_run: bool = False


class PauseTransaction(
    _Order,
    type="transaction.pause",
    http=post("/transactions/{transaction_id}/pause", status=200),
    needs="transactions:manage",
):
    """Let a process stand still: nothing more is asked, and its clocks stop."""


class ResumeTransaction(
    _Order,
    type="transaction.resume",
    http=post("/transactions/{transaction_id}/resume", status=200),
    needs="transactions:manage",
):
    """Let a paused process go on, with the time that its clocks had left."""


class CancelTransaction(
    _Order,
    type="transaction.cancel",
    http=post("/transactions/{transaction_id}/cancel", status=200),
    needs="transactions:manage",
):
    """Undo what a process did and end it; refused once it passed its point of no return."""


class CompensateTransaction(
    _Order,
    type="transaction.compensate",
    http=post("/transactions/{transaction_id}/compensate", status=200),
    needs="transactions:manage",
):
    """Undo what a failed process did, or a completed one that had no point of no return."""


class RetryStep(
    _Order,
    type="transaction.retry",
    http=post("/transactions/{transaction_id}/retry", status=200),
    needs="transactions:manage",
):
    """Ask a stuck step, or a stuck undo, again."""

    step: StepName | None = None
    """The only stuck one where it is not named."""


class SkipStep(
    _Order,
    type="transaction.skip",
    http=post("/transactions/{transaction_id}/skip", status=200),
    needs="transactions:manage",
):
    """Go on without a stuck step, or leave undone what a stuck undo would undo."""

    step: StepName | None = None
    """The only stuck one where it is not named."""


class CompleteStep(
    _Order,
    type="transaction.complete",
    http=post("/transactions/{transaction_id}/complete", status=200),
    needs="transactions:manage",
):
    """Take a stuck step, or a stuck undo, as done by hand."""

    step: StepName | None = None
    """The only stuck one where it is not named."""
    output: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What the step would have answered; later steps read it."""


class MigrateTransaction(
    _Order,
    type="transaction.migrate",
    http=post("/transactions/{transaction_id}/migrate", status=200),
    needs="transactions:manage",
):
    """Let a process go on under another version, where replay proves that it would stand alike."""

    version: Annotated[int, Field(ge=1)]


class SignalTransaction(
    Command[OrderView],
    type="transaction.signal",
    http=post("/transactions/{transaction_id}/signals/{signal}", status=200),
    needs="transactions:signal",
):
    """Tell a process what it waits for; an approval says `{"approved": true, "comment": ...}`."""

    transaction_id: TransactionId
    signal: SignalName
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    dry_run: bool = False


class ForkView(View):
    """A fork that was begun, or with `dry_run` would be."""

    transaction_id: TransactionId
    forked_from: TransactionId
    dry_run: bool
    reused: list[str]
    """Steps that it takes over with their answers."""
    asks: list[str]


class ForkTransaction(
    Command[ForkView],
    type="transaction.fork",
    http=post(
        "/transactions/{transaction_id}/fork",
        status=202,
        location="/transactions/{transaction_id}",
        then=GetTransaction,
    ),
    needs="transactions:manage",
):
    """Begin a process anew from one of its steps; those before keep their answers."""

    transaction_id: TransactionId
    at: StepName
    reason: Reason
    version: Annotated[int, Field(ge=1)] | None = None
    """The definition's version; the one that it had where it is not said."""
    dry_run: bool = False


class BulkOrderView(View):
    """How far a bulk order is."""

    bulk_id: UUID
    order: OrderKind
    dry_run: bool
    selected: int
    done: int
    """They followed it; with `dry_run`, they would."""
    refused: dict[TransactionId, str]
    """Why, for those that could not follow it."""
    cancelled: bool = False
    finished: bool


class OrderTransactions(
    Command[BulkOrderView],
    type="transaction.order",
    http=post("/transactions/orders", status=202, location="/transaction-orders/{bulk_id}"),
    needs="transactions:manage",
):
    """Give one order to every transaction that a filter selects: selected once, then recorded.

    The id of the command is the id of the bulk order, by which it is watched and cancelled.
    """

    order: OrderKind
    filter: TransactionFilter
    reason: Reason
    step: StepName | None = None
    output: dict[str, Any] = Field(default_factory=dict[str, Any])
    version: Annotated[int, Field(ge=1)] | None = None
    """For `migrate`."""
    limit: Annotated[int, Field(ge=1, le=BULK_MAX)] = BULK_MAX
    dry_run: bool = False


class StartChild(Command[SubmissionView], type="transaction.start_child"):
    """Begin a saga on behalf of a step of another; its end is the step's answer."""

    saga_type: Name
    version: Annotated[int, Field(ge=1)]
    message: dict[str, Any]


class UndoChild(Command[SubmissionView], type="transaction.undo_child"):
    """Undo what a saga did that was begun by a step of another."""

    transaction_id: TransactionId


# Refusals


class OrderRefused(
    Refusal,
    code="transaction.order_refused",
    status=409,
    says="Transaction {transaction_id} cannot {order} now: {because} See where it stands with "
    "GET /api/v1/transactions/{transaction_id}.",
):
    """The transaction stands where this order makes no sense."""

    transaction_id: TransactionId
    order: str
    because: str


class SignalNotAwaited(
    Refusal,
    code="transaction.signal_not_awaited",
    status=409,
    says="Transaction {transaction_id} does not wait for {signal!r}; it waits for: {awaited}.",
):
    """The transaction does not wait for this."""

    transaction_id: TransactionId
    signal: str
    awaited: str


class SignalNotAllowed(
    Refusal,
    code="transaction.signal_not_allowed",
    status=403,
    says="{actor} may not send {signal!r} to transaction {transaction_id}: {because} See whom it "
    "waits for with GET /api/v1/transactions/{transaction_id}.",
):
    """Somebody else has to say this: another person, or one of those named."""

    transaction_id: TransactionId
    signal: str
    actor: str
    because: str
