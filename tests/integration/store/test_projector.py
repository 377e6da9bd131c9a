"""A read model shows what its source says, whatever happens to the writer or to the store."""

import asyncio
from dataclasses import replace

import pytest

from contracts.errors import Refused
from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.generation import Generation
from infra.store.pointer import POINTERS, Displaced, read_pointer
from infra.store.projector import Projector
from infra.store.queries import Reader
from infra.telemetry import metrics
from tests.fixtures.raw_store import raw
from tests.fixtures.servers import DocumentStoreServer
from tests.integration.store.ledger import (
    THINGS,
    Ledger,
    Line,
    everything,
    project,
    projector_of,
    running,
    until_equal,
)

COLOURS = ("red", "green", "blue")


def many(count: int, owner: str = "ann") -> list[tuple[str, str | None]]:
    """Make things of all colours."""
    return [(f"{owner}-{n:05d}", COLOURS[n % 3]) for n in range(count)]


async def until_behind(projector: Projector[Line], lag: int) -> None:
    """Wait until a projector says that it is unwell, and how far behind."""
    async with asyncio.timeout(60):
        while projector.healthy or projector.lag() != lag:
            await SYSTEM.sleep(0.05)


async def test_a_read_model_shows_what_its_source_says(store: Store, ledger: Ledger) -> None:
    """Changes win over what was before, removed things are gone, and the newest comes first."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await ledger.write_all(many(250))
        await ledger.write("ann-00007", "red")
        seq = await ledger.write("ann-00009", None)

        shown = await everything(Reader(store, projector), min_seq=seq)

    assert shown == ledger.expected()
    assert len(shown) == 249
    assert projector.lag() == 0


async def test_applying_the_same_items_again_changes_nothing(store: Store, ledger: Ledger) -> None:
    """A position that was set back leads to the same documents and the same totals."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    await ledger.write_all([*many(150), ("ann-00003", None)])
    async with running(projector):
        before = await everything(reader, min_seq=151)
    await raw(store, POINTERS).update_one({"_id": "things"}, {"$set": {"seq": 40}})

    again = projector_of(store, ledger)
    async with running(again):
        await again.wait_for(151, timeout_seconds=60)
        after = await everything(Reader(store, again))

    assert after == before


async def test_a_store_that_lost_its_tail_is_caught_up(store: Store, ledger: Ledger) -> None:
    """Documents and position go back together, nothing new is written, and the list is right."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    await ledger.write_all(many(100))
    async with running(projector):
        await projector.wait_for(100, timeout_seconds=60)
        pointer = await read_pointer(store, "things")
        assert pointer is not None
        saved = await _copy(store, pointer.generation)
        seq = await ledger.write_all([*many(50, owner="bob"), ("ann-00001", "blue")])
        await projector.wait_for(seq, timeout_seconds=60)

        await _put_back(store, pointer.generation, saved)

        await until_equal(reader, ledger)


async def test_a_database_dropped_while_running_fills_again(store: Store, ledger: Ledger) -> None:
    """Nothing new has to happen for it: the projector looks."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await projector.wait_for(await ledger.write_all(many(120)), timeout_seconds=60)

        await store.drop()

        await until_equal(reader, ledger)
        seq = await ledger.write("ann-00001", "blue")
        assert await everything(reader, min_seq=seq) == ledger.expected()


