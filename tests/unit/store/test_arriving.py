"""Several sources are followed beside each other: each in order, none twice, none left out."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from infra.store.arriving import ITEMS_MAX, Arrived, follow_all


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a source."""

    source: str
    seq: int
    traceparent: str | None = None


@dataclass(slots=True)
class Steady:
    """A source that has its items at once, and then waits for ever, or fails."""

    name: str
    batches: list[int]
    """How many items each batch has."""
    failure: Exception | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def head(self) -> int:
        """Give the newest sequence."""
        return sum(self.batches)

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Item]]:
        """Give what comes after a sequence."""
        try:
            first = 1
            for size in self.batches:
                seqs = range(max(first, after + 1), first + size)
                first += size
                if seqs:
                    yield [Item(self.name, seq) for seq in seqs]
            if self.failure is not None:
                raise self.failure
            await asyncio.Event().wait()
        finally:
            self.closed.set()


async def taken(
    sources: Sequence[Steady], after: tuple[int, ...], count: int
) -> list[Arrived[Item]]:
    """Follow until so many items came."""
    arrivals: list[Arrived[Item]] = []
    async with asyncio.timeout(60), aclosing(follow_all(sources, after)) as following:
        async for arrived in following:
            arrivals.append(arrived)
            if sum(len(one.items) for one in arrivals) >= count:
                break
    return arrivals


async def test_every_item_of_every_source_comes_once_and_in_order() -> None:
    """The marks go up with what came, and end at the heads."""
    sources = [Steady("a", [3, 700, 1]), Steady("b", []), Steady("c", [40] * 30)]
    arrivals = await taken(sources, (0, 0, 0), 704 + 1_200)

    items = [item for arrived in arrivals for item in arrived.items]
    for source, size in (("a", 704), ("b", 0), ("c", 1_200)):
        assert [i.seq for i in items if i.source == source] == list(range(1, size + 1))
    assert max(len(arrived.items) for arrived in arrivals) <= ITEMS_MAX
    shown = {"a": 0, "b": 0, "c": 0}
    for arrived in arrivals:
        shown |= {item.source: item.seq for item in arrived.items}
        assert arrived.marks == tuple(shown.values())
    assert arrivals[-1].marks == (704, 0, 1_200)


async def test_following_goes_on_after_the_marks() -> None:
    """Each source has its own."""
    arrivals = await taken([Steady("a", [5, 5]), Steady("b", [10])], (7, 2), 11)

    items = {(item.source, item.seq) for arrived in arrivals for item in arrived.items}
    assert items == {("a", n) for n in (8, 9, 10)} | {("b", n) for n in range(3, 11)}


@pytest.mark.parametrize("others", [0, 2])
async def test_what_a_source_raises_ends_it_all(others: int) -> None:
    """Nobody goes on without one of the sources, and all of them are closed."""
    sources = [Steady("a", [2], failure=LookupError("gone")), *(Steady("b", [1]),) * others]
    with pytest.raises(LookupError, match="gone"):
        await taken(sources, (0,) * len(sources), 1_000)
    assert all(source.closed.is_set() for source in sources)


async def test_whoever_stops_following_leaves_no_task_behind() -> None:
    """Sources are closed together with what follows them."""
    sources = [Steady("a", [600] * 5), Steady("b", [600] * 5)]
    before = asyncio.all_tasks()
    await taken(sources, (0, 0), 1)
    assert asyncio.all_tasks() == before
    assert all(source.closed.is_set() for source in sources)
