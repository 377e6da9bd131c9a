"""The list shows every transition, is never older than it was, and is rebuilt while it answers."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from contracts import subjects
from contracts.errors import Refused, Unavailable
from contracts.transaction import ListTransactions, TransactionStatus
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.pointer import POINTERS, read_pointer
from infra.store.read_model import VIEW
from services.transaction.store import TRANSACTIONS
from tests.fixtures.raw_store import raw
from tests.integration.listing.house import (
    REVIEW,
    TELL,
    House,
    Item,
    id_of,
    living,
    place,
)


async def view_of(house: House, item: Item) -> dict[str, object]:
    """Read what the list shows of a saga."""
    _, document = await house.reader.stored(item.key)
    assert document is not None
    view: dict[str, object] = document[VIEW]
    return view


async def test_a_transition_that_nobody_is_told_of_is_listed(house: House) -> None:
    """The first of two approvals announces nothing; the list shows it with its sequence."""
    begun = await house.begin(REVIEW)
    once = await house.approve(begun, by="bob")
    page = await house.listed.page(ListTransactions(min_seq=place(once)))

    (shown,) = page.items
    assert (shown.seq, shown.transitions, shown.status) == (
        once.seq,
        2,
        TransactionStatus.AWAITING,
    )
    assert [(one.signal, one.needs, one.given_by) for one in shown.awaits] == [
        ("approval", 2, ["bob"])
    ]


async def test_one_reads_ones_own_writes_in_every_partition(house: House) -> None:
    """Whatever else happens: with the place of a transition, the list waits until it shows it."""
    partitions: set[int] = set()
    for number in range(24):
        item = await house.begin(TELL, at=SYSTEM.now())
        item = await house.pause(TELL, item, at=SYSTEM.now())
        partitions.add(subjects.saga_partition(UUID(item.key)))
        page = await house.listed.page(ListTransactions(page_size=1, min_seq=place(item)))
        assert (page.items[0].transaction_id, page.total) == (id_of(item), number + 1)
        assert (page.items[0].seq, page.items[0].status) == (item.seq, TransactionStatus.PAUSED)
    assert partitions == set(range(subjects.SAGA_PARTITIONS))


async def test_a_place_that_the_list_does_not_come_to_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unavailable with a time to come again; another partition's high sequence does not count."""
    monkeypatch.setattr("infra.store.queries.WAIT_FOR_SECONDS", 0.2)
    item = await house.begin(TELL)
    await house.shown(item)
    with pytest.raises(Refused, match=f"not yet {item.seq + 1}") as refused:
        await house.listed.page(ListTransactions(min_seq=f"{item.key}:{item.seq + 1}"))
    assert isinstance(refused.value.refusal, Unavailable)
    assert refused.value.refusal.retry_after_seconds > 0


async def test_a_list_that_is_behind_never_shows_an_older_view(
    house: House, provisioned: Connection, store: Store
) -> None:
    """A process that takes over where positions were set back leaves newer documents alone."""
    items = [await house.pause(TELL, await house.begin(TELL)) for _ in range(8)]
    for item in items:
        await house.shown(item)
    before = {item.key: (await house.reader.stored(item.key))[1] for item in items}
    await raw(store, POINTERS).update_one(
        {"_id": "transactions"}, {"$set": {"seq": [0] * subjects.SAGA_PARTITIONS}}
    )
    async with living(provisioned, store) as other:
        await other.leading()
        for item in items:
            await other.shown(item)
        after = {item.key: (await other.reader.stored(item.key))[1] for item in items}
    assert after == before


async def test_a_rebuild_shows_what_the_logs_say_while_sagas_go_on(house: House) -> None:
    """Every saga is listed at every moment, as far as it has come, and swapped in without a gap."""
    items = [await house.begin(REVIEW, file=f"{n}.csv") for n in range(40)]
    for item in items:
        await house.shown(item)
    seen: list[tuple[int, bool]] = []

    async def carry_on() -> None:
        for number, item in enumerate(items):
            once = await house.approve(item, by="bob")
            twice = await house.approve(once, by="eve")
            items[number] = await house.answer(REVIEW, twice, at=SYSTEM.now())
            query = ListTransactions(min_seq=place(items[number]), page_size=100)
            page = await house.listed.page(query)
            shown = next(one for one in page.items if one.transaction_id == id_of(item))
            seen.append((page.total, shown.status is TransactionStatus.COMPLETED))

    carrying = asyncio.create_task(carry_on())
    generations: list[int] = []
    while not carrying.done():
        generations.append(await house.projector.rebuild())
    await carrying

    assert seen == [(40, True)] * 40
    assert generations == list(range(2, 2 + len(generations)))
    assert len(generations) >= 2
    assert await house.found(status=[TransactionStatus.COMPLETED], page_size=100) == [
        id_of(item) for item in sorted(items, key=lambda item: item.key, reverse=True)
    ]
    pointer = await read_pointer(house.store, TRANSACTIONS.name)
    assert pointer is not None
    assert pointer.generation == generations[-1]


async def test_timers_in_a_partition_do_not_keep_a_rebuild_waiting(house: House) -> None:
    """What lies in the stream beside the logs is nothing to wait for."""
    item = await house.begin(TELL)
    await house.shown(item)
    saga_id = UUID(item.key)
    await house.connection.publish(subjects.saga_due(saga_id, "tell.1"), b"{}", {})
    async with asyncio.timeout(60):
        assert await house.projector.rebuild() == 2
    assert await house.found() == [id_of(item)]
    assert (await view_of(house, item))["seq"] == item.seq


async def test_a_list_of_many_is_complete(house: House) -> None:
    """Sagas of all partitions stand in the one order in which they began."""
    items = [await house.begin(TELL, at=SYSTEM.now() + timedelta(seconds=n)) for n in range(60)]
    for item in items[-10:]:
        await house.shown(item)
    async with asyncio.timeout(60):
        while len(found := await house.found(page_size=100)) < len(items):
            await SYSTEM.sleep(0.05)
    assert found == [id_of(item) for item in reversed(items)]
