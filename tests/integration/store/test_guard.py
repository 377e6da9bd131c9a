"""An older view never replaces a newer one, and what was changed by hand can be mended."""

from collections import Counter

import pytest

from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.generation import Generation, read_block
from infra.store.queries import Reader
from infra.store.read_model import SEQ, VIEW, Put, ReadModel, Write
from tests.fixtures.raw_store import raw
from tests.integration.store.ledger import (
    THINGS,
    Ledger,
    everything,
    projector_of,
    running,
    write_of,
)

GUARDED = ReadModel("guarded", ask_by=("colour",), counted=("colour",))
COLOURS = ("red", "green", "blue")


def shown(name: str, seq: int, colour: str) -> Put:
    """Show a thing as it was at a sequence."""
    view = {"thing": name, "seq": seq, "colour": colour}
    return Put(id=name, order=7, view=view, fields={"colour": colour}, seq=seq)


async def views(store: Store, generation: Generation) -> dict[str, object]:
    """Read what is shown, by id, and check that it is counted so."""
    number = generation.pointer.generation
    documents = await raw(store, GUARDED.collection(number)).find().to_list(None)
    blocks = await raw(store, GUARDED.blocks(number)).find().to_list(None)
    counted = sum((read_block(block) for block in blocks), Counter[int]())
    codes = {facet[0]: code for code, facet in enumerate(generation.pointer.facets, start=1)}
    assert counted == Counter(codes[document["colour"]] for document in documents)
    return {document["_id"]: document[VIEW]["seq"] for document in documents}


@pytest.mark.parametrize("forgetful", [False, True])
async def test_an_older_view_never_replaces_a_newer_one(store: Store, *, forgetful: bool) -> None:
    """Whatever the order of writing, within a batch or from one to the next, the newest stays."""
    generation = await Generation.claim(store, GUARDED, GUARDED.name)
    batches: list[list[Write]] = [
        [shown("a", 5, "red"), shown("b", 6, "green")],
        [shown("a", 3, "blue"), shown("b", 8, "blue"), shown("c", 9, "red")],
        [shown("b", 8, "red"), shown("c", 2, "green")],
    ]
    for number, batch in enumerate(batches, start=1):
        if forgetful:
            generation = await Generation.claim(store, GUARDED, GUARDED.name)
        await generation.write(batch, (number,))

    assert await views(store, generation) == {"a": 5, "b": 8, "c": 9}
    assert generation.pointer.marks == (3,)


async def test_what_is_removed_can_come_again(store: Store) -> None:
    """A guard is a document's own, and goes with it."""
    generation = await Generation.claim(store, GUARDED, GUARDED.name)
    await generation.write([shown("a", 5, "red")], (1,))
    await raw(store, GUARDED.collection(1)).delete_one({"_id": "a"})
    again = await Generation.claim(store, GUARDED, GUARDED.name)
    await again.write([shown("a", 4, "blue")], (2,))

    assert await views(store, again) == {"a": 4}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    "corruption",
    [
        {"$set": {"view.colour": "violet"}},
        {"$set": {"colour": "blue"}},
        {"$set": {"order": 30}},
        {"$set": {"order": 10_000}},
        {"$set": {"seq": 1_000_000}},
        {"$unset": {"colour": ""}},
    ],
    ids=["view", "colour", "older", "newer", "seq", "uncoloured"],
)
async def test_a_mended_document_is_listed_and_counted_as_before(
    store: Store, ledger: Ledger, corruption: dict[str, object], *, restarted: bool
) -> None:
    """Whatever was changed by hand, and whether the writer saw the change or not."""
    await ledger.write_all([(f"ann-{n:04d}", COLOURS[n % 3]) for n in range(700)])
    projector = projector_of(store, ledger)
    if restarted:
        async with running(projector):
            await projector.wait_for(700, timeout_seconds=60)
        projector = projector_of(store, ledger)
    documents = raw(store, THINGS.collection(1))
    if restarted:
        await documents.update_one({"_id": "ann-0600"}, corruption)
    async with running(projector):
        await projector.wait_for(700, timeout_seconds=60)
        while not projector.leads:
            await SYSTEM.sleep(0.02)
        if not restarted:
            await documents.update_one({"_id": "ann-0600"}, corruption)
        right = write_of(ledger.lines[600])
        assert isinstance(right, Put)
        reader = Reader(store, projector)
        _, seen = await reader.stored("ann-0600")

        assert not await projector.mend(right, None)
        assert seen != right.document()
        assert await projector.mend(right, seen)

        assert await everything(reader) == ledger.expected()
        for colour in COLOURS:
            found = await reader.page({"colour": colour}, page=1, page_size=1_000)
            expected = [view for view in ledger.expected() if view["colour"] == colour]
            assert found == (expected, len(expected))


async def test_a_document_without_an_order_is_no_reason_to_stop(
    store: Store, ledger: Ledger
) -> None:
    """A writer that finds such a one at its start fills the list anew."""
    await ledger.write_all([(f"ann-{n:04d}", "red") for n in range(30)])
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(30, timeout_seconds=60)
    documents = raw(store, THINGS.collection(1))
    await documents.update_one({"_id": "ann-0007"}, {"$unset": {"order": ""}})

    again = projector_of(store, ledger)
    async with running(again):
        await again.wait_for(30, timeout_seconds=60)
        assert await everything(Reader(store, again)) == ledger.expected()


async def test_a_deleted_document_is_mended(store: Store, ledger: Ledger) -> None:
    """It is listed again, once, and the next write finds it."""
    await ledger.write_all([(f"ann-{n:04d}", COLOURS[n % 3]) for n in range(30)])
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(30, timeout_seconds=60)
        await raw(store, THINGS.collection(1)).delete_one({"_id": "ann-0007"})
        right = write_of(ledger.lines[7])
        assert isinstance(right, Put)
        assert await projector.mend(right, None)
        assert await everything(Reader(store, projector)) == ledger.expected()

        seq = await ledger.write("ann-0007", None)
        assert await everything(Reader(store, projector), min_seq=seq) == ledger.expected()


async def test_who_does_not_write_mends_nothing(store: Store, ledger: Ledger) -> None:
    """There is one writer; the other processes leave it to it."""
    put = shown("a", 1, "red")
    assert not await projector_of(store, ledger).mend(put, None)
    assert SEQ not in Put(id="a", order=1, view={}, fields={}).document()
