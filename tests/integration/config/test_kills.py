"""`kill -9` of the configuration service at any moment: no release is torn, none lacks its record.

`TRACSEQ_CONFIG_KILLS=100` kills a hundred times; without it a few times, at random moments of the
same seed.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from pydantic import JsonValue

from contracts import subjects
from contracts.config import BulkConfig
from contracts.config_release import ConfigChanged, Released
from contracts.config_types import Environment, release_hash, to_json
from contracts.entry import Entry, read_entry, verify_chain
from contracts.errors import Refused
from infra.bus.bus import Pending
from infra.clock import SYSTEM
from tests.fixtures.laboratory import Laboratory, laboratory

__all__ = ["laboratory"]

KILLS = int(os.environ.get("TRACSEQ_CONFIG_KILLS", "4"))
SEED = 20_261_122
SERVICE = "torn-service"
KEYS = 50
WAIT_SECONDS = 60.0


@asynccontextmanager
async def process(lab: Laboratory, folder: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run the service as a process of its own, to be killed."""
    told = {
        "TRACSEQ_NATS_URL": lab.common.nats_url,
        "TRACSEQ_MONGO_URL": lab.common.mongo_url,
        "TRACSEQ_MONGO_DATABASE_PREFIX": lab.common.mongo_database_prefix,
        "TRACSEQ_CONFIG_HTTP_PORT": "0",
        "TRACSEQ_CONFIG_DEFAULTS": "false",
    }
    with (folder / "config.log").open("ab") as log:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.config"), env=os.environ | told, stderr=log
        )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def edit_for_ever(lab: Laboratory, acknowledged: list[int]) -> None:
    """Set all keys to the next number, of `default` and an environment by turns."""
    number = 0
    while True:
        number += 1
        environment = Environment.DEFAULT if number % 2 else Environment.STAGING
        values: dict[str, JsonValue] = {f"key_{index}": number for index in range(KEYS)}
        command = BulkConfig(service=SERVICE, environment=environment, values=values)
        try:
            await lab.bus.ask(command, timeout_seconds=WAIT_SECONDS)
        except (Refused, Pending):
            continue
        acknowledged.append(number)


async def test_a_release_is_whole_and_recorded_whenever_the_service_is_killed(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """Whatever was acknowledged is there; every entry is a release with its record, all or none."""
    moments = random.Random(SEED)  # noqa: S311 - moments, no secrets
    acknowledged: list[int] = []
    editing = asyncio.create_task(edit_for_ever(laboratory, acknowledged))
    try:
        for _ in range(KILLS):
            async with process(laboratory, tmp_path):
                before = len(acknowledged)
                async with asyncio.timeout(WAIT_SECONDS):
                    while len(acknowledged) == before:
                        await SYSTEM.sleep(0.005)
                await SYSTEM.sleep(moments.uniform(0, 0.15))
    finally:
        editing.cancel()
        with suppress(asyncio.CancelledError):
            await editing

    logs = {one: await entries(laboratory, one) for one in Environment}
    staging = {number_of(entry) for entry in logs[Environment.STAGING]}
    default = {number_of(entry) for entry in logs[Environment.DEFAULT]}
    assert set(acknowledged) <= staging | default
    for environment, log in logs.items():
        for version, entry in enumerate(log, start=1):
            released, changed = entry.events
            assert isinstance(released, Released)
            assert isinstance(changed, ConfigChanged)
            release = released.release
            assert release.version == changed.version == entry.number == version
            assert release.sha256 == release_hash(release.model_dump(mode="json"))
            assert (bool(released.author), entry.actor) == (True, released.author)
            for layer in (release.own, release.items):
                assert len({to_json(item.value) for item in layer.values()}) <= 1, "a torn release"
            if environment is not Environment.DEFAULT and release.inherits:
                inherited = logs[Environment.DEFAULT][release.inherits - 1]
                assert release.own or number_of(entry) == number_of(inherited)


async def entries(lab: Laboratory, environment: Environment) -> list[Entry]:
    """Read a log, its chain proved."""
    subject = subjects.config_log(SERVICE, environment)
    found = lab.connection.read(subjects.log_stream("config"), subject)
    raws = [raw async for raw in found]
    assert verify_chain(raw.body for raw in raws) == len(raws)
    return [read_entry(raw.body, subject=raw.subject, seq=raw.seq) for raw in raws]


def number_of(entry: Entry) -> object:
    """Give the number that all keys have in a release."""
    (released,) = [event for event in entry.events if isinstance(event, Released)]
    return next(iter(released.release.items.values())).value
