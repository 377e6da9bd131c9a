"""Looking into sagas: their state at any time, whether their history holds, what it would be today.

Nothing here changes anything.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.errors import Refusal
from contracts.message import Command, Event, Query, get, post
from contracts.saga_orders import BulkOrderView
from contracts.transaction import OrderKind, StepName, TransactionStatus
from contracts.types import Name, Reason, TransactionId, UtcTime, View


class Drawing(StrEnum):
    """How a diagram is written."""

    MERMAID = "mermaid"
    SVG = "svg"


class DiagramView(View):
    """A picture of a definition, or of one transaction's way through it."""

    title: str
    format: Drawing
    content: str
    """The text of the Mermaid flowchart, or of the SVG document."""


class StateView(View):
    """Everything that a transaction's log says of it up to an entry."""

    transaction_id: TransactionId
    seq: int
    """Stream sequence of the newest entry that counts."""
    transitions: int
    at: UtcTime
    state: dict[str, Any]


class VerificationView(View):
    """Whether a transaction's log is whole: every entry follows the one before it."""

    transaction_id: TransactionId
    whole: bool
    entries: int
    """Entries in order up to the first that is not."""
    head: str
    """The hash of the newest good entry: what an auditor writes down."""
    problem: str | None = None


class ReplayView(View):
    """Whether today's definition decides as a transaction's log says it did."""

    transaction_id: TransactionId
    same: bool
    transitions: int
    divergence: dict[str, Any] | None = None
    """`{saga, seq, expected, produced, state_diff, definition: {file, line}}`."""
    problem: str | None = None
    """Why it could not be replayed to its end."""


class SagaTypeView(View):
    """One version of one type of saga."""

    saga_type: str
    version: int
    hash: str
    steps: list[str]
    starts_with: str
    """The command that begins it."""
    runnable: bool
    """Whether every service that it asks stands."""
    missing_services: list[str]
    faults: list[str]
    """What the validator says; empty where it can work."""


class SagaTypes(View):
    """Every saga of the laboratory, in every version."""

    items: list[SagaTypeView]


class GetTransactionState(
    Query[StateView],
    type="transaction.state",
    http=get("/transactions/{transaction_id}/state"),
    needs="transactions:read",
):
    """Show the whole state of a transaction: now, at a time, or after an entry."""

    transaction_id: TransactionId
    at: UtcTime | None = None
    seq: Annotated[int, Field(ge=1)] | None = None
    """Stream sequence of an entry, as `history` shows it."""


class VerifyTransaction(
    Query[VerificationView],
    type="transaction.verify",
    http=get("/transactions/{transaction_id}/verify"),
    needs="transactions:read",
):
    """Check the hash chain of a transaction's log."""

    transaction_id: TransactionId


class ReplayTransaction(
    Query[ReplayView],
    type="transaction.replay",
    http=get("/transactions/{transaction_id}/replay"),
    needs="transactions:read",
):
    """Replay a transaction through today's definition; nothing is sent or changed."""

    transaction_id: TransactionId


class DrawTransaction(
    Query[DiagramView],
    type="transaction.diagram",
    http=get("/transactions/{transaction_id}/diagram"),
    needs="transactions:read",
):
    """Draw a transaction's way through its definition, every step coloured by how it stands."""

    transaction_id: TransactionId
    format: Drawing = Drawing.MERMAID


class ListSagaTypes(
    Query[SagaTypes],
    type="transaction.types",
    http=get("/sagas"),
    needs="transactions:read",
):
    """List every saga of the laboratory, in every version, with what the validator says."""


class DrawSagaType(
    Query[DiagramView],
    type="transaction.type_diagram",
    http=get("/sagas/{saga_type}/diagram"),
    needs="transactions:read",
):
    """Draw a definition."""

    saga_type: Name
    version: Annotated[int, Field(ge=1)] | None = None
    """The newest where it is not said."""
    format: Drawing = Drawing.MERMAID


class OutcomeChange(View):
    """A transaction that would have gone otherwise."""

    transaction_id: TransactionId
    recorded: TransactionStatus
    under: TransactionStatus | Literal["unanswered"]
    """How it would stand; `unanswered` where it asks for what no recorded answer tells."""
    at_step: str | None
    """Where it leaves the recorded way."""


