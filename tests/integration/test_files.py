"""Files in the object store, over a real broker: NATS' own client reads them, outages are told."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from infra.bus.bus import Bus
from infra.bus.connection import BrokerUnavailable
from infra.bus.files import CHUNK_BYTES
from infra.bus.provision import provision
from infra.clock import SYSTEM
from tests.fixtures.servers import Broker

TOLD_SECONDS_MAX = 60.0


@pytest.fixture
async def bus(broker: Broker) -> AsyncGenerator[Bus]:
    """Give a bus of a provisioned broker."""
    bus = await Bus.open(broker.url, source="test")
    await provision(bus.connection)
    yield bus
    await bus.close()


@pytest.mark.parametrize("size_bytes", [0, 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 1])
async def test_what_is_kept_is_an_object_of_nats_own_kind(bus: Bus, size_bytes: int) -> None:
    """The client's object store gives the same content, its digest checked; so do we."""
    data = bytes(number % 251 for number in range(size_bytes))
    ref = await bus.files.put(data, name="object.bin")
    store = await bus.connection.js.object_store("files")
    found = await store.get(ref.sha256)

    assert found.data == data if size_bytes else not found.data
    assert (found.info.size, found.info.name) == (size_bytes, ref.sha256)
    assert await bus.files.get(ref) == data


async def test_writers_of_the_same_content_at_once_do_not_harm_each_other(bus: Bus) -> None:
    """Ten write it side by side, and whoever reads meanwhile gets it whole."""
    data = b"sample\n" * CHUNK_BYTES
    refs = await asyncio.gather(*(bus.files.put(data, name="same.csv") for _ in range(10)))
    assert {await bus.files.get(ref) == data for ref in refs} == {True}


async def test_an_outage_is_told(bus: Bus, broker: Broker) -> None:
    """Reading and writing fail and do not hang, and work again afterwards."""
    data = b"sample\n" * 10
    ref = await bus.files.put(data, name="kept.csv")
    broker.child.kill()
    await broker.child.exited()
    async with asyncio.timeout(TOLD_SECONDS_MAX):
        with pytest.raises(BrokerUnavailable):
            await bus.files.put(data + b"more", name="more.csv")
        with pytest.raises(BrokerUnavailable):
            await bus.files.get(ref)

    await broker.child.start()
    async with asyncio.timeout(60):
        while not bus.connection.connected:
            await SYSTEM.sleep(0.01)
    assert await bus.files.get(ref) == data
