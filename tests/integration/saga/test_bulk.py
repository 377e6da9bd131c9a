"""Orders to many sagas over a real broker and store: selected once, given to each of them once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from uuid import UUID

import pytest

import sagas.definitions
from contracts import subjects
from contracts.errors import InvalidInput, Refused
from contracts.saga_orders import BulkOrderView, OrderTransactions
from contracts.saga_tools import (
    BulkOrderAdvanced,
    BulkOrdered,
    BulkOrderEnded,
    BulkOrderNotFound,
    CancelBulkOrder,
    GetBulkOrder,
)
from contracts.transaction import (
    ListTransactions,
    OrderKind,
    TransactionFilter,
    TransactionStatus,
)
from contracts.types import TransactionId
from infra.bus.connection import Connection
from infra.ids import new_id
from infra.log.log import Log
from infra.store.client import Store
from services.transaction import domain
from services.transaction.handlers import bulk
from services.transaction.handlers.bulk import BulkOrders
from services.transaction.handlers.outbox import Outbox
from tests.fixtures.laboratory import eventually
from tests.fixtures.servers import Database
from tests.integration.listing.house import House, living
from tests.integration.saga.conductor import Conductor, conducting
from tests.integration.saga.desk import AGREEING, ALL, SENDING, heads, said

SENDINGS, AGREEINGS = bulk.AT_ONCE + 4, 3


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sagas of these tests be known."""
    monkeypatch.setattr(sagas.definitions, "ALL", ALL)


@dataclass
class Many:
    """Many sagas, and what gives orders to them."""

    conductor: Conductor
    house: House
    orders: BulkOrders
    sendings: list[UUID]
    agreeings: list[UUID]

    async def states(self, ids: list[UUID]) -> set[TransactionStatus]:
        """Say how sagas stand."""
        return {(await self.conductor.state(one)).status for one in ids}

    async def lengths(self) -> list[int]:
        """Count the entries of every saga."""
        return [len(await self.conductor.entries(one)) for one in self.sendings]

    async def log(self, view: BulkOrderView) -> list[type]:
        """Name the kinds of what the order's own log says."""
        return [
            type(event)
            for entry in await self.orders.log.history(view.bulk_id)
            for event in entry.events
        ]


@pytest.fixture
async def many(
    nats_url: str, provisioned: Connection, store_database: Database
) -> AsyncGenerator[Many]:
    """Give sagas of two types that wait for their first step, all of them listed."""
    async with AsyncExitStack() as stack:
        store = Store(store_database.url, store_database.name)
        stack.push_async_callback(store.close)
        conductor = await stack.enter_async_context(conducting(nats_url))
        house = await stack.enter_async_context(living(provisioned, store))
        orders = BulkOrders(
            log=Log(conductor.connection, "transaction").of(domain.BULK),
            orchestrator=conductor.orchestrator,
            store=house.listed,
        )
        sendings = [await conductor.begin(SENDING) for _ in range(SENDINGS)]
        agreeings = [await conductor.begin(AGREEING) for _ in range(AGREEINGS)]
        await eventually(
            lambda: house.listed.page(ListTransactions()),
            lambda page: page.total == SENDINGS + AGREEINGS,
        )
        yield Many(conductor, house, orders, sendings, agreeings)


def order(kind: OrderKind = OrderKind.PAUSE, **fields: object) -> OrderTransactions:
    """Order all sagas of the first type to do something."""
    plain = {"order": kind, "filter": TransactionFilter(saga_type="sending"), "reason": "a flood"}
    return OrderTransactions.model_validate({**plain, **fields})


async def test_everyone_who_is_selected_is_told_and_nobody_else(many: Many) -> None:
    """Recorded once, given to sixteen at a time, each under an id of its own; then ended."""
    given = said()
    view = await many.orders.on_order(order(), given)

    assert (view.bulk_id, view.selected, view.done) == (UUID(given.message_id), SENDINGS, SENDINGS)
    assert (view.refused, view.finished, view.cancelled) == ({}, True, False)
    assert await many.states(many.sendings) == {TransactionStatus.PAUSED}
    assert await many.states(many.agreeings) == {TransactionStatus.RUNNING}
    assert await many.log(view) == [
        BulkOrdered,
        BulkOrderAdvanced,
        BulkOrderAdvanced,
        BulkOrderEnded,
    ]
    last = (await many.conductor.entries(many.sendings[0]))[-1]
    assert (last.actor, last.cause) == ("grace", f"{given.message_id}:{many.sendings[0]}")


async def test_those_who_cannot_follow_are_named_with_the_reason(many: Many) -> None:
    """The others are told all the same."""
    await many.orders.on_order(order(limit=1), said())
    (paused,) = [
        one
        for one in many.sendings
        if (await many.conductor.state(one)).status is TransactionStatus.PAUSED
    ]
    view = await many.orders.on_order(order(), said())

    assert view.done == SENDINGS - 1
    assert list(view.refused) == [paused]
    assert "it is paused, so nothing goes on" in view.refused[TransactionId(paused)]


async def test_an_order_that_comes_again_does_nothing_twice(many: Many) -> None:
    """It shows how the first one ended."""
    given = said()
    first = await many.orders.on_order(order(), given)
    before = await many.lengths()
    again = await many.orders.on_order(order(), replace(given, delivered=2))
    assert again == first
    assert await many.lengths() == before


