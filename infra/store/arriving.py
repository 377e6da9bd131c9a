"""What arrives from the sources of a read model, in portions that one transaction takes.

One source is followed in order. Several are followed beside each other: what is there of all of
them is taken together, each in its own order, and the marks say where every one stands. Nothing is
written here.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, cast

from infra.store.read_model import Marks
from infra.store.source import ItemT, Source

ITEMS_MAX = 500
"""Items in one transaction."""


@dataclass(frozen=True, slots=True)
class Arrived(Generic[ItemT]):
    """Some items, oldest first within each source."""

    items: Sequence[ItemT]
    marks: Marks
    """Where the sources stand with them."""


@dataclass(frozen=True, slots=True)
class _Portion(Generic[ItemT]):
    """At most `ITEMS_MAX` items of one source."""

    part: int
    items: Sequence[ItemT]


async def follow_all(
    sources: Sequence[Source[ItemT]], after: Marks
) -> AsyncGenerator[Arrived[ItemT]]:
    """Give everything after the marks, for ever, at most `ITEMS_MAX` items at once.

    What a source raises ends it. Close it: it follows several sources with tasks of its own.
    """
    if len(sources) == 1:
        async with _closing(sources[0].follow(after[0])) as batches:
            async for batch in batches:
                for items in _portions(batch):
                    yield Arrived(items, (items[-1].seq,))
        return
    # One portion of each source at most waits; each reads on once its own was taken.
    ready: asyncio.Queue[_Portion[ItemT] | BaseException] = asyncio.Queue(maxsize=len(sources))
    tasks = [
        asyncio.create_task(_feed(ready, part, source, after[part]))
        for part, source in enumerate(sources)
    ]
    try:
        async with aclosing(_together(ready, list(after))) as arrivals:
            async for arrived in arrivals:
                yield arrived
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _feed(
    ready: "asyncio.Queue[_Portion[ItemT] | BaseException]",
    part: int,
    source: Source[ItemT],
    after: int,
) -> None:
    try:
        async with _closing(source.follow(after)) as batches:
            async for batch in batches:
                for items in _portions(batch):
                    await ready.put(_Portion(part, items))
    except Exception as error:  # noqa: BLE001 - raised again where the items are taken
        await ready.put(error)


async def _together(
    ready: "asyncio.Queue[_Portion[ItemT] | BaseException]", marks: list[int]
) -> AsyncGenerator[Arrived[ItemT]]:
    held: _Portion[ItemT] | None = None
    while True:
        portions = [held or _portion(await ready.get())]
        held, size = None, len(portions[0].items)
        while held is None and not ready.empty():
            portion = _portion(ready.get_nowait())
            size += len(portion.items)
            if size > ITEMS_MAX:
                held = portion
            else:
                portions.append(portion)
        for portion in portions:
            marks[portion.part] = portion.items[-1].seq
        yield Arrived([item for portion in portions for item in portion.items], tuple(marks))


def _portion(taken: "_Portion[ItemT] | BaseException") -> "_Portion[ItemT]":
    if isinstance(taken, BaseException):
        raise taken
    return taken


def _portions(batch: Sequence[ItemT]) -> Iterator[Sequence[ItemT]]:
    for start in range(0, len(batch), ITEMS_MAX):
        yield batch[start : start + ITEMS_MAX]


def _closing(
    batches: AsyncIterator[Sequence[ItemT]],
) -> "aclosing[AsyncGenerator[Sequence[ItemT]]]":
    # Every source is an async generator; the protocol asks for no more than an iterator.
    return aclosing(cast("AsyncGenerator[Sequence[ItemT]]", batches))
