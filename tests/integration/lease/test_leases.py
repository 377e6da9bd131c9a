"""Leases over a real broker: shared, renewed, handed over, inherited, and never held twice."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from contracts import subjects
from infra.bus import provision as provisioning
from infra.bus.connection import Connection
from infra.bus.provision import ProvisionError, provision
from infra.bus.streams import SAGA_LEASES
from infra.clock import SYSTEM
from infra.lease.bucket import STREAM, LeaseBucket, WrongCountError
from infra.lease.leases import Leases, NotHeldError
from infra.lease.table import Me
from infra.telemetry import metrics
from tests.fixtures.servers import Broker

LIFE_SECONDS = 1.5
LIFE = timedelta(seconds=LIFE_SECONDS)
WAIT_SECONDS = 60.0
ALL = [0, 1, 2, 3]


@dataclass
class Worker:
    """One process that takes part, and the leases whose work it does."""

    leases: Leases
    working: set[int] = field(default_factory=set[int])
    ending: set[int] = field(default_factory=set[int])
    slow: asyncio.Event | None = None
    """What its work waits for before it ends."""
    loops: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    async def begin(self, number: int) -> None:
        """Begin the work of a lease."""
        assert number not in self.working
        self.working.add(number)

    async def end(self, number: int) -> None:
        """End the work of a lease."""
        self.ending.add(number)
        if self.slow is not None:
            await self.slow.wait()
        self.ending.discard(number)
        self.working.discard(number)

    async def start(self) -> None:
        """Take part."""
        await self.leases.start(self.begin, self.end)
        self.loops = [
            asyncio.create_task(self.leases.run()),
            asyncio.create_task(self.leases.listen()),
        ]

    async def die(self) -> None:
        """Do nothing more, without a word."""
        for loop in self.loops:
            loop.cancel()
        await asyncio.gather(*self.loops, return_exceptions=True)

    async def leave(self) -> None:
        """Stop as a service does."""
        await self.leases.stop()
        await self.die()


Make = Callable[..., Worker]


@asynccontextmanager
async def workers(url: str) -> AsyncGenerator[Make]:
    """Make workers, each with a connection of its own, until the test is over."""
    connections: list[Connection] = []
    made: list[Worker] = []

    async with AsyncExitStack() as stack:
        for number in range(4):
            connection = await Connection.connect(url, f"worker-{number}")
            stack.push_async_callback(connection.close)
            connections.append(connection)

        def make(instance: str) -> Worker:
            me = Me(instance, f"incarnation-{len(made)}")
            connection = connections[len(made)]
            leases = Leases(connection, "test", SAGA_LEASES, me, life_seconds=LIFE_SECONDS)
            made.append(Worker(leases))
            return made[-1]

        yield make
        for worker in made:
            await worker.die()


@pytest.fixture
async def make(nats_url: str, provisioned: Connection) -> AsyncGenerator[Make]:
    """Give a way to make workers on a fresh broker."""
    assert provisioned.connected
    async with workers(nats_url) as make:
        yield make


async def until(fact: Callable[[], bool]) -> None:
    """Wait until a fact holds."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not fact():
            await SYSTEM.sleep(0.01)


def held(of: Sequence[Worker]) -> list[int]:
    """List what workers hold, together."""
    return sorted(number for worker in of for number in worker.leases.held)


async def test_whoever_is_alone_has_everything_once_it_has_started(make: Make) -> None:
    """Nothing is waited for: `start` returns when the work has begun."""
    worker = make("a")
    await worker.start()

    assert worker.leases.held == ALL
    assert worker.working == set(ALL)
    assert [worker.leases.require(number) for number in ALL] == [1, 1, 1, 1]


async def test_two_share_and_the_later_waits_for_the_work_to_end(make: Make) -> None:
    """A surplus is handed over only when its work is done; nobody does the same at a time."""
    first, second = make("a"), make("b")
    first.slow = asyncio.Event()
    await first.start()
    await second.start()
    await until(lambda: len(first.ending) == 2)
    assert second.leases.held == []

    first.slow.set()
    await until(lambda: len(first.leases.held) == len(second.leases.held) == 2)
    assert held([first, second]) == ALL
    assert first.working.isdisjoint(second.working)
    assert [second.leases.require(number) for number in second.leases.held] == [2, 2]


async def test_what_is_renewed_stays(make: Make, provisioned: Connection) -> None:
    """Over several lives of a lease its epoch is the same."""
    worker, bucket = make("a"), LeaseBucket(provisioned, SAGA_LEASES)
    await worker.start()
    first = (await bucket.read()).leases[0].expires_at
    assert first is not None
    async with asyncio.timeout(WAIT_SECONDS):
        while ((await bucket.read()).leases[0].expires_at or first) < first + 2 * LIFE:
            await SYSTEM.sleep(0.05)

    assert [worker.leases.require(number) for number in ALL] == [1, 1, 1, 1]


