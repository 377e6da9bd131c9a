"""Load aggregates from their logs: what is remembered or in a snapshot, and the entries since.

A log that does not hold together is refused: nothing is decided on it. Nothing is appended here.
"""

import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from contracts.aggregate import Aggregate, Loaded, StateT, fold
from contracts.entry import BrokenChainError, Entry, read_entry
from infra.bus.connection import Connection
from infra.bus.reads import Raw
from infra.log.archive import MARK, Archive
from infra.log.snapshots import SNAPSHOT_EVERY, Snapshots

REMEMBERS = 20_000
"""Loaded aggregates kept in memory where nothing else is said; the least used goes first."""
CAUSES_KEPT_MAX = 32
"""Long logs whose causes are kept in memory; the least used goes first."""


@dataclass(slots=True)
class _Causes:
    """The causes of all entries of one log up to a sequence."""

    seq: int = 0
    seqs: dict[str, int] = field(default_factory=dict[str, int])
    """Cause -> the sequence of its newest entry."""


class Loader:
    """Loads from one stream of logs."""

    def __init__(self, connection: Connection, stream: str, *, remembers: int = REMEMBERS) -> None:
        """Say which stream; nothing is read yet. At most so many loaded aggregates are kept."""
        self._connection = connection
        self._stream = stream
        self._remembers = remembers
        self._snapshots = Snapshots(connection)
        self._archive = Archive(connection)
        self._cache: OrderedDict[str, Loaded[Any]] = OrderedDict()
        self._causes: OrderedDict[str, _Causes] = OrderedDict()

    def remembered(self, kind: Aggregate[StateT], key: UUID | str) -> Loaded[StateT] | None:
        """Give what this process saw last, without asking; None where it saw nothing."""
        subject = kind.subject(key)
        found = cast("Loaded[StateT] | None", self._cache.get(subject))
        if found is not None:
            self._cache.move_to_end(subject)
        return found

    async def remember(self, kind: Aggregate[StateT], loaded: Loaded[StateT]) -> None:
        """Keep what was just appended or loaded, and a snapshot of it now and then."""
        subject = kind.subject(loaded.key)
        present = self._cache.get(subject)
        if present is None or present.seq < loaded.seq:
            self._cache[subject] = loaded
        self._cache.move_to_end(subject)
        while len(self._cache) > self._remembers:
            self._cache.popitem(last=False)
        if loaded.number % SNAPSHOT_EVERY == 0:
            await self._snapshots.put(kind, loaded)

    def forget(self) -> None:
        """Drop everything remembered; the next load reads the log."""
        self._cache.clear()
        self._causes.clear()

    async def load(self, kind: Aggregate[StateT], key: UUID | str) -> Loaded[StateT]:
        """Load an aggregate as its log has it now.

        Raises:
            BrokerUnavailable: NATS did not answer.
            BrokenChainError: the log does not hold together.
        """
        last = await self._connection.last(self._stream, kind.subject(key))
        if last is None:
            return Loaded(str(key), None)
        known = self.remembered(kind, key)
        if known is not None and known.seq >= last.seq:
            return known
        loaded, folded = await self._catch_up(kind, known or Loaded(str(key), None), last)
        await self.remember(kind, loaded)
        if folded > SNAPSHOT_EVERY:
            # Nobody kept one that is of use: the next load shall not read all of it again.
            await self._snapshots.put(kind, loaded)
        return loaded

    async def _catch_up(
        self, kind: Aggregate[StateT], loaded: Loaded[StateT], last: Raw
    ) -> tuple[Loaded[StateT], int]:
        """Give the aggregate up to its newest entry, and how many entries were folded for it."""
        newest = _entry(last)
        if loaded.number == newest.number - 1:
            return _follow(kind, loaded, newest), 1
        if loaded.number == 0 and newest.number > SNAPSHOT_EVERY:
            loaded = await self._snapshots.get(kind, loaded.key) or loaded
        subject, before = kind.subject(loaded.key), loaded.number
        async with aclosing(self._raws(subject, after=loaded.seq, last=last)) as found:
            async for raw in found:
                loaded = _follow(kind, loaded, _entry(raw))
        return loaded, loaded.number - before

    async def _raws(
        self, subject: str, *, after: int = 0, last: Raw | None = None
    ) -> AsyncGenerator[Raw]:
        """Read a log after a sequence, oldest first, with what of it lies in the archive.

        Of an archived log the stream has the newest entry only, which says where the others are.
        What else the stream may have of it, after a power cut, is not looked at.
        """
        last = last or await self._connection.last(self._stream, subject)
        if last is None:
            return
        if MARK in last.headers:
            for raw in await self._unpacked(last, after):
                yield raw
            return
        async with aclosing(self._connection.read(self._stream, subject, after=after)) as found:
            async for raw in found:
                for each in await self._unpacked(raw, after):
                    yield each

    async def _unpacked(self, raw: Raw, after: int) -> Sequence[Raw]:
        """Give an entry, and before it what it refers to."""
        mark = raw.headers.get(MARK)
        if mark is None:
            return [raw]
        kept = await self._archive.read(mark, raw.subject)
        return [*(earlier for earlier in kept[:-1] if earlier.seq > after), raw]

    async def at(self, kind: Aggregate[StateT], key: UUID | str, at: datetime) -> Loaded[StateT]:
        """Load an aggregate as it was at a time; without state where it did not exist then."""
        loaded: Loaded[StateT] = Loaded(str(key), None)
        async with aclosing(self._raws(kind.subject(key))) as found:
            async for raw in found:
                entry = _entry(raw)
                if entry.at > at:
                    break
                loaded = _follow(kind, loaded, entry)
        return loaded

    async def entries(self, kind: Aggregate[Any], key: UUID | str) -> list[Entry]:
        """Read the whole log of an aggregate, oldest first."""
        return [_entry(raw) for raw in await self.raws(kind.subject(key))]

    async def raws(self, subject: str) -> list[Raw]:
        """Read a whole log as it lies there, oldest first; empty where there is none."""
        async with aclosing(self._raws(subject)) as found:
            return [raw async for raw in found]

    async def seq_of(self, kind: Aggregate[Any], key: UUID | str, cause: str) -> int | None:
        """Find the newest entry that a message led to anywhere in a log; what was read is kept.

        After an outage many commands come again and ask this of one long log: each reads on only.
        """
        subject = kind.subject(key)
        causes = self._causes.pop(subject, None) or _Causes()
        async with aclosing(self._raws(subject, after=causes.seq)) as found:
            async for raw in found:
                causes.seqs[json.loads(raw.body)["cause"]] = raw.seq
                causes.seq = raw.seq
        self._causes[subject] = causes
        while len(self._causes) > CAUSES_KEPT_MAX:
            self._causes.popitem(last=False)
        return causes.seqs.get(cause)

    async def entry(self, seq: int) -> Entry | None:
        """Read one entry by its sequence; None where it is gone."""
        raw = await self._connection.by_seq(self._stream, seq)
        return None if raw is None else _entry(raw)

    async def newest(self, kind: Aggregate[Any], key: UUID | str) -> Raw | None:
        """Read an aggregate's newest entry as it lies there; None where it has none."""
        return await self._connection.last(self._stream, kind.subject(key))


def _follow(kind: Aggregate[StateT], loaded: Loaded[StateT], entry: Entry) -> Loaded[StateT]:
    if entry.again and entry.hash == loaded.hash:
        return replace(loaded, seq=entry.seq, seqs=(*loaded.seqs[:-1], entry.seq))
    if entry.number != loaded.number + 1 or entry.prev_hash != loaded.hash:
        raise BrokenChainError(
            f"{entry.subject}: entry {entry.number} at sequence {entry.seq} does not follow "
            f"entry {loaded.number}: see `tracseq history`, and restore the log from its backup"
        )
    return fold(kind, loaded, entry)


def _entry(raw: Raw) -> Entry:
    return read_entry(raw.body, subject=raw.subject, seq=raw.seq, again=MARK in raw.headers)
