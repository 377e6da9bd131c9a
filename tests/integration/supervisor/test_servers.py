"""The broker and the document store as children: up quickly, configured as said, there again."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.supervisor import Child, DocumentStore, NatsServer
from infra.supervisor.document_store import ping
from infra.supervisor.nats_server import Profile
from tests.fixtures.servers import Broker, Database, DocumentStoreServer


async def info_of(url: str) -> dict[str, object]:
    """Read the first line that a broker says to a client."""
    host, port = url.removeprefix("nats://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    line = await reader.readline()
    writer.close()
    return dict(json.loads(line.removeprefix(b"INFO ")))


async def test_a_broker_is_ready_when_its_fixture_is(broker: Broker) -> None:
    """It speaks NATS with JetStream and takes payloads of 8 MB."""
    info = await info_of(broker.url)

    assert info["jetstream"] is True
    assert info["max_payload"] == 8 * 1024 * 1024


@pytest.mark.parametrize(("profile", "syncs"), [("safe", True), ("dev", False)])
def test_only_the_safe_profile_syncs_every_append(
    tmp_path: Path, profile: Profile, *, syncs: bool
) -> None:
    """The profile decides what a loss of power may cost, and nothing else does."""
    NatsServer(tmp_path, profile=profile).program()

    configuration = (tmp_path / "nats-server.conf").read_text()
    assert ("sync_interval: always" in configuration) is syncs


async def test_a_broker_keeps_its_place_over_an_outage(broker: Broker) -> None:
    """Stopped and started again, it has the same address."""
    url = broker.url
    await broker.child.stop()
    with pytest.raises(OSError, match="Connect call failed"):
        await info_of(url)

    await broker.child.start()

    assert broker.url == url
    assert (await info_of(url))["jetstream"] is True


async def test_a_broker_minds_no_odd_folder(tmp_path: Path) -> None:
    """Spaces, quotes and umlauts in the data directory are fine."""
    folder = tmp_path / 'my "lab" in Köln'
    child = Child(NatsServer(folder).program())

    await child.start()
    await child.stop()

    assert (folder / "jetstream").is_dir()


async def test_the_document_store_is_ready_when_its_fixture_is(
    store_server: DocumentStoreServer, store_database: Database
) -> None:
    """It answers a ping, and a test's database lies there."""
    assert await ping("127.0.0.1", store_server.server.port)
    assert store_database.url == store_server.url


async def test_a_store_that_was_just_started_can_be_stopped(tmp_path: Path) -> None:
    """Ready means that the signal to stop is heard: the store ends by itself, unkilled."""
    child = Child(DocumentStore(tmp_path).program())
    await child.start()

    await child.stop()

    assert await child.exited() == 0
