"""The archivist: sagas that ended long ago leave the broker's memory, and stay readable.

Found by the logs alone: what ended long ago lies at the beginning of its partition. One that failed
stays, since a person is still needed. How logs are moved, so that nothing is lost on the way, is
the business of `infra/log/archiving.py`.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta

import structlog

from contracts.aggregate import Loaded
from contracts.entry import BrokenChainError
from contracts.errors import Retryable
from contracts.saga_archive import ArchiveTransactions, ArchiveView
from contracts.transaction import TransactionEnded, TransactionStatus
from infra.bus.context import Context
from infra.clock import Clock
from infra.log.archive import MARK
from infra.log.archiving import Archiving, Moved
from infra.log.log import Log
from sagas.engine.state import SagaState
from services.transaction import domain

log = structlog.get_logger(__name__)

CLOSED = frozenset(
    {TransactionStatus.COMPLETED, TransactionStatus.COMPENSATED, TransactionStatus.CANCELLED}
)
AT_ONCE = 500
"""Sagas found before they are moved."""
EVERY_SECONDS = 86_400.0
FIRST_AFTER_SECONDS = 600.0
"""After the start: whoever starts has better things to do."""
ONCE_MAX = 100_000
"""Sagas that the daily run moves; what is left waits for the next day."""

_ENDED = f'"type":"{TransactionEnded.contract.type}"'.encode()


class Archivist:
    """Archives sagas of every partition."""

    def __init__(self, partitions: Sequence[Log], clock: Clock, *, after_days: float) -> None:
        """Take logs of its own: what it reads of old sagas is not to push new ones from memory."""
        self._partitions = partitions
        self._clock = clock
        self._after_days = after_days

    async def run(self) -> None:
        """Archive once a day, for ever."""
        await self._clock.sleep(FIRST_AFTER_SECONDS)
        while True:
            asked = ArchiveTransactions(older_than_days=self._after_days, limit=ONCE_MAX)
            try:
                done = await self.archive(asked)
                log.info("archive.done", **done.model_dump())
            except Retryable as error:
                log.warning("archive.not_done", error=str(error))
            await self._clock.sleep(EVERY_SECONDS)

    async def archive(self, asked: ArchiveTransactions) -> ArchiveView:
        """Archive what the order names; with `dry_run`, say what it names.

        Raises:
            Retryable: the broker does not answer; what was moved is moved, ask again.
        """
        before = self._clock.now() - timedelta(days=asked.older_than_days)
        moved, room = Moved(), asked.limit
        for partition in self._partitions:
            archiving = Archiving(partition, domain.SAGA)
            found: list[Loaded[SagaState]] = []
            async with aclosing(_closed_before(partition, before)) as sagas:
                async for saga in sagas:
                    if not room:
                        break
                    room -= 1
                    found.append(saga)
                    if len(found) == AT_ONCE:
                        moved += await _move(archiving, found, dry_run=asked.dry_run)
                        found = []
            moved += await _move(archiving, found, dry_run=asked.dry_run)
            partition.forget()
        return ArchiveView(
            dry_run=asked.dry_run,
            archived=moved.logs,
            entries=moved.entries,
            files=moved.files,
            size_bytes=moved.size_bytes,
            left=moved.left,
            complete=room > 0,
        )


async def on_archive(
    command: ArchiveTransactions, context: Context, *, archivist: Archivist
) -> ArchiveView:
    """Archive now. A repetition finds nothing left to do."""
    del context
    return await archivist.archive(command)


async def _move(
    archiving: Archiving, found: Sequence[Loaded[SagaState]], *, dry_run: bool
) -> Moved:
    if dry_run:
        return Moved(logs=len(found), entries=sum(one.number for one in found))
    return await archiving.move(found)


async def _closed_before(source: Log, before: datetime) -> AsyncGenerator[Loaded[SagaState]]:
    """Find the sagas of a partition that ended before a time and are not archived yet.

    A saga that ended, went on by order and ended again is found by whichever end comes first.
    """
    seen: set[str] = set()
    async with aclosing(source.connection.read(source.stream, source.filter)) as entries:
        async for raw in entries:
            if raw.at > before:
                return
            key = domain.SAGA.key_of(raw.subject)
            if key is None or key in seen or _ENDED not in raw.body or MARK in raw.headers:
                continue
            try:
                saga = await source.load(domain.SAGA, key)
            except BrokenChainError as error:
                # It stays where people look, and keeps nobody else from being archived.
                log.error("archive.broken_chain", saga_id=key, error=str(error))  # noqa: TRY400 - said in full
                continue
            state = saga.state
            if state is None or state.status not in CLOSED:
                continue
            if state.ended_at is not None and state.ended_at <= before:
                seen.add(key)
                yield saga
