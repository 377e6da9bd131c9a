"""Which transaction a manifest's content belongs to, and where sagas keep their logs.

The same content submitted twice is one submission, unless everything that the first one did was
undone. What a saga does next is decided in `sagas`, not here.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.message import Event
from contracts.saga_events import SubmissionClaimed
from contracts.transaction import SubmitManifest, TransactionStatus
from contracts.types import TransactionId, View
from sagas.engine.state import SagaState, evolve


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


@dataclass(frozen=True, slots=True)
class _SagaLog(Aggregate[SagaState]):
    """Sagas lie in partitioned streams of their own."""

    def subject(self, key: UUID | str) -> str:
        """Give the subject of one saga's log."""
        return subjects.saga_log(UUID(str(key)))

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
