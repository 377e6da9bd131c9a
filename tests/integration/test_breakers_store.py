"""What the driver sends to the store, seen from within it: nothing leaves past a breaker."""

import asyncio
from collections import Counter

import pytest
from pymongo import monitoring
from pymongo.errors import OperationFailure

from infra.breaker import BreakerRegistry, CircuitBreakerConfig, State
from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.errors import StoreSpared, StoreUnavailable
from infra.store.guarded import BATCH, Session
from infra.store.pointer import read_pointer
from infra.store.queries import Reader
from tests.fixtures.raw_store import raw
from tests.fixtures.servers import Database
from tests.integration.store.ledger import Ledger, projector_of, running

THINGS = [(f"ann-{n:05d}", ("red", "green", "blue")[n % 3]) for n in range(700)]
UNASKED = frozenset({"ping", "hello", "ismaster", "endSessions", "killCursors", "buildInfo"})
"""What the driver sends by itself, and readiness."""


class Witness(monitoring.CommandListener):
    """Counts what is under way at the driver, beside what the breakers know of."""

    def __init__(self) -> None:
        """See nothing yet."""
        self.breakers: BreakerRegistry | None = None
        self.seen = Counter[str]()
        self.past = list[str]()
        """What was begun while the breakers had fewer calls under way than the driver."""
        self._under_way = set[int]()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        """Compare; it is called in the driver's own thread."""
        if self.breakers is None or event.command_name in UNASKED:
            return
        self.seen[event.command_name] += 1
        self._under_way.add(event.request_id)
        known = sum(one.in_flight for one in self.breakers.snapshot())
        if len(self._under_way) > known:
            self.past.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Note the end of one."""
        self._under_way.discard(event.request_id)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Note the end of one."""
        self._under_way.discard(event.request_id)


WITNESS = Witness()
# Of the whole process and for ever, so it looks only where a test lets it.
monitoring.register(WITNESS)


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    """Begin with a witness that has seen nothing."""
    WITNESS.past.clear()
    WITNESS.seen.clear()


@pytest.fixture
def breakers() -> BreakerRegistry:
    """Give the breakers of one service."""
    return BreakerRegistry("sample")


async def test_nothing_is_sent_past_the_breakers(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """Filling, asking, paging, rebuilding, clearing away: a call that is known for each command."""
    store = Store(store_database.url, store_database.name, breakers=breakers)
    ledger = Ledger()
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    WITNESS.breakers = breakers
    try:
        async with running(projector):
            await projector.wait_for(await ledger.write_all(THINGS), timeout_seconds=60)
            await asyncio.gather(*(reader.page({}, page=n, page_size=40) for n in range(1, 6)))
            await reader.page({"colour": "red"}, page=1, page_size=10)
            await reader.ids({"owner": "ann"}, limit=3)
            await reader.one("ann-00001")
            await projector.rebuild()
        await store.drop()
    finally:
        WITNESS.breakers = None
        await store.close()

    sent = {"find", "getMore", "insert", "update", "create", "createIndexes", "commitTransaction"}
    assert sent - WITNESS.seen.keys() <= {"getMore"}
    assert "dropDatabase" in WITNESS.seen
    assert WITNESS.past == []
    assert [(one.in_flight, one.failed) for one in breakers.snapshot()] == [(0, 0), (0, 0)]


async def test_what_is_sent_past_them_would_be_seen(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """The witness above notices a question that no breaker knows of."""
    store = Store(store_database.url, store_database.name, breakers=breakers)
    WITNESS.breakers = breakers
    try:
        await raw(store, "things").find_one({})
    finally:
        WITNESS.breakers = None
        await store.close()

    assert WITNESS.past == ["find"]


async def test_a_long_list_is_a_call_for_each_batch(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """A reader that takes its time holds no call meanwhile, and is not ended for it."""
    breakers.configure({"store": CircuitBreakerConfig(request_timeout=0.5)})
    store = Store(store_database.url, store_database.name, breakers=breakers)
    await raw(store, "numbers").insert_many({"_id": n} for n in range(2 * BATCH + 1))
    guard = breakers.get("store")
    seen = 0
    async for _ in store.documents("numbers").read(newest_first=[("_id", -1)]):
        assert guard.snapshot().in_flight == 0
        if seen % BATCH == 0:
            await SYSTEM.sleep(0.6)
        seen += 1
    await store.close()

    assert seen == 2 * BATCH + 1
    assert (guard.snapshot().succeeded, guard.snapshot().failed) == (3, 0)


async def test_a_transaction_is_one_call_and_a_trial_lets_all_of_it_through(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """Half-open, with room for one call, its parts do not wait for each other."""
    store = Store(store_database.url, store_database.name, breakers=breakers)
    await store.create("things")
    breakers.get("store").open()
    breakers.get("store_writes").half_open()

    async def work(session: Session) -> None:
        things = store.documents("things")
        await things.replace({"_id": 1}, {"_id": 1, "n": 1}, session=session)
        await things.delete({"_id": 2}, session=session)

    await store.together(work)
    await store.close()

    assert breakers.get("store_writes").breaker_state is State.CLOSED
    assert breakers.get("store_writes").snapshot().succeeded == 2


async def test_mistakes_and_twins_say_nothing_of_the_store(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """A wrong question and a document that is there already are neutral, however many."""
    store = Store(store_database.url, store_database.name, breakers=breakers)
    things = store.documents("things")
    for _ in range(6):
        with pytest.raises(OperationFailure):
            await things.read_one({"$nonsense": 1})
    await things.insert({"_id": 1})
    for _ in range(6):
        with pytest.raises(OperationFailure):
            await things.insert({"_id": 1})
    await store.close()

    guard = breakers.get("store").snapshot()
    assert (guard.state, guard.failed, guard.neutral) == (State.CLOSED, 0, 12)


async def test_what_is_spared_says_when_to_come_again(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """Nothing is sent, and the error carries who refused."""
    store = Store(store_database.url, store_database.name, breakers=breakers)
    breakers.get("store").open()
    with pytest.raises(StoreSpared, match="circuit breaker 'store' is open") as spared:
        await read_pointer(store, "things")
    await store.close()

    assert 0 < spared.value.refused.retry_after <= 1


async def test_a_transaction_outlives_the_time_of_its_call(
    store_database: Database, breakers: BreakerRegistry
) -> None:
    """It is ended nowhere in the middle: its caller hears that it took too long when it is done."""
    breakers.configure({"store_writes": CircuitBreakerConfig(request_timeout=0.2)})
    store = Store(store_database.url, store_database.name, breakers=breakers)
    await store.create("things")
    documents = raw(store, "things")

    async def work(session: Session) -> None:
        await documents.insert_one({"_id": 1}, session=session)
        await SYSTEM.sleep(0.5)
        await documents.insert_one({"_id": 2}, session=session)

    with pytest.raises(StoreUnavailable, match="no answer within"):
        await store.together(work)
    count = await documents.count_documents({})
    await store.close()

    assert count == 2
    assert breakers.get("store_writes").snapshot().timed_out == 1
