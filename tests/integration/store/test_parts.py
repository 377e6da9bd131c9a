"""A read model of several sources: one position each, rebuilt and caught up as those of one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from contracts.errors import Refused
from infra.store.client import Store
from infra.store.pointer import read_pointer
from infra.store.projector import Projector
from infra.store.queries import Reader
from infra.store.read_model import Write
from tests.integration.store.ledger import THINGS, Ledger, Line, project, running

PARTS = replace(THINGS, name="parts", parts=3)


def projector_of(store: Store, ledgers: Sequence[Ledger]) -> Projector[Line]:
    """Make a projector of several ledgers."""
    return Projector("ledger", store, PARTS, ledgers, project)


def expected(ledgers: Sequence[Ledger]) -> list[str]:
    """Name what all ledgers say, sorted."""
    return sorted(str(view) for ledger in ledgers for view in ledger.expected())


async def listed(reader: Reader[Line]) -> list[str]:
    """Name what is listed, sorted."""
    views, total = await reader.page({}, page=1, page_size=10_000)
    assert total == len(views)
    return sorted(str(view) for view in views)


@pytest.fixture
def ledgers() -> list[Ledger]:
    """Give three empty ledgers, each with things of its own."""
    return [Ledger() for _ in range(3)]


async def write(ledgers: Sequence[Ledger], count: int, start: int = 0) -> None:
    """Write as many lines to the first, twice as many to the second, none to the third."""
    for part, ledger in enumerate(ledgers[:2]):
        lines = range(start * (part + 1), (start + count) * (part + 1))
        await ledger.write_all([(f"p{part}-{n}", "red") for n in lines])


async def test_every_source_has_a_position_of_its_own(store: Store, ledgers: list[Ledger]) -> None:
    """What one source has said does not stand for another; a restart goes on at each."""
    projector = projector_of(store, ledgers)
    await write(ledgers, 150)
    async with running(projector):
        await projector.wait_for(150, part=0, timeout_seconds=60)
        await projector.wait_for(300, part=1, timeout_seconds=60)
        with pytest.raises(Refused, match="it shows sequence 0, not yet 1"):
            await projector.wait_for(1, part=2, timeout_seconds=0.1)
        assert await listed(Reader(store, projector)) == expected(ledgers)
    pointer = await read_pointer(store, "parts")
    assert pointer is not None
    assert (pointer.marks, projector.position, projector.lag()) == ((150, 300, 0), 450, 0)

    await write(ledgers, 5, start=150)
    await ledgers[2].write("p2-0", "blue")
    again = projector_of(store, ledgers)
    async with running(again):
        reader = Reader(store, again)
        blue = await reader.page({"colour": "blue"}, page=1, page_size=5, min_seq=1, part=2)
        await asyncio.gather(
            *(again.wait_for(seq, part=n, timeout_seconds=60) for n, seq in enumerate((155, 310)))
        )
        assert blue[1] == 1
        assert await listed(reader) == expected(ledgers)


async def test_a_rebuild_misses_nothing_of_any_source(store: Store, ledgers: list[Ledger]) -> None:
    """Lists answer at every moment, never with less, while all sources grow."""
    projector = projector_of(store, ledgers)
    reader = Reader(store, projector)
    await write(ledgers, 300)
    totals: list[int] = []

    async def keep_writing() -> None:
        for number in range(40):
            seqs = [await ledger.write(f"q{number}-{p}", "red") for p, ledger in enumerate(ledgers)]
            for part, seq in enumerate(seqs):
                page = await reader.page({}, page=1, page_size=1, min_seq=seq, part=part)
                totals.append(page[1])

    async with running(projector):
        await projector.wait_for(600, part=1, timeout_seconds=60)
        writing = asyncio.create_task(keep_writing())
        generations = [await projector.rebuild(), await projector.rebuild()]
        await writing
        assert await listed(reader) == expected(ledgers)

    assert generations == [2, 3]
    assert totals == sorted(totals)
    assert totals[-1] == 900 + 120


async def test_a_source_more_or_less_is_a_mistake_of_ours(store: Store) -> None:
    """The declaration and the sources must agree."""

    async def nothing(_: Sequence[Line]) -> Sequence[Write]:
        return []

    with pytest.raises(ValueError, match=r"made from 3 source\(s\), and 1 are given"):
        Projector("ledger", store, PARTS, Ledger(), nothing)
