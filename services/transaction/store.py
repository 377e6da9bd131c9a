"""The read model of transactions: what lists are answered from. Derived; rebuilt at any time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Loaded
from contracts.entry import Entry
from contracts.transaction import (
    ListTransactions,
    StepStatus,
    TransactionFilter,
    TransactionView,
)
from contracts.types import Page, TransactionId
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel
from infra.store.wanted import EVERYWHERE, HIGHEST, LOWEST, AllOf, AnyOf, Span
from sagas.engine.state import SagaState
from sagas.engine.view import view

TRANSACTIONS = ReadModel(
    "transactions",
    # Those with the most values first: that is where a search begins.
    ask_by=(
        "correlation",
        "attributes",
        "actor",
        "steps",
        "status",
        "saga_type",
        "due_at",
        "changed_at",
    ),
    counted=("status", "saga_type"),
    parts=subjects.SAGA_PARTITIONS,
)

STANDS_AT = frozenset({StepStatus.ASKED, StepStatus.AWAITING, StepStatus.UNDOING, StepStatus.STUCK})
"""How a step stands at which its saga stands."""


def document(loaded: Loaded[SagaState]) -> Put | None:
    """Say what the read model shows of a saga as its log has it; None where there is none."""
    if loaded.state is None:
        return None
    shown = view(loaded.state, seq=loaded.seq, transitions=loaded.number)
    return Put(
        id=str(shown.transaction_id),
        order=_microseconds(shown.started_at),
        view=shown.model_dump(mode="json"),
        fields={
            "status": shown.status.value,
            "saga_type": shown.saga_type,
            "steps": [step.name for step in shown.steps if step.status in STANDS_AT],
            "actor": shown.actor,
            "correlation": shown.correlation,
            "attributes": [f"{name}:{value}" for name, value in shown.attributes.items()],
            "changed_at": milliseconds(shown.changed_at),
            "due_at": milliseconds(shown.due_at) if shown.due_at is not None else None,
        },
        seq=shown.seq,
    )


class TransactionStore:
    """Answers lists of transactions."""

    def __init__(self, reader: Reader[Entry]) -> None:
        """Read through a reader of `TRANSACTIONS`."""
        self._reader = reader

    async def page(self, query: ListTransactions) -> Page[TransactionView]:
        """List transactions, newest first.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time (`Unavailable`).
        """
        partition, seq = _place(query.min_seq) if query.min_seq is not None else (0, 0)
        views, total = await self._reader.page(
            _asked(query),
            page=query.page,
            page_size=query.page_size,
            min_seq=seq,
            part=partition,
            orders=_started(query),
        )
        return Page(
            items=[TransactionView.model_validate(one) for one in views],
            total=total,
            page=query.page,
            page_size=query.page_size,
        )

    async def select(self, wanted: TransactionFilter, limit: int) -> list[TransactionId]:
        """Name the transactions that a filter finds as the list stands, newest first.

        Raises:
            Refused: the store does not answer (`Unavailable`).
        """
        found = await self._reader.ids(_asked(wanted), limit=limit, orders=_started(wanted))
        return [TransactionId(UUID(one)) for one in found]

    async def due(self, before: datetime, limit: int) -> list[TransactionId]:
        """Name transactions of which a clock ran out before a time, newest first.

        What is paused or has ended has no clock, and is not among them.

        Raises:
            Refused: the store does not answer (`Unavailable`).
        """
        asked = {"due_at": Span(0, milliseconds(before))}
        return [TransactionId(UUID(one)) for one in await self._reader.ids(asked, limit=limit)]


def milliseconds(at: datetime) -> int:
    """Say a time as whole milliseconds since 1970."""
    return int(at.timestamp() * 1_000)


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _asked(wanted: TransactionFilter | ListTransactions) -> Mapping[str, Any]:
    changed = wanted.changed_before
    return {
        "status": AnyOf(tuple(one.value for one in wanted.status)) if wanted.status else None,
        "saga_type": wanted.saga_type,
        "steps": wanted.step,
        "actor": wanted.actor,
        "correlation": wanted.correlation,
        "attributes": AllOf(tuple(wanted.attribute)) if wanted.attribute else None,
        "changed_at": Span(below=milliseconds(changed)) if changed is not None else None,
    }


def _started(wanted: TransactionFilter | ListTransactions) -> Span:
    after, before = wanted.started_after, wanted.started_before
    if after is None and before is None:
        return EVERYWHERE
    return Span(
        LOWEST if after is None else _microseconds(after),
        HIGHEST if before is None else _microseconds(before),
    )


def _place(min_seq: str) -> tuple[int, int]:
    """Read `transaction_id:seq`: the partition in which that sequence counts, and the sequence."""
    transaction_id, _, seq = min_seq.partition(":")
    return subjects.saga_partition(UUID(transaction_id)), int(seq)