async def test_the_dead_are_inherited_when_their_leases_end(make: Make) -> None:
    """Whoever is left takes everything, under a newer epoch."""
    first, second = make("a"), make("b")
    await first.start()
    await second.start()
    await until(lambda: len(first.leases.held) == len(second.leases.held) == 2)
    await first.die()
    await until(lambda: second.leases.held == ALL)

    assert sorted(second.leases.require(number) for number in ALL) == [2, 2, 2, 2]


async def test_a_restart_under_the_same_name_waits_for_nothing(make: Make) -> None:
    """Its forerunner is dead, however long its leases last."""
    first, again = make("a"), make("a")
    await first.start()
    await first.die()
    await again.start()

    assert again.leases.held == ALL
    assert [again.leases.require(number) for number in ALL] == [2, 2, 2, 2]


async def test_whoever_leaves_lets_go(make: Make, provisioned: Connection) -> None:
    """The others need not wait for the end of its leases, nor count it any more."""
    first, second = make("a"), make("b")
    await first.start()
    await second.start()
    await until(lambda: len(first.leases.held) == len(second.leases.held) == 2)
    await first.leave()
    assert first.working == set()

    await until(lambda: second.leases.held == ALL)
    assert list((await LeaseBucket(provisioned, SAGA_LEASES).read()).members) == ["b"]


async def test_whoever_stood_still_holds_nothing_before_it_has_asked(make: Make) -> None:
    """Its own clock tells: a lease that was not renewed in time is not relied on."""
    worker = make("a")
    await worker.start()
    await worker.die()
    await until(lambda: worker.leases.held == [])

    with pytest.raises(NotHeldError):
        worker.leases.require(0)


async def test_a_newer_epoch_in_the_log_ends_a_lease(make: Make) -> None:
    """It is lost, counted, its work ended, and taken again under a yet newer epoch."""
    worker = make("a")
    await worker.start()
    lost = metrics.value("tracseq_leases_lost_total", service="test")
    worker.leases.meet(0, 7)
    with pytest.raises(NotHeldError):
        worker.leases.require(0)
    assert metrics.value("tracseq_leases_lost_total", service="test") == lost + 1

    await until(lambda: worker.leases.held == ALL)
    assert worker.leases.require(0) == 8
    worker.leases.meet(0, 8)
    assert worker.leases.require(0) == 8


async def test_the_later_of_two_under_one_name_has_the_leases(make: Make) -> None:
    """The earlier stands down for as long as the later lives, and takes over when it is gone."""
    first, second = make("a"), make("a")
    await first.start()
    await second.start()
    await until(lambda: first.working == set())
    assert second.leases.held == ALL
    assert first.leases.held == []

    await second.die()
    await until(lambda: first.leases.held == ALL)


async def test_an_outage_loses_nobody_a_lease(make: Make, broker: Broker) -> None:
    """Nobody could take it: it is renewed when the broker is back, under the same epoch."""
    worker = make("a")
    await worker.start()
    await broker.child.stop()
    await until(lambda: worker.leases.held == [])
    await broker.child.start()
    await until(lambda: worker.leases.held == ALL)

    assert [worker.leases.require(number) for number in ALL] == [1, 1, 1, 1]
    assert worker.working == set(ALL)


async def test_another_number_of_partitions_is_refused(
    nats_url: str, provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the provisioner, before it changes anything, and by whoever would take part."""
    more = replace(SAGA_LEASES, count=8)
    monkeypatch.setattr(provisioning, "LEASE_GROUPS", (more,))
    with pytest.raises(ProvisionError, match="provisioned for 4 partitions of saga"):
        await provision(provisioned)

    connection = await Connection.connect(nats_url, "test")
    leases = Leases(connection, "test", more, Me("a", "1"), life_seconds=LIFE_SECONDS)
    worker = Worker(leases)
    with pytest.raises(WrongCountError, match="this version has 8"):
        await worker.start()
    await connection.close()


async def test_without_a_record_of_their_number_nothing_is_taken(
    nats_url: str, provisioned: Connection
) -> None:
    """The text says who records it."""
    counted = subjects.in_bucket(subjects.LEASES_BUCKET, subjects.lease_group(SAGA_LEASES.name))
    assert await provisioned.purge(STREAM, counted) == 1
    connection = await Connection.connect(nats_url, "test")
    worker = Worker(
        Leases(connection, "test", SAGA_LEASES, Me("a", "1"), life_seconds=LIFE_SECONDS)
    )
    with pytest.raises(WrongCountError, match="tracseq provision"):
        await worker.start()
    await connection.close()
