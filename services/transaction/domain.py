"""Which transaction a manifest's content belongs to, how far orders to many are, where sagas lie.

The same content submitted twice is one submission, unless everything that the first one did was
undone. An order to many names its transactions once and reaches each of them once, in their order.
What a saga does next is decided in `sagas`, not here.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.message import Event
from contracts.saga_events import SubmissionClaimed
from contracts.saga_orders import BulkOrderView
from contracts.saga_tools import (
    BulkOrderAdvanced,
    BulkOrderCancelled,
    BulkOrdered,
    BulkOrderEnded,
)
from contracts.transaction import OrderKind, SubmitManifest, TransactionStatus
from contracts.types import TransactionId, View
from sagas.engine.definition import Definition
from sagas.engine.state import SagaState, evolve

SUBJECTS_MAX = 4_096
"""Subjects of saga logs kept in memory: each is asked for many times within one transition."""


class SubmissionClaim(View):
    """The newest transaction of a content."""

    content: str
    transaction_id: TransactionId
    attempt: int


def evolve_claim(
    claim: SubmissionClaim | None, event: Event, entry: Entry
) -> SubmissionClaim | None:
    """Fold one event into a content's claim."""
    del entry
    if isinstance(event, SubmissionClaimed):
        return SubmissionClaim(
            content=event.content, transaction_id=event.transaction_id, attempt=event.attempt
        )
    return claim


CLAIM = Aggregate("transaction", "submission", SubmissionClaim, evolve_claim)


@lru_cache(maxsize=SUBJECTS_MAX)
def _saga_log(saga_id: str) -> str:
    return subjects.saga_log(UUID(saga_id))


@dataclass(frozen=True, slots=True)
class _SagaLog(Aggregate[SagaState]):
    """Sagas lie in partitioned streams of their own."""

    def subject(self, key: UUID | str) -> str:
        """Give the subject of one saga's log."""
        return _saga_log(str(key))

    def key_of(self, subject: str) -> str | None:
        """Give the saga that a log subject names."""
        return subject.rpartition(".")[2]


SAGA: Aggregate[SagaState] = _SagaLog("transaction", "saga", SagaState, evolve)


def content_of(command: SubmitManifest) -> str:
    """Name what is submitted: the bytes, the sheet, and whether part of it will do."""
    text = f"{command.file.sha256}|{command.sheet or ''}|{command.partial}"
    return hashlib.sha256(text.encode()).hexdigest()


def may_start_again(status: TransactionStatus | None) -> bool:
    """Say whether a content whose transaction stands so may be submitted anew."""
    return status is TransactionStatus.COMPENSATED


def claim(
    current: SubmissionClaim | None,
    content: str,
    transaction_id: TransactionId,
    *,
    replaces: TransactionId | None,
) -> Sequence[Event]:
    """Give a content to a transaction, unless it has one other than the one to be replaced."""
    if current is not None and current.transaction_id != replaces:
        return []
    attempt = current.attempt + 1 if current is not None else 1
    return [SubmissionClaimed(content=content, transaction_id=transaction_id, attempt=attempt)]


# Orders to many


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOrder:
    """One order to many transactions, and how far it is."""

    bulk_id: UUID
    order: OrderKind
    reason: str
    transaction_ids: tuple[TransactionId, ...]
    step: str | None
    output: dict[str, Any]
    version: int | None
    done: int = 0
    refused: Mapping[TransactionId, str]
    cancelled: bool = False
    finished: bool = False

    @property
    def reached(self) -> int:
        """How many it was given to; the next in order comes next."""
        return self.done + len(self.refused)

    def ahead(self, most: int) -> tuple[TransactionId, ...]:
        """Name the next that it is for, at most so many; none where it ended."""
        if self.finished:
            return ()
        return self.transaction_ids[self.reached : self.reached + most]

    def view(self) -> BulkOrderView:
        """Show how far it is."""
        return BulkOrderView(
            bulk_id=self.bulk_id,
            order=self.order,
            dry_run=False,
            selected=len(self.transaction_ids),
            done=self.done,
            refused=dict(self.refused),
            cancelled=self.cancelled,
            finished=self.finished,
        )


def evolve_bulk(bulk: BulkOrder | None, event: Event, entry: Entry) -> BulkOrder | None:
    """Fold one event into an order to many."""
    del entry
    if isinstance(event, BulkOrdered):
        return BulkOrder(
            bulk_id=event.bulk_id,
            order=event.order,
            reason=event.reason,
            transaction_ids=tuple(event.transaction_ids),
            step=event.step,
            output=event.output,
            version=event.version,
            refused={},
        )
    if bulk is None:
        return None
    match event:
        case BulkOrderAdvanced():
            refused = {**bulk.refused, **event.refused}
            return replace(bulk, done=bulk.done + len(event.done), refused=refused)
        case BulkOrderCancelled():
            return replace(bulk, cancelled=True)
        case BulkOrderEnded():
            return replace(bulk, finished=True)
        case _:
            return bulk


BULK = Aggregate("transaction", "bulk", BulkOrder, evolve_bulk)


def advance(
    bulk: BulkOrder | None, after: int, done: Sequence[TransactionId], refused: Mapping[Any, str]
) -> Sequence[Event]:
    """Record whom an order reached next, after so many; end it behind the last, or if cancelled.

    Nothing where it was recorded before: after a crash, the same ones are reached once more.
    """
    if bulk is None or bulk.finished or bulk.reached != after:
        return []
    events: list[Event] = []
    if done or refused:
        events.append(
            BulkOrderAdvanced(bulk_id=bulk.bulk_id, done=list(done), refused=dict(refused))
        )
    reached = bulk.reached + len(done) + len(refused)
    if bulk.cancelled or reached == len(bulk.transaction_ids):
        events.append(
            BulkOrderEnded(
                bulk_id=bulk.bulk_id,
                done=bulk.done + len(done),
                refused={**bulk.refused, **refused},
            )
        )
    return events


def cancel_bulk(bulk: BulkOrder | None, reason: str) -> Sequence[Event]:
    """Stop an order to many; nothing where it ended, or was stopped before."""
    if bulk is None or bulk.finished or bulk.cancelled:
        return []
    return [BulkOrderCancelled(bulk_id=bulk.bulk_id, reason=reason)]


# Who is needed


def missing_services(definition: Definition, standing: Collection[str]) -> list[str]:
    """Name the services that a definition and its children ask and that do not stand."""
    return sorted(set(_asked(definition)) - set(standing))


def _asked(definition: Definition) -> Iterator[str]:
    for step in definition.steps:
        for command in (step.ask, step.undo, step.probe):
            if command is not None:
                yield command.contract.owner
        if step.saga is not None:
            yield from _asked(step.saga)
