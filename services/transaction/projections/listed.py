"""Which read models the transaction service keeps.

Sagas lie in several partitions, streams whose sequences cannot be compared: the list follows them
all beside each other and keeps one position for each. So it shows every transition, also those that
nobody outside is told of.
"""

from collections.abc import AsyncGenerator, Sequence
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Aggregate
from contracts.entry import Entry
from infra.log.log import Log
from infra.runtime.platform import Platform
from infra.store.projector import Project, Projector
from infra.store.read_model import Put, Write
from sagas.engine.state import SagaState
from services.transaction import domain
from services.transaction.store import TRANSACTIONS, document


class Partition:
    """The log entries of one partition, as a source of the list."""

    def __init__(self, log: Log) -> None:
        """Follow the log of a partition."""
        self._log = log

    async def head(self) -> int:
        """Give the sequence of the newest entry; the stream holds timers too, which are none."""
        newest = await self._log.connection.last(self._log.stream, self._log.filter)
        return newest.seq if newest else 0

    def follow(self, after: int) -> AsyncGenerator[Sequence[Entry]]:
        """Give every entry after a sequence, live and in order."""
        return self._log.follow(after)


def transactions(
    platform: Platform, partitions: Sequence[Log], kind: Aggregate[SagaState] = domain.SAGA
) -> Projector[Entry]:
    """Keep the list of transactions, from the logs of all partitions in order.

    `kind` is how the process folds sagas otherwise too: what one reads, the other remembers.
    """
    return Projector(
        platform.service,
        platform.store,
        TRANSACTIONS,
        [Partition(log) for log in partitions],
        project(partitions, kind),
        clock=platform.clock,
    )


def project(partitions: Sequence[Log], kind: Aggregate[SagaState] = domain.SAGA) -> Project[Entry]:
    """Make one document per saga, from its newest state: newer than the entry is no fault."""

    async def shown(saga_id: UUID, seq: int) -> Put | None:
        """Say what the list shows of a saga that has come to a sequence, or further.

        None where its log is gone: what the list shows of it stays.
        """
        log = partitions[subjects.saga_partition(saga_id)]
        loaded = await log.load(kind, saga_id, fresh=False)
        return document(loaded if loaded.seq >= seq else await log.load(kind, saga_id))

    async def writes(entries: Sequence[Entry]) -> Sequence[Write]:
        newest = {kind.key_of(entry.subject): entry.seq for entry in entries}
        puts = [await shown(UUID(key), seq) for key, seq in newest.items() if key is not None]
        return [put for put in puts if put is not None]

    return writes
