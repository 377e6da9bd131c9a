"""Append, load and read the logs of one service.

Per aggregate one at a time within a process; between processes compare-and-set decides, and the
loser loads and decides again. After an error on append the log is read back before anything is
called a conflict. No read model is written here.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from typing import Any, Generic, cast
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from contracts import subjects
from contracts.aggregate import CAUSES_MAX, Aggregate, Decide, Loaded, StateT
from contracts.entry import Entry
from contracts.errors import Conflict, Refusal, Refused, Retryable
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection
from infra.bus.context import Context
from infra.bus.errors import BrokerUnavailable, NotSent
from infra.bus.follow import Follower
from infra.bus.reads import Raw
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.log.deciding import Append, Change, States, plan
from infra.log.gathering import Gathering
from infra.log.loading import REMEMBERS, Loader
from infra.log.recent import Recent
from infra.telemetry import metrics, tracing

__all__ = ["Aggregates", "Change", "Log"]

log = structlog.get_logger(__name__)

CONFLICTS_MAX = 20
"""Decisions in a row that may lose the race before the command is handed back for later."""
CONFLICT_WAIT_SECONDS = 0.01
ENTRIES_MAX = 1_000
"""Entries of one atomic batch: the broker's own limit."""
READ_BACK_MAX = 40
READ_BACK_WAIT_SECONDS = 0.05
"""With so many attempts, long enough for a connection that was lost to come back."""


