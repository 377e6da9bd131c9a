"""Append, load and read the logs of one service.

Per aggregate one at a time within a process; between processes compare-and-set decides, and the loser
loads and decides again. After an error on append the log is read back before anything is called a
conflict. No read model is written here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, cast
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from contracts import subjects
from contracts.aggregate import CAUSES_MAX, Aggregate, Decide, Loaded, StateT, fold
from contracts.entry import Entry, hash_of, read_entry
from contracts.errors import Conflict, Refusal, Refused, Retryable
from contracts.message import Event
from infra.bus.connection import (
    EXPECTED_LAST_SUBJECT_SEQ,
    BrokerUnavailable,
    Connection,
    NotSent,
    Raw,
)
from infra.bus.context import Context
from infra.bus.follow import Follower
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.log.snapshots import SNAPSHOT_EVERY, Snapshots
from infra.telemetry import metrics, tracing

log = structlog.get_logger(__name__)

CACHE_MAX = 20_000
"""Loaded aggregates kept in memory; the least used goes first."""
CONFLICTS_MAX = 20
"""Decisions in a row that may lose the race before the command is handed back for later."""
CONFLICT_WAIT_SECONDS = 0.01
BATCH_MAX = 1_000
"""Entries of one atomic batch: the broker's own limit."""
READ_BACK_MAX = 3


@dataclass(frozen=True, slots=True)
class Change(Generic[StateT]):
    """A decision about to be made on one aggregate."""

    kind: Aggregate[StateT]
    key: str
    decide: Decide[StateT]
    new: bool = False
    """Expected not to exist yet: decided without reading first, since compare-and-set will tell."""
    effects: Callable[[], Mapping[str, Any]] = dict
    """Asked after the decision: what else the entry records of it."""


@dataclass(frozen=True, slots=True)
class _Append:
    change: Change[Any]
    before: Loaded[Any]
    entry: Entry
    body: bytes

    def after(self, seq: int) -> Loaded[Any]:
        kept = self.entry.kept(
            subject=self.change.kind.subject(self.change.key), seq=seq, hash=hash_of(self.body)
        )
        return fold(self.change.kind, self.before, kept)