async def test_documents_deleted_by_hand_come_back_at_the_next_start(
    store: Store, ledger: Ledger
) -> None:
    """A census that does not fit its documents is not believed."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(await ledger.write_all(many(30)), timeout_seconds=60)
    await raw(store, THINGS.collection(1)).delete_many({"colour": "red"})

    again = projector_of(store, ledger)
    async with running(again):
        await until_equal(Reader(store, again), ledger)


async def test_a_killed_store_is_caught_up_when_it_returns(
    own_store_server: DocumentStoreServer, ledger: Ledger
) -> None:
    """Killed without warning: the projector waits, says that it is unwell, and catches up."""
    store = Store(own_store_server.url, "outage")
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await projector.wait_for(await ledger.write_all(many(300)), timeout_seconds=60)

        own_store_server.child.kill()
        await own_store_server.child.exited()
        await ledger.write_all([*many(200, owner="bob"), ("ann-00001", None)])
        await until_behind(projector, 201)
        await own_store_server.child.start()

        await until_equal(reader, ledger)
        assert projector.healthy
        assert projector.lag() == 0
    await store.close()


async def test_a_projector_begins_before_its_store_is_there(
    own_store_server: DocumentStoreServer, ledger: Ledger
) -> None:
    """A store that is down at the start of a service is waited for."""
    await own_store_server.child.stop()
    store = Store(own_store_server.url, "late")
    projector = projector_of(store, ledger)
    await ledger.write_all(many(10))
    async with running(projector):
        await until_behind(projector, 10)

        await own_store_server.child.start()

        await until_equal(Reader(store, projector), ledger)
    await store.close()


async def test_two_writers_do_not_disturb_each_other(store: Store, ledger: Ledger) -> None:
    """One writes, the other stands by and knows the position all the same."""
    one, other = projector_of(store, ledger), projector_of(store, ledger)
    async with running(one, other):
        for number in range(10):
            await ledger.write_all(many(30, owner=f"owner{number}"))
            await SYSTEM.sleep(0.05)
        await asyncio.gather(
            one.wait_for(300, timeout_seconds=60), other.wait_for(300, timeout_seconds=60)
        )

        assert await everything(Reader(store, one)) == ledger.expected()
        assert one.healthy
        assert other.healthy


async def test_who_stands_by_takes_over_when_the_writer_dies(store: Store, ledger: Ledger) -> None:
    """A writer that stalls behind its source is followed by the other within seconds."""
    one, other = projector_of(store, ledger), projector_of(store, ledger)
    async with running(other):
        async with running(one):
            await one.wait_for(await ledger.write_all(many(20)), timeout_seconds=60)
            await other.wait_for(20, timeout_seconds=60)
        seq = await ledger.write_all(many(20, owner="bob"))

        await other.wait_for(seq, timeout_seconds=60)

        assert await everything(Reader(store, other)) == ledger.expected()


async def test_an_overtaken_writer_changes_nothing(store: Store, ledger: Ledger) -> None:
    """A batch that comes too late is refused as a whole, its documents included."""
    await ledger.write_all([("ann-1", "red"), ("ann-1", "green")])
    late = await Generation.claim(store, THINGS, THINGS.name)
    swift = await Generation.claim(store, THINGS, THINGS.name)
    await swift.write((await project(ledger.lines))[1:], (2,))

    with pytest.raises(Displaced):
        await late.write((await project(ledger.lines))[:1], (1,))

    found = await raw(store, THINGS.collection(1)).find_one({"_id": "ann-1"})
    assert found is not None
    assert found["colour"] == "green"


async def test_writers_at_the_same_moment_leave_one_winner(store: Store, ledger: Ledger) -> None:
    """However claims and batches interleave, the documents fit the position."""
    await ledger.write_all(many(60))
    one, other = projector_of(store, ledger), projector_of(store, ledger)
    async with running(one, other):
        await asyncio.gather(
            one.wait_for(60, timeout_seconds=60), other.wait_for(60, timeout_seconds=60)
        )
    pointer = await read_pointer(store, "things")
    assert pointer is not None
    claimed = await Generation.claim(store, THINGS, THINGS.name)

    assert claimed.pointer == replace(pointer, writer=claimed.pointer.writer)
    assert await everything(Reader(store, one)) == ledger.expected()


async def test_a_read_model_of_another_shape_is_filled_anew(store: Store, ledger: Ledger) -> None:
    """New fields to ask by are there for what was written before; the old version steps back."""
    old_model = replace(THINGS, ask_by=("owner",), counted=())
    old, new = projector_of(store, ledger, old_model), projector_of(store, ledger)
    async with running(old):
        await old.wait_for(await ledger.write_all(many(30)), timeout_seconds=60)
        async with running(new):
            await until_equal(Reader(store, new), ledger)
            await until_behind(old, 0)
            reds = await Reader(store, new).page({"colour": "red"}, page=1, page_size=50)
            with pytest.raises(Refused):
                await everything(Reader(store, old))

    assert reds[1] == 10


async def test_what_is_written_is_counted(store: Store, ledger: Ledger) -> None:
    """The metrics tell documents written and entries not shown yet."""
    labels = {"service": "ledger", "read_model": "things"}
    before = metrics.value("tracseq_projector_documents_total", **labels)
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(await ledger.write_all(many(40)), timeout_seconds=60)

    assert metrics.value("tracseq_projector_documents_total", **labels) == before + 40
    assert metrics.value("tracseq_projector_lag", **labels) == 0


async def _copy(store: Store, generation: int) -> dict[str, list[dict[str, object]]]:
    names = (POINTERS, THINGS.collection(generation), THINGS.blocks(generation))
    return {name: await raw(store, name).find().to_list(None) for name in names}


async def _put_back(
    store: Store, generation: int, saved: dict[str, list[dict[str, object]]]
) -> None:
    for name in (THINGS.collection(generation), THINGS.blocks(generation), POINTERS):
        await raw(store, name).delete_many({})
        await raw(store, name).insert_many(saved[name])