class Log:
    """The logs of one service."""

    def __init__(
        self,
        connection: Connection,
        service: str,
        *,
        stream: str | None = None,
        filter: str | None = None,  # noqa: A002 - JetStream's word
        gathers: bool = False,
        remembers: int = REMEMBERS,
        clock: Clock = SYSTEM,
    ) -> None:
        """Bind to the service's log stream, or another that holds logs of its; reads nothing.

        With `gathers`, appends that wait for the disk together are stored together: for a broker
        that syncs each one before it acknowledges it (profile `safe`). At most `remembers`
        aggregates are kept in memory as they were loaded, and no more entries.
        """
        self.connection = connection
        self.service = service
        self.stream = stream or subjects.log_stream(service)
        self.filter = filter or subjects.log_subjects(service)
        self._clock = clock
        self._loader = Loader(connection, self.stream, remembers=remembers)
        self._recent = Recent(remembers)
        self._gathering = Gathering(connection) if gathers else None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tracer = tracing.tracer_for(service)
        self._appends = metrics.counter("tracseq_log_appends_total", service=service)
        self._conflicts = metrics.counter("tracseq_log_conflicts_total", service=service)

    def of(self, kind: Aggregate[StateT]) -> "Aggregates[StateT]":
        """Give one kind of aggregate."""
        return Aggregates(self, kind)

    async def head(self) -> int:
        """Give the sequence of the newest entry of all."""
        return await self.connection.head(self.stream)

    async def follow(self, after: int) -> AsyncGenerator[list[Entry]]:
        """Give every entry after a sequence, live and in order, in batches of what is there."""
        follower = Follower(self.connection, self.stream, [self.filter], clock=self._clock)
        async with aclosing(follower.batches(after)) as batches:
            async for batch in batches:
                yield [self._recent.read(raw) for raw in batch]

    # Reading

    async def load(
        self, kind: Aggregate[StateT], key: UUID | str, *, fresh: bool = True
    ) -> Loaded[StateT]:
        """Load an aggregate as it is; with `fresh=False` a remembered state will do.

        Raises:
            BrokerUnavailable: NATS did not answer.
            BrokenChainError: the log does not hold together.
        """
        known = None if fresh else self.remembered(kind, key)
        return known or await self._loader.load(kind, key)

    def remembered(self, kind: Aggregate[StateT], key: UUID | str) -> Loaded[StateT] | None:
        """Give what this process saw last of an aggregate, without asking; None where nothing."""
        return self._loader.remembered(kind, key)

    async def entries(self, kind: Aggregate[Any], key: UUID | str) -> list[Entry]:
        """Read the whole log of an aggregate, oldest first."""
        return await self._loader.entries(kind, key)

    async def entry(self, seq: int) -> Entry | None:
        """Read one entry by its sequence; None where it is gone."""
        return await self._loader.entry(seq)

    async def caused_by(
        self, kind: Aggregate[StateT], loaded: Loaded[StateT], cause: str
    ) -> Entry | None:
        """Read the newest entry that a message led to; None where it led to none.

        The newest of a log are found at once; for one that lies deeper the log is read, once.
        """
        seq = loaded.seq_of(cause)
        if seq is None and loaded.number > len(loaded.seqs):
            seq = await self._loader.seq_of(kind, loaded.key, cause)
        return None if seq is None else await self._loader.entry(seq)

    async def bodies(self, kind: Aggregate[Any], key: UUID | str) -> list[bytes]:
        """Read the whole log of an aggregate as the bytes that were hashed."""
        return [raw.body for raw in await self._loader.raws(kind.subject(key))]

    async def raws(self, kind: Aggregate[Any], key: UUID | str) -> list[Raw]:
        """Read the whole log of an aggregate as it lies there, oldest first."""
        return await self._loader.raws(kind.subject(key))

    async def at(self, kind: Aggregate[StateT], key: UUID | str, at: datetime) -> Loaded[StateT]:
        """Load an aggregate as it was at a time; without state where it did not exist then."""
        return await self._loader.at(kind, key, at)

    def forget(self) -> None:
        """Drop every remembered state; the next load reads the log."""
        self._loader.forget()

    # Deciding

    async def transact(self, changes: Sequence[Change[Any]], context: Context) -> list[Loaded[Any]]:
        """Decide on aggregates of this service together: all the events are appended, or none.

        A command that is in the log already has no second effect. One that decides on the same
        aggregate more than once names each time: see `Context.part`.

        Raises:
            Refused: a decision was a refusal; nothing is appended.
            Retryable: the broker is unwell, or the race was lost too often; try again later.
            ValueError: the changes name an aggregate twice, or are more than a batch holds.
        """
        names = [change.kind.subject(change.key) for change in changes]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice} is changed twice at once: make it one decision")
        if len(names) == 1:
            async with self._lock(names[0]):
                return await self._transact(changes, context)
        async with AsyncExitStack() as stack:
            for name in sorted(names):
                await stack.enter_async_context(self._lock(name))
            return await self._transact(changes, context)

    async def _transact(
        self, changes: Sequence[Change[Any]], context: Context
    ) -> list[Loaded[Any]]:
        states = States(self._loader, changes)
        await states.read(fresh=context.again)
        for _ in range(CONFLICTS_MAX):
            if await self._applied(changes, states.loaded, context):
                await states.read(fresh=True)
                return states.loaded
            planned = plan(changes, states.loaded, context)
            decided_all = not isinstance(planned, Refusal) and len(planned) == len(changes)
            if not decided_all and states.remembered:
                # "No" and "nothing to do" were said of remembered states; the log may know better.
                await states.read(fresh=True)
                continue
            if isinstance(planned, Refusal):
                raise Refused(planned)
            try:
                return await self._append(changes, states.loaded, planned)
            except Conflict:
                self._conflicts.inc()
                await self._clock.sleep(CONFLICT_WAIT_SECONDS)
                states = States(self._loader, changes)
                await states.read(fresh=True)
        raise Conflict(f"{self.service}: lost the race {CONFLICTS_MAX} times in a row")

    async def _applied(
        self, changes: Sequence[Change[Any]], before: Sequence[Loaded[Any]], context: Context
    ) -> bool:
        """Say whether the command is in the log: all of it is, where one of its entries is."""
        if any(context.message_id in loaded.causes for loaded in before):
            return True
        if not context.again:
            return False
        # It may lie deeper in a long log than what is remembered.
        for change, loaded in zip(changes, before, strict=True):
            if loaded.number > CAUSES_MAX:
                seq = await self._loader.seq_of(change.kind, change.key, context.message_id)
                if seq is not None:
                    return True
        return False

    # Appending

    async def _append(
        self,
        changes: Sequence[Change[Any]],
        before: Sequence[Loaded[Any]],
        planned: Sequence[Append],
    ) -> list[Loaded[Any]]:
        if not planned:
            return list(before)
        what, size = f"{self.stream} append", {"tracseq.entries": len(planned)}
        with tracing.message_span(self._tracer, "client", what, None, size):
            last = await self._store(planned)
        self._appends.inc(len(planned))
        first = last - len(planned) + 1
        after: dict[int, Loaded[Any]] = {}
        for offset, append in enumerate(planned):
            kept = append.kept(first + offset)
            self._recent.put(kept)
            loaded = after[id(append.change)] = append.after(kept)
            await self._loader.remember(append.change.kind, loaded)
        return [after.get(id(c), loaded) for c, loaded in zip(changes, before, strict=True)]

    async def _store(self, planned: Sequence[Append]) -> int:
        """Append, and give the sequence of the last; the entries of a batch lie side by side."""
        if len(planned) > ENTRIES_MAX:
            raise ValueError(
                f"{len(planned)} entries at once, and a batch holds {ENTRIES_MAX}: split it"
            )
        messages = [
            (a.subject, a.body, {EXPECTED_LAST_SUBJECT_SEQ: str(a.before.seq)}) for a in planned
        ]
        try:
            if len(messages) == 1 and self._gathering is not None:
                return await self._gathering.append(messages[0])
            if len(messages) == 1:
                return (await self.connection.publish(*messages[0])).seq
            return (await self.connection.publish_batch(messages, batch_id=new_id().hex)).seq
        except NotSent:
            raise
        except (Conflict, BrokerUnavailable) as error:
            # The acknowledgement may be lost, not the entry: the log knows.
            return await self._read_back(planned[-1], error)

    async def _read_back(self, last: Append, error: Retryable) -> int:
        for _ in range(READ_BACK_MAX):
            try:
                found = await self._loader.newest(last.change.kind, last.change.key)
            except BrokerUnavailable:
                await self._clock.sleep(READ_BACK_WAIT_SECONDS)
                continue
            if found is not None and found.body == last.body:
                log.info("log.ack_lost", service=self.service, subject=found.subject, seq=found.seq)
                return found.seq
            break
        raise error

    def _lock(self, subject: str) -> asyncio.Lock:
        lock = self._locks.get(subject)
        if lock is None:
            lock = self._locks[subject] = asyncio.Lock()
        return lock


