"""The store's own errors, bounds and transactions, as the rest of the project meets them."""

import asyncio
from time import perf_counter

import pytest
from pymongo.errors import OperationFailure

from contracts.errors import Conflict, Retryable
from infra.clock import SYSTEM
from infra.store.client import Store, options_for
from infra.store.errors import StoreUnavailable, reaching
from infra.store.guarded import Session
from infra.supervisor import free_port
from tests.fixtures.raw_store import raw

EMBEDDED = "mongodb://127.0.0.1:27017/"
PRODUCTION = "mongodb://a,b,c/?replicaSet=rs0&retryWrites=true&w=majority&journal=true"


async def test_a_store_that_answers_is_well(store: Store) -> None:
    """A ping returns."""
    await store.ping()


async def test_a_store_that_is_not_there_is_unavailable_within_the_bound() -> None:
    """A ping gives up after a second and a half, a call after two, and both can be tried again."""
    store = Store(f"mongodb://127.0.0.1:{free_port()}/", "nobody")
    started_at = perf_counter()
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await store.ping()
    with pytest.raises(StoreUnavailable, match="cannot be listed"):
        await store.names("x")

    assert perf_counter() - started_at < 6
    assert issubclass(StoreUnavailable, Retryable)
    await store.close()


def test_the_embedded_store_is_reached_without_retryable_writes_and_with_bounds() -> None:
    """Retryable writes make it slower with every write; idle connections are closed by it."""
    options = options_for(EMBEDDED)

    assert options["retryWrites"] is False
    assert options["maxIdleTimeMS"] == 120_000
    assert options["serverSelectionTimeoutMS"] == 2_000
    assert options["maxPoolSize"] == 16


def test_the_url_of_a_replica_set_is_left_as_it_is() -> None:
    """Production says in its URL how it wants to be reached."""
    assert options_for(PRODUCTION) == {}


async def test_writes_together_are_all_or_nothing(store: Store) -> None:
    """A failure in the middle leaves nothing of what came before it."""
    things = raw(store, "things")
    await things.insert_one({"_id": "present"})

    async def work(session: Session) -> None:
        await things.insert_one({"_id": "new"}, session=session)
        raise LookupError

    with pytest.raises(LookupError):
        await store.together(work)

    assert await things.find().to_list(None) == [{"_id": "present"}]


async def test_two_writers_of_one_document_are_a_conflict(store: Store) -> None:
    """The second is told that another was first, as what can be tried again."""
    things = raw(store, "things")
    await things.insert_one({"_id": "one", "n": 0})
    second_failed = asyncio.Event()

    async def first(session: Session) -> None:
        await things.update_one({"_id": "one"}, {"$inc": {"n": 1}}, session=session)
        with pytest.raises(Conflict):
            await store.together(second)
        second_failed.set()

    async def second(session: Session) -> None:
        await things.update_one({"_id": "one"}, {"$inc": {"n": 10}}, session=session)

    await store.together(first)

    assert second_failed.is_set()
    assert await things.find_one({"_id": "one"}) == {"_id": "one", "n": 1}


async def test_who_is_cancelled_leaves_no_transaction_in_the_middle(store: Store) -> None:
    """Writes that were begun together are finished together."""
    things = raw(store, "things")
    begun = asyncio.Event()

    async def work(session: Session) -> None:
        await things.insert_one({"_id": 1}, session=session)
        begun.set()
        await SYSTEM.sleep(0.2)
        await things.insert_one({"_id": 2}, session=session)

    writing = asyncio.create_task(store.together(work))
    await begun.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert await things.count_documents({}) == 2


async def test_a_mistake_of_ours_is_not_dressed_up_as_an_outage(store: Store) -> None:
    """What will never work is not tried for ever."""
    with pytest.raises(OperationFailure), reaching("things cannot be read"):
        await raw(store, "things").find_one({"$nonsense": 1})
