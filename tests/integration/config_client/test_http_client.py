"""The client of the configuration over HTTP, with the real service."""

import asyncio
from contextlib import suppress
from pathlib import Path

from structlog.testing import capture_logs

from infra.clock import SYSTEM
from infra.config.snapshot_file import read_snapshot
from infra.http.config_client import HttpConfigClient
from infra.runtime import Blueprint
from services.config.service import build as build_config
from services.config.settings import Settings as ConfigSettings
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.integration.config_client.test_client import WAIT_SECONDS, Robot, set_to, who

__all__ = ["laboratory"]

NOWHERE = "http://127.0.0.1:9"


async def test_a_program_without_the_bus_is_told_and_starts_without_the_service(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """By a long poll; and from its file when nobody answers, which is said."""
    blueprint = Blueprint("config", build_config, ConfigSettings(http_port=0))
    served = await laboratory.start(blueprint)
    await set_to(laboratory.bus, {"arms": 3})
    client = HttpConfigClient(Robot, who(tmp_path), url=served.http.url)
    await client.start()
    assert (client.current.arms, client.snapshot.source) == (3, "http")
    task = asyncio.create_task(client.run())
    edited = await set_to(laboratory.bus, {"arms": 4})
    async with asyncio.timeout(WAIT_SECONDS):
        file = client.identity.file
        assert file is not None
        while (read_snapshot(file) or {}).get("version") != edited.version:
            await SYSTEM.sleep(0.01)
    assert client.current.arms == 4
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await client.close()
    alone = HttpConfigClient(Robot, who(tmp_path), url=NOWHERE)
    with capture_logs() as lines:
        await alone.start()
    await alone.close()
    assert (alone.current.arms, alone.snapshot.source) == (4, "file")
    events = [line["event"] for line in lines]
    assert events.index("config.service_away") < events.index("config.from_file")