class Aggregates(Generic[StateT]):
    """One kind of aggregate of a service, typed."""

    def __init__(self, owner: Log, kind: Aggregate[StateT]) -> None:
        """Made by `Log.of`."""
        self.log = owner
        self.kind = kind

    async def get(self, key: UUID | str) -> Loaded[StateT]:
        """Load an aggregate as it is."""
        return await self.log.load(self.kind, key)

    async def at(self, key: UUID | str, at: datetime) -> Loaded[StateT]:
        """Load an aggregate as it was at a time."""
        return await self.log.at(self.kind, key, at)

    async def history(self, key: UUID | str) -> list[Entry]:
        """Read everything that happened to an aggregate, oldest first."""
        return await self.log.entries(self.kind, key)

    async def execute(
        self, key: UUID | str, decide: Decide[StateT], context: Context, *, new: bool = False
    ) -> Loaded[StateT]:
        """Load, decide, append; see `Log.transact`."""
        loaded = await self.log.transact([self.change(key, decide, new=new)], context)
        return cast("Loaded[StateT]", loaded[0])

    def change(
        self, key: UUID | str, decide: Decide[StateT], *, new: bool = False
    ) -> Change[StateT]:
        """Say what to decide on one aggregate; `new` where it should not exist yet."""
        return Change(self.kind, str(key), decide, new)