class Log:
    """The logs of one service."""

    def __init__(
        self,
        connection: Connection,
        service: str,
        *,
        stream: str | None = None,
        filter: str | None = None,  # noqa: A002 - JetStream's word
        clock: Clock = SYSTEM,
    ) -> None:
        """Bind to the service's log stream (or another that holds its logs); nothing is read yet."""
        self.connection = connection
        self.service = service
        self.stream = stream or subjects.log_stream(service)
        self.filter = filter or subjects.log_subjects(service)
        self._clock = clock
        self._snapshots = Snapshots(connection)
        self._cache: OrderedDict[str, Loaded[Any]] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._appends = metrics.counter("tracseq_log_appends_total", service=service)
        self._conflicts = metrics.counter("tracseq_log_conflicts_total", service=service)

    def of(self, kind: Aggregate[StateT]) -> "Aggregates[StateT]":
        """Give one kind of aggregate."""
        return Aggregates(self, kind)

    async def head(self) -> int:
        """Give the sequence of the newest entry of all."""
        return await self.connection.head(self.stream)

    async def follow(self, after: int) -> AsyncIterator[list[Entry]]:
        """Give every entry after a sequence, live and in order, in batches of what is there."""
        follower = Follower(self.connection, self.stream, [self.filter], clock=self._clock)
        async for batch in follower.batches(after):
            yield [read_entry(raw.body, subject=raw.subject, seq=raw.seq) for raw in batch]

    # Reading

    async def load(
        self, kind: Aggregate[StateT], key: UUID | str, *, fresh: bool = True
    ) -> Loaded[StateT]:
        """Load an aggregate as it is; with `fresh=False` the cached state will do where there is one.

        Raises:
            BrokerUnavailable: NATS did not answer.
        """
        subject = kind.subject(key)
        cached = cast("Loaded[StateT] | None", self._cache.get(subject))
        if cached is not None and not fresh:
            self._cache.move_to_end(subject)
            return cached
        last = await self.connection.last(self.stream, subject)
        if last is None:
            return Loaded(str(key), None)
        if cached is not None and cached.seq == last.seq:
            return cached
        loaded = await self._catch_up(kind, key, cached or Loaded(str(key), None), last)
        self._remember(subject, loaded)
        return loaded

    async def _catch_up(
        self, kind: Aggregate[StateT], key: UUID | str, loaded: Loaded[StateT], last: Raw
    ) -> Loaded[StateT]:
        newest = _entry(last)
        if loaded.number == newest.number - 1:
            return fold(kind, loaded, newest)
        if loaded.number == 0 and newest.number > SNAPSHOT_EVERY:
            loaded = await self._snapshots.get(kind, key) or loaded
        async for raw in self.connection.read(self.stream, kind.subject(key), after=loaded.seq):
            loaded = fold(kind, loaded, _entry(raw))
        return loaded

    async def entries(self, kind: Aggregate[Any], key: UUID | str) -> list[Entry]:
        """Read the whole log of an aggregate, oldest first."""
        return [_entry(raw) async for raw in self.connection.read(self.stream, kind.subject(key))]

    async def bodies(self, kind: Aggregate[Any], key: UUID | str) -> list[bytes]:
        """Read the whole log of an aggregate as the bytes that were hashed."""
        return [raw.body async for raw in self.connection.read(self.stream, kind.subject(key))]

    async def at(self, kind: Aggregate[StateT], key: UUID | str, at: datetime) -> Loaded[StateT]:
        """Load an aggregate as it was at a time; without state where it did not exist then."""
        loaded: Loaded[StateT] = Loaded(str(key), None)
        for entry in await self.entries(kind, key):
            if entry.at > at:
                break
            loaded = fold(kind, loaded, entry)
        return loaded

    # Deciding

    async def transact(self, changes: Sequence[Change[Any]], context: Context) -> list[Loaded[Any]]:
        """Decide on aggregates of this service together: all the events are appended, or none.

        A command that is in the log already has no second effect. Raises:
            Refused: a decision was a refusal; nothing is appended.
            Retryable: the broker is unwell, or the race was lost too often; the same command may come again.
        """
        async with AsyncExitStack() as stack:
            for subject in sorted({c.kind.subject(c.key) for c in changes}):
                await stack.enter_async_context(self._lock(subject))
            fresh = context.delivered > 1
            for _ in range(CONFLICTS_MAX):
                loaded = [await self._before(change, fresh=fresh) for change in changes]
                if await self._applied(changes, loaded, context):
                    return [await self.load(c.kind, c.key) for c in changes]
                planned = self._plan(changes, loaded, context)
                if isinstance(planned, Refusal):
                    if fresh:
                        raise Refused(planned)
                    # It was decided on remembered state; only the log may say no.
                    fresh = True
                    continue
                try:
                    return await self._append(changes, loaded, planned)
                except Conflict:
                    self._conflicts.inc()
                    fresh = True
                    await self._clock.sleep(CONFLICT_WAIT_SECONDS)
            raise Conflict(f"{self.service}: lost the race {CONFLICTS_MAX} times in a row")

    async def _before(self, change: Change[StateT], *, fresh: bool) -> Loaded[StateT]:
        if change.new and not fresh:
            return self._cache.get(change.kind.subject(change.key)) or Loaded(change.key, None)
        return await self.load(change.kind, change.key, fresh=fresh)

    def _plan(
        self, changes: Sequence[Change[Any]], loaded: Sequence[Loaded[Any]], context: Context
    ) -> list[_Append] | Refusal:
        planned: list[_Append] = []
        for change, before in zip(changes, loaded, strict=True):
            decision = change.decide(before.state)
            if isinstance(decision, Refusal):
                return decision
            if decision:
                entry = self._entry_for(before, tuple(decision), context, change.effects())
                planned.append(_Append(change, before, entry, entry.to_bytes()))
        return planned

    @staticmethod
    def _entry_for(
        before: Loaded[Any], events: tuple[Event, ...], context: Context, effects: Mapping[str, Any]
    ) -> Entry:
        return Entry(
            events=events,
            at=context.now,
            actor=context.actor,
            cause=context.message_id,
            correlation=context.correlation,
            number=before.number + 1,
            prev_hash=before.hash,
            effects=effects,
            traceparent=tracing.inject() or context.traceparent,
        )

    async def _applied(
        self, changes: Sequence[Change[Any]], loaded: Sequence[Loaded[Any]], context: Context
    ) -> bool:
        if any(context.message_id in before.causes for before in loaded):
            return True
        if context.delivered == 1:
            return False
        # Handed out before: the command may lie deeper in a long log than what is remembered.
        for change, before in zip(changes, loaded, strict=True):
            if before.number > CAUSES_MAX:
                entries = await self.entries(change.kind, change.key)
                if any(entry.cause == context.message_id for entry in entries):
                    return True
        return False

    async def _append(
        self,
        changes: Sequence[Change[Any]],
        loaded: Sequence[Loaded[Any]],
        planned: Sequence[_Append],
    ) -> list[Loaded[Any]]:
        if not planned:
            return list(loaded)
        last = await self._store(planned)
        self._appends.inc(len(planned))
        first = last - len(planned) + 1
        after = {
            a.change.kind.subject(a.change.key): a.after(first + i) for i, a in enumerate(planned)
        }
        for subject, now in after.items():
            self._remember(subject, now)
            if now.number % SNAPSHOT_EVERY == 0:
                await self._snapshots.put(
                    next(
                        a.change.kind
                        for a in planned
                        if a.change.kind.subject(a.change.key) == subject
                    ),
                    now,
                )
        return [
            after.get(c.kind.subject(c.key), before)
            for c, before in zip(changes, loaded, strict=True)
        ]

    async def _store(self, planned: Sequence[_Append]) -> int:
        messages = [
            (
                a.change.kind.subject(a.change.key),
                a.body,
                {EXPECTED_LAST_SUBJECT_SEQ: str(a.before.seq)},
            )
            for a in planned
        ]
        if len(messages) > BATCH_MAX:
            raise ValueError(
                f"{len(messages)} entries at once; an atomic batch holds {BATCH_MAX}: split the command"
            )
        try:
            if len(messages) == 1:
                subject, body, headers = messages[0]
                stored = await self.connection.publish(subject, body, headers)
            else:
                stored = await self.connection.publish_batch(messages, batch_id=new_id().hex)
        except NotSent:
            raise
        except (Conflict, BrokerUnavailable) as error:
            # The acknowledgement may be lost, not the entry: the log knows.
            return await self._read_back(planned, error)
        return stored.seq

    async def _read_back(self, planned: Sequence[_Append], error: Retryable) -> int:
        last = planned[-1]
        for _ in range(READ_BACK_MAX):
            try:
                found = await self.connection.last(
                    self.stream, last.change.kind.subject(last.change.key)
                )
            except BrokerUnavailable:
                await self._clock.sleep(CONFLICT_WAIT_SECONDS)
                continue
            if found is not None and found.body == last.body:
                log.info("log.ack_lost", service=self.service, subject=found.subject, seq=found.seq)
                return found.seq
            raise error
        raise error

    def _lock(self, subject: str) -> asyncio.Lock:
        lock = self._locks.get(subject)
        if lock is None:
            lock = self._locks[subject] = asyncio.Lock()
        return lock

    def _remember(self, subject: str, loaded: Loaded[Any]) -> None:
        self._cache[subject] = loaded
        self._cache.move_to_end(subject)
        while len(self._cache) > CACHE_MAX:
            self._cache.popitem(last=False)

    def forget(self) -> None:
        """Drop every cached state; the next load reads the log."""
        self._cache.clear()


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
        """Say what to decide on one aggregate, for `Log.transact`; `new` where it should not exist yet."""
        return Change(self.kind, str(key), decide, new)


def _entry(raw: Raw) -> Entry:
    return read_entry(raw.body, subject=raw.subject, seq=raw.seq)
