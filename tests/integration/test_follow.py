"""Following a stream: everything, once, in order, over gaps and outages, within its bound."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from contracts import subjects
from contracts.lab import BarcodeScanned
from infra.bus.bus import Bus
from infra.bus.connection import Connection, Raw
from infra.bus.follow import Follower
from infra.clock import SYSTEM
from tests.fixtures.nats_proxy import Fate, Frame, Rule, Way, nats_proxy
from tests.fixtures.servers import Broker

STREAM = subjects.log_stream("sample")
FILTER = subjects.log_subjects("sample")


async def append(connection: Connection, *bodies: str, key: str = "a") -> None:
    """Store messages that can be told apart."""
    for body in bodies:
        await connection.publish(subjects.log_of("sample", "x", key), body.encode())


async def take(batches: AsyncGenerator[list[Raw]], count: int) -> list[str]:
    """Follow until so many came."""
    found: list[str] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found += [raw.body.decode() for raw in await anext(batches)]
    return found


@asynccontextmanager
async def following(
    connection: Connection, after: int = 0, *, batch_max: int = 500, only: str = FILTER
) -> AsyncGenerator[AsyncGenerator[list[Raw]]]:
    """Follow for as long as a `with` lasts."""
    follower = Follower(connection, STREAM, [only], batch_max=batch_max)
    async with aclosing(follower.batches(after)) as batches:
        yield batches


def numbers(start: int, end: int) -> list[str]:
    """Name messages."""
    return [str(number) for number in range(start, end)]


async def test_everything_comes_once_and_in_order(provisioned: Connection) -> None:
    """What was there, and what comes while one follows."""
    await append(provisioned, *numbers(0, 30))
    async with following(provisioned, batch_max=7) as batches:
        assert await take(batches, 30) == numbers(0, 30)
        await append(provisioned, *numbers(30, 50))
        assert await take(batches, 20) == numbers(30, 50)


async def test_following_starts_after_any_place_and_gives_what_is_asked_for(
    provisioned: Connection,
) -> None:
    """A place in the middle, and one of several kinds of log."""
    await append(provisioned, *numbers(0, 10))
    await append(provisioned, "other", key="b")
    async with following(provisioned, after=7) as batches:
        assert await take(batches, 4) == ["7", "8", "9", "other"]
    async with following(provisioned, only=subjects.log_of("sample", "x", "b")) as batches:
        assert await take(batches, 1) == ["other"]


def delivered(frame: Frame) -> bool:
    """Tell a message of the log on its way to the follower."""
    return frame.subject.startswith(f"{subjects.ROOT}.log.sample.")


@pytest.mark.parametrize("fate", [Fate.DROPPED, Fate.DOUBLED, Fate.DELAYED, Fate.CUT])
@pytest.mark.parametrize("nth", [1, 12, 20])
async def test_a_delivery_that_goes_wrong_is_noticed_and_made_good(
    broker: Broker, provisioned: Connection, fate: Fate, nth: int
) -> None:
    """The first, one in the middle, the last: whoever follows sees each message once, in order."""
    rule = Rule(Way.TO_CLIENT, delivered, fate, nth)
    async with nats_proxy(broker.url, [rule]) as proxy:
        connection = await Connection.connect(proxy.url, "follower")
        await append(provisioned, *numbers(0, 20))
        async with following(connection, batch_max=8) as batches:
            assert await take(batches, 20) == numbers(0, 20)
        assert rule.met
        await connection.close()


async def test_following_goes_on_over_a_restart_of_the_broker(
    broker: Broker, provisioned: Connection
) -> None:
    """From the last place, without a gap."""
    async with following(provisioned) as batches:
        await append(provisioned, "before")
        assert await take(batches, 1) == ["before"]
        await broker.child.stop()
        await broker.child.start()
        async with asyncio.timeout(60):
            while not provisioned.connected:
                await SYSTEM.sleep(0.02)
        await append(provisioned, "after")
        assert await take(batches, 1) == ["after"]


async def test_a_consumer_that_is_deleted_is_made_anew(provisioned: Connection) -> None:
    """Following is nobody's to end but whoever follows."""
    async with following(provisioned) as batches:
        await append(provisioned, "before")
        assert await take(batches, 1) == ["before"]
        for name in await consumers(provisioned):
            await provisioned.api(f"CONSUMER.DELETE.{STREAM}.{name}")
        await append(provisioned, "after")
        assert await take(batches, 1) == ["after"]


async def test_a_slow_follower_holds_no_more_than_its_bound(provisioned: Connection) -> None:
    """However many requests it made, the broker hands out no more than was asked for."""
    async with following(provisioned, batch_max=10) as batches:
        for start in range(0, 200, 20):
            await append(provisioned, *numbers(start, start + 20))
            assert await take(batches, 20) == numbers(start, start + 20)
        await append(provisioned, *numbers(0, 100))
        await SYSTEM.sleep(0.2)
        (name,) = await consumers(provisioned)
        info = await provisioned.api(f"CONSUMER.INFO.{STREAM}.{name}")
        assert info["num_pending"] >= 90
        assert info["num_waiting"] <= 1


@pytest.mark.parametrize("end", ["leave", "cancel"])
async def test_whoever_stops_following_leaves_nothing_behind(
    provisioned: Connection, end: str
) -> None:
    """No consumer at the broker, no subscription here, however it ends."""
    subscriptions = len(provisioned.nats._subs)  # pyright: ignore[reportPrivateUsage] - nowhere else told

    async def follow() -> None:
        async with following(provisioned) as batches:
            async for batch in batches:
                seen.extend(batch)
                if end == "leave":
                    return

    seen: list[Raw] = []
    task = asyncio.create_task(follow())
    await append(provisioned, "something")
    await until(lambda: bool(seen))
    if end == "cancel":
        task.cancel()
    await asyncio.wait({task})
    assert await consumers(provisioned) == []
    assert len(provisioned.nats._subs) == subscriptions  # pyright: ignore[reportPrivateUsage] - as above


async def test_everything_that_happens_is_told_live(provisioned: Connection) -> None:
    """Facts of services and raw facts of the bench, from now on or from any place."""
    bus = Bus(provisioned, source="bench")
    scan = BarcodeScanned(barcode="LAB-1", scanner="hood-2")
    await bus.publish_lab(scan, source="scanner")
    async with aclosing(bus.tail(evt_after=None, lab_after=0)) as told:
        first = await anext(told)
        await bus.publish_lab(scan, source="scanner")
        second = await anext(told)
    assert [(one.stream, one.seq) for one in (first, second)] == [("LAB", 1), ("LAB", 2)]
    assert first.envelope.type == "scanner.barcode_scanned"


async def consumers(connection: Connection) -> list[str]:
    """Name the consumers of the stream."""
    answer = await connection.api(f"CONSUMER.NAMES.{STREAM}")
    return list(answer["consumers"] or [])


async def until(fact: Callable[[], bool]) -> None:
    """Wait until a fact holds."""
    async with asyncio.timeout(60):
        while not fact():
            await SYSTEM.sleep(0.01)