async def test_a_crash_in_the_middle_is_continued_where_it_was(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody selected anew, nobody told twice, nobody left out."""
    given, sent = said(), 0
    send = Outbox.send

    async def die_late(*asked: object) -> None:
        nonlocal sent
        sent += 1
        if sent > bulk.AT_ONCE + 1:
            raise ConnectionError("the process dies")
        await send(*asked)  # type: ignore[arg-type] # as it was given

    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "send", die_late)
        with pytest.raises(ConnectionError):
            await many.orders.on_order(order(), given)
    halfway = await many.orders.on_get(GetBulkOrder(bulk_id=UUID(given.message_id)), said())
    assert (halfway.done, halfway.finished) == (bulk.AT_ONCE, False)

    late = await many.conductor.begin(SENDING)
    view = await many.orders.on_order(order(), replace(given, delivered=2))
    assert (view.selected, view.done, view.refused) == (SENDINGS, SENDINGS, {})
    assert await many.lengths() == [2] * SENDINGS
    assert (await many.conductor.state(late)).status is TransactionStatus.RUNNING


async def test_a_cancelled_order_stops_midway(many: Many, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who are being told are told; nobody else is, and what was done stays done."""
    given, told = said(), asyncio.Event()
    go_on = asyncio.Event()
    send = Outbox.send

    async def wait_first(*asked: object) -> None:
        told.set()
        await go_on.wait()
        await send(*asked)  # type: ignore[arg-type] # as it was given

    monkeypatch.setattr(Outbox, "send", wait_first)
    running = asyncio.create_task(many.orders.on_order(order(), given))
    await told.wait()
    cancel = CancelBulkOrder(bulk_id=UUID(given.message_id), reason="the wrong ones")
    cancelled = await many.orders.on_cancel(cancel, said())
    assert (cancelled.cancelled, cancelled.finished) == (True, False)
    go_on.set()
    view = await running

    assert (view.cancelled, view.finished, view.done) == (True, True, bulk.AT_ONCE)
    assert sorted(await many.lengths()) == [1] * (SENDINGS - bulk.AT_ONCE) + [2] * bulk.AT_ONCE
    assert await many.orders.on_cancel(cancel, said()) == view


async def test_an_order_cancelled_before_its_return_tells_nobody_more(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had crashed at its first; cancelled meanwhile, all that is left is its end."""

    async def die(*_: object) -> None:
        raise ConnectionError("the process dies")

    given = said()
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "send", die)
        with pytest.raises(ConnectionError):
            await many.orders.on_order(order(OrderKind.CANCEL), given)
    before = await many.lengths()
    cancel = CancelBulkOrder(bulk_id=UUID(given.message_id), reason="the wrong ones")
    await many.orders.on_cancel(cancel, said())
    view = await many.orders.on_order(order(OrderKind.CANCEL), replace(given, delivered=2))

    assert (view.cancelled, view.finished, view.done) == (True, True, 0)
    assert await many.lengths() == before


async def test_an_order_that_is_only_tried_changes_nothing(many: Many) -> None:
    """It selects and decides; neither a saga nor the order itself is recorded."""
    own = subjects.log_stream("transaction")
    before, head = await heads(many.conductor), await many.conductor.connection.head(own)
    view = await many.orders.on_order(order(OrderKind.RESUME, dry_run=True), said())
    paused = await many.orders.on_order(order(dry_run=True), said())

    assert (view.dry_run, view.selected, view.done, len(view.refused)) == (
        True,
        SENDINGS,
        0,
        SENDINGS,
    )
    assert (paused.done, paused.refused) == (SENDINGS, {})
    assert await heads(many.conductor) == before
    assert await many.conductor.connection.head(own) == head


async def test_many_are_migrated_by_one_order(many: Many) -> None:
    """Each by a proof of its own; the version must be named, and for nothing else."""
    view = await many.orders.on_order(order(OrderKind.MIGRATE, version=2), said())
    assert (view.done, view.refused) == (SENDINGS, {})
    assert {(await many.conductor.state(one)).version for one in many.sendings} == {2}
    for wrong in (order(OrderKind.MIGRATE), order(OrderKind.PAUSE, version=2)):
        with pytest.raises(Refused) as refused:
            await many.orders.on_order(wrong, said())
        assert isinstance(refused.value.refusal, InvalidInput)


async def test_an_order_that_selects_nobody_ends_at_once(many: Many) -> None:
    """It is recorded all the same."""
    nobody = order(filter=TransactionFilter(saga_type="nothing"))
    view = await many.orders.on_order(nobody, said())
    assert (view.selected, view.done, view.finished) == (0, 0, True)
    assert await many.log(view) == [BulkOrdered, BulkOrderEnded]


async def test_an_unknown_order_is_not_found(many: Many) -> None:
    """Neither shown nor cancelled."""
    for ask in (
        many.orders.on_get(GetBulkOrder(bulk_id=new_id()), said()),
        many.orders.on_cancel(CancelBulkOrder(bulk_id=new_id(), reason="whatever"), said()),
    ):
        with pytest.raises(Refused) as refused:
            await ask
        assert isinstance(refused.value.refusal, BulkOrderNotFound)
