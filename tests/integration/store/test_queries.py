"""Lists: the right page, the right total, newest first, before a person notices the wait."""

import asyncio

import pytest

from contracts.errors import Refused, Unavailable
from infra.store.census import FACETS_MAX
from infra.store.client import Store
from infra.store.queries import Reader
from infra.store.read_model import ReadModel
from infra.store.wanted import Span
from tests.fixtures.servers import DocumentStoreServer
from tests.integration.store.ledger import Ledger, Line, projector_of, running

COLOURS = ("red", "green", "green", "blue")
Reading = Reader[Line]


async def filled(reader: Reading, ledger: Ledger, count: int) -> None:
    """Write things of four owners, each with all colours, and wait until they are listed."""
    things = [(f"owner{n // 4 % 4}-{n:05d}", COLOURS[n % 4]) for n in range(count)]
    seq = await ledger.write_all(things)
    for start in range(0, count, 250):
        await reader.page({}, page=1, page_size=1, min_seq=min(start + 250, seq))


def by_hand(ledger: Ledger, colour: str | None, owner: str | None) -> list[dict[str, object]]:
    """Filter the ledger as a list should."""
    return [
        view
        for view in ledger.expected()
        if (colour is None or view["colour"] == colour)
        and (owner is None or str(view["thing"]).startswith(f"{owner}-"))
    ]


async def test_pages_of_every_filter_are_those_counted_by_hand(
    store: Store, ledger: Ledger
) -> None:
    """Counted fields, looked-up fields and both together, over several blocks of the census."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await filled(reader, ledger, 1_300)
        for colour in (None, "red", "green", "violet"):
            for owner in (None, "owner2", "nobody"):
                expected = by_hand(ledger, colour, owner)
                for page in (1, 2, 7, 100):
                    got = await reader.page(
                        {"colour": colour, "owner": owner}, page=page, page_size=60
                    )
                    assert got == (expected[(page - 1) * 60 : page * 60], len(expected))


async def test_a_field_with_several_values_is_found_by_each_of_them(
    store: Store, ledger: Ledger
) -> None:
    """A list of values matches where one of them is the one asked for."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await filled(reader, ledger, 40)

        bright = await reader.page({"tags": "bright"}, page=1, page_size=100)
        of_one = await reader.page({"tags": "bright", "owner": "owner1"}, page=1, page_size=100)
        anything = await reader.page({"tags": "any"}, page=1, page_size=100)

    assert bright == (by_hand(ledger, "red", None), 10)
    assert of_one == (by_hand(ledger, "red", "owner1"), 3)
    assert anything == (ledger.expected(), 40)


async def test_a_list_can_begin_at_an_order(store: Store, ledger: Ledger) -> None:
    """What is older is neither listed nor counted, wherever in a block that begins."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await filled(reader, ledger, 1_100)
        for order_min in (1, 250, 500, 501, 1_100, 1_101):
            for colour in (None, "green"):
                newer = [
                    view
                    for view in by_hand(ledger, colour, None)
                    if isinstance(view["seq"], int) and view["seq"] >= order_min
                ]
                got = await reader.page(
                    {"colour": colour}, page=1, page_size=70, orders=Span(order_min)
                )
                assert got == (newer[:70], len(newer))


async def test_any_page_of_ten_thousand_documents_is_full(store: Store, ledger: Ledger) -> None:
    """Unfiltered, by one counted field or by two, at the beginning and deep down."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await filled(reader, ledger, 10_000)
        for asked in ({}, {"colour": "green"}, {"colour": "red", "tags": "bright"}):
            for page in (1, 25, 50):
                views, total = await reader.page(asked, page=page, page_size=50)
                assert (len(views), total >= 2_500) == (50, True)


async def test_one_reads_ones_own_writes(store: Store, ledger: Ledger) -> None:
    """With the sequence of a change, the list waits until it shows it."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        for number in range(20):
            seq = await ledger.write(f"ann-{number}", "red")
            views, total = await reader.page({}, page=1, page_size=1, min_seq=seq)
            assert (views[0]["thing"], total) == (f"ann-{number}", number + 1)


async def test_one_document_is_found_by_its_id(store: Store, ledger: Ledger) -> None:
    """The view as it is listed; None where there is none."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        seq = await ledger.write("ann-1", "red")

        assert await reader.one("ann-1", min_seq=seq) == ledger.expected()[0]
        assert await reader.one("ann-2") is None


async def test_a_sequence_that_is_not_shown_in_time_is_refused(
    store: Store, ledger: Ledger
) -> None:
    """Waiting has a bound, and the answer says how far the list is."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(await ledger.write("ann-1", "red"), timeout_seconds=60)

        with pytest.raises(Refused, match="it shows sequence 1, not yet 2") as refused:
            await projector.wait_for(2, timeout_seconds=0.2)

    assert isinstance(refused.value.refusal, Unavailable)


async def test_a_list_of_a_store_that_is_down_is_refused_soon(
    own_store_server: DocumentStoreServer, ledger: Ledger
) -> None:
    """503 with a remedy within seconds; never a hang, never an error of the driver."""
    store = Store(own_store_server.url, "down")
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await projector.wait_for(await ledger.write("ann-1", "red"), timeout_seconds=60)
        own_store_server.child.kill()
        await own_store_server.child.exited()

        async with asyncio.timeout(60):
            with pytest.raises(Refused) as refused:
                await reader.page({}, page=1, page_size=10)

    assert isinstance(refused.value.refusal, Unavailable)
    assert refused.value.refusal.what.startswith("The document store")
    await store.close()


async def test_a_list_that_was_never_filled_is_refused(store: Store, ledger: Ledger) -> None:
    """No position is no empty list."""
    with pytest.raises(Refused, match="being filled"):
        await Reader(store, projector_of(store, ledger)).page({}, page=1, page_size=10)


async def test_an_undeclared_field_is_a_mistake_of_ours(store: Store, ledger: Ledger) -> None:
    """A field without an index is never asked by."""
    with pytest.raises(ValueError, match=r"cannot be asked by \['length'\]"):
        await Reader(store, projector_of(store, ledger)).page({"length": 1}, page=1, page_size=10)


async def test_more_values_than_can_be_counted_are_listed_all_the_same(
    store: Store, ledger: Ledger
) -> None:
    """A counted field that turns out to have many values is walked instead."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    count = FACETS_MAX + 200
    async with running(projector):
        seq = await ledger.write_all([(f"ann-{n}", f"colour-{n}") for n in range(count)])
        await projector.wait_for(seq, timeout_seconds=60)

        for colour in ("colour-0", f"colour-{count - 1}"):
            expected = by_hand(ledger, colour, None)
            assert await reader.page({"colour": colour}, page=1, page_size=5) == (expected, 1)
        assert (await reader.page({}, page=1, page_size=5))[1] == count


@pytest.mark.parametrize(("ask_by", "counted"), [(("order",), ()), (("_id",), ()), ((), ("a",))])
def test_a_read_model_that_cannot_work_is_not_declared(
    ask_by: tuple[str, ...], counted: tuple[str, ...]
) -> None:
    """Names that are taken, and counted fields that cannot be asked by, are refused at once."""
    with pytest.raises(ValueError, match="choose a name"):
        ReadModel("things", ask_by=ask_by, counted=counted)
