"""Questions about transactions: one from its log, lists from the read model."""

from typing import Any
from uuid import UUID

from contracts.aggregate import Loaded
from contracts.errors import Refused
from contracts.transaction import (
    ExportTransaction,
    GetTransaction,
    GetTransactionHistory,
    ListTransactions,
    TransactionHistory,
    TransactionNotFound,
    TransactionView,
)
from contracts.types import Page
from infra.bus.context import Context
from sagas.engine.state import SagaState
from sagas.engine.view import timeline, view
from services.transaction import domain
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.handlers.waiting import Waiting
from services.transaction.store import TransactionStore


async def on_get(
    query: GetTransaction, context: Context, *, orchestrator: Orchestrator, waiting: Waiting
) -> TransactionView:
    """Show a transaction as it is, as it was, or as it is once it ended."""
    del context
    if query.at is not None:
        then = await orchestrator.of(query.transaction_id).at(query.transaction_id, query.at)
        if then.state is None:
            raise Refused(TransactionNotFound(transaction_id=query.transaction_id))
        return view(then.state, seq=then.seq, transitions=then.number)
    seen = await waiting.until(
        query.transaction_id,
        lambda: orchestrator.load(query.transaction_id),
        _ended,
        seconds=query.wait_seconds,
    )
    if seen.state is None:
        raise Refused(TransactionNotFound(transaction_id=query.transaction_id))
    return view(seen.state, seq=seen.seq, transitions=seen.number)


def _ended(seen: Loaded[SagaState]) -> bool:
    """Say whether nothing is left to wait for: also where there is no such transaction."""
    return seen.state is None or seen.state.status.ended


async def on_history(
    query: GetTransactionHistory, context: Context, *, orchestrator: Orchestrator
) -> TransactionHistory:
    """Show every transition of a transaction."""
    del context
    entries = await orchestrator.of(query.transaction_id).history(query.transaction_id)
    if not entries:
        raise Refused(TransactionNotFound(transaction_id=query.transaction_id))
    return TransactionHistory(transaction_id=query.transaction_id, transitions=timeline(entries))


async def on_export(
    query: ExportTransaction, context: Context, *, orchestrator: Orchestrator
) -> dict[str, Any]:
    """Give a transaction's log as the very bytes that were hashed."""
    del context
    saga_id: UUID = query.transaction_id
    entries = await orchestrator.of(saga_id).history(saga_id)
    if not entries:
        raise Refused(TransactionNotFound(transaction_id=query.transaction_id))
    bodies = await orchestrator.of(saga_id).log.bodies(domain.SAGA, saga_id)
    return {
        "transaction_id": str(saga_id),
        "entries": [
            {"seq": e.seq, "body": b.decode()} for e, b in zip(entries, bodies, strict=False)
        ],
    }


async def on_list(
    query: ListTransactions, context: Context, *, store: TransactionStore
) -> Page[TransactionView]:
    """List transactions from the read model."""
    del context
    return await store.page(query)
