"""One decision on one or more aggregates: the states it is made on, and the entries it asks for.

Nothing is appended here.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from contracts.aggregate import CAUSES_MAX, Aggregate, Decide, Loaded, StateT, fold
from contracts.entry import Entry, hash_of
from contracts.errors import Refusal
from contracts.message import Event
from infra.bus.context import Context
from infra.log.loading import Loader
from infra.telemetry import tracing

LOADS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Change(Generic[StateT]):
    """A decision about to be made on one aggregate."""

    kind: Aggregate[StateT]
    key: str
    decide: Decide[StateT]
    """Pure: it is asked again where the race was lost, or the state was only remembered."""
    new: bool = False
    """Expected not to exist yet: decided without reading first, as compare-and-set will tell."""
    effects: Callable[[], Mapping[str, Any]] = dict
    """Asked after the decision: what else the entry records of it."""
    result: Callable[[], StateT | None] | None = None
    """Asked after the append, where the decision came to the state that its entry leads to: that
    need not be folded once more."""


@dataclass(frozen=True, slots=True)
class Append:
    """One entry about to be appended."""

    change: Change[Any]
    before: Loaded[Any]
    entry: Entry
    body: bytes

    @property
    def subject(self) -> str:
        """Where it goes."""
        return self.change.kind.subject(self.change.key)

    def kept(self, seq: int) -> Entry:
        """Give the entry as it is once it has this sequence."""
        return self.entry.kept(subject=self.subject, seq=seq, hash=hash_of(self.body))

    def after(self, kept: Entry) -> Loaded[Any]:
        """Give the aggregate as it is after the entry."""
        if self.change.result is None:
            return fold(self.change.kind, self.before, kept)
        return follow(self.before, kept, self.change.result())


def follow(before: Loaded[StateT], kept: Entry, state: StateT | None) -> Loaded[StateT]:
    """Give an aggregate after one more entry, whose state is known; otherwise as `fold` does."""
    return Loaded(
        key=before.key,
        state=state,
        seq=kept.seq,
        number=kept.number,
        hash=kept.hash,
        causes=(*before.causes[-(CAUSES_MAX - 1) :], kept.cause),
        seqs=(*before.seqs[-(CAUSES_MAX - 1) :], kept.seq),
    )


class States:
    """The states that a transaction decides on, and which of them are only remembered."""

    def __init__(self, loader: Loader, changes: Sequence[Change[Any]]) -> None:
        """Read nothing yet."""
        self._loader = loader
        self._changes = changes
        self.loaded: list[Loaded[Any]] = [Loaded(change.key, None) for change in changes]
        self.remembered: set[int] = set(range(len(changes)))

    async def read(self, *, fresh: bool) -> None:
        """Read what was not read from the log yet; without `fresh` what is remembered will do."""
        unread: list[int] = []
        for index in sorted(self.remembered):
            known = None if fresh else self._recall(self._changes[index])
            if known is None:
                unread.append(index)
            else:
                self.loaded[index] = known
        for start in range(0, len(unread), LOADS_AT_ONCE):
            part = unread[start : start + LOADS_AT_ONCE]
            found = await asyncio.gather(*(self._load(self._changes[index]) for index in part))
            for index, loaded in zip(part, found, strict=True):
                self.loaded[index] = loaded
        self.remembered -= set(unread)

    def _recall(self, change: Change[Any]) -> Loaded[Any] | None:
        known = self._loader.remembered(change.kind, change.key)
        return known or (Loaded(change.key, None) if change.new else None)

    async def _load(self, change: Change[Any]) -> Loaded[Any]:
        return await self._loader.load(change.kind, change.key)


def plan(
    changes: Sequence[Change[Any]], before: Sequence[Loaded[Any]], context: Context
) -> list[Append] | Refusal:
    """Decide on each, in order; the first refusal is the answer."""
    traceparent = tracing.inject() or context.traceparent
    planned: list[Append] = []
    for change, loaded in zip(changes, before, strict=True):
        decision = change.decide(loaded.state)
        if isinstance(decision, Refusal):
            return decision
        if decision:
            entry = Entry(
                events=tuple[Event, ...](decision),
                at=context.now,
                actor=context.actor,
                cause=context.message_id,
                correlation=context.correlation,
                number=loaded.number + 1,
                prev_hash=loaded.hash,
                effects=change.effects(),
                traceparent=traceparent,
            )
            planned.append(Append(change, loaded, entry, entry.to_bytes()))
    return planned