class WhatIfView(View):
    """What recorded transactions would have come to under another version."""

    saga_type: str
    version: int
    transactions: int
    same: int
    changed: list[OutcomeChange]
    outcomes: dict[str, dict[str, int]]
    """`{recorded: {"completed": n, ...}, "under": {...}}`."""


class WhatIf(
    Query[WhatIfView],
    type="transaction.what_if",
    http=get("/sagas/{saga_type}/what-if"),
    needs="transactions:read",
):
    """Run recorded transactions through another version, with the answers that were recorded."""

    saga_type: Name
    version: Annotated[int, Field(ge=1)]
    newest: Annotated[int, Field(ge=1, le=1_000)] = 200
    """How many transactions are taken."""


class GetBulkOrder(
    Query[BulkOrderView],
    type="transaction.bulk_order",
    http=get("/transaction-orders/{bulk_id}"),
    needs="transactions:read",
):
    """Show how far a bulk order is."""

    bulk_id: UUID


class CancelBulkOrder(
    Command[BulkOrderView],
    type="transaction.cancel_order",
    http=post("/transaction-orders/{bulk_id}/cancel", status=200),
    needs="transactions:manage",
):
    """Stop a bulk order where it is; what was done stays done."""

    bulk_id: UUID
    reason: Reason


class BulkOrdered(Event, type="transaction.bulk_ordered"):
    """One order was given to many transactions at once."""

    bulk_id: UUID
    order: OrderKind
    reason: Reason
    transaction_ids: list[TransactionId]
    step: StepName | None = None
    output: dict[str, Any] = Field(default_factory=dict[str, Any])
    version: int | None = None


class BulkOrderAdvanced(Event, type="transaction.bulk_advanced", public=False):
    """A bulk order reached some more of its transactions, in their order."""

    bulk_id: UUID
    done: list[TransactionId]
    refused: dict[TransactionId, str]
    """Why, for those that could not follow it."""


class BulkOrderCancelled(Event, type="transaction.bulk_cancelled"):
    """A bulk order was stopped before it reached everyone."""

    bulk_id: UUID
    reason: Reason


class BulkOrderEnded(Event, type="transaction.bulk_ended"):
    """A bulk order reached everyone that it was for, or was stopped."""

    bulk_id: UUID
    done: int
    refused: dict[TransactionId, str]


# Refusals


class BulkOrderNotFound(
    Refusal,
    code="transaction.bulk_order_not_found",
    status=404,
    says="There is no bulk order {bulk_id}.",
):
    """The bulk order is not known here."""

    bulk_id: UUID


class SagaTypeUnknown(
    Refusal,
    code="transaction.type_unknown",
    status=404,
    says="{because}. List them with GET /api/v1/sagas.",
):
    """There is no such saga, or no such version of it."""

    because: str


class ServicesMissing(
    Refusal,
    code="transaction.services_missing",
    status=501,
    says="{saga_type} asks services that this laboratory does not run: {services}.",
):
    """A process cannot begin, as somebody whom it asks is not there."""

    saga_type: str
    services: str


class StateNotFound(
    Refusal,
    code="transaction.state_not_found",
    status=404,
    says="Transaction {transaction_id} has no entry with sequence {seq}; "
    "see GET /api/v1/transactions/{transaction_id}/history.",
):
    """The transaction's log has no such entry."""

    transaction_id: TransactionId
    seq: int


class NotReplayable(
    Refusal,
    code="transaction.not_alike",
    status=409,
    says="Transaction {transaction_id} would not stand alike under version {version}: at sequence "
    "{seq}, see {place}.",
):
    """Replay does not prove that the other version would have led here."""

    transaction_id: TransactionId
    version: int
    seq: int
    place: str
    """File and line of the definition where the ways part."""


class CannotFork(
    Refusal,
    code="transaction.cannot_fork",
    status=409,
    says="Transaction {transaction_id} cannot be forked at {step!r}: {because} See its steps with "
    "GET /api/v1/transactions/{transaction_id}.",
):
    """The steps before the fork cannot be taken over."""

    transaction_id: TransactionId
    step: str
    because: str
