"""The client of the configuration, with the real service and the real broker."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from structlog.testing import capture_logs

from contracts.config import BulkConfig
from contracts.config_queries import ListClients
from contracts.config_types import Environment
from contracts.config_views import ClientView, ConfigEdited
from contracts.errors import Refused
from contracts.sample import BatchTooLarge, GetSample, RegisterSamples, SamplesRegistered
from contracts.template import ManifestRow
from contracts.types import SampleId, SubmissionId
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from infra.config.client import ConfigClient
from infra.config.configuration import Identity
from infra.config.live import LiveSettings
from infra.config.snapshot_file import read_snapshot, write_snapshot
from infra.ids import new_id
from infra.runtime import Blueprint
from services.config.service import build as build_config
from services.config.settings import Settings as ConfigSettings
from services.sample.service import build as build_sample
from services.sample.settings import Settings as SampleSettings
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.fixtures.sample_house import details
from tests.integration.test_sample_service import ROWS

__all__ = ["laboratory"]

SERVICE = "robot-service"
HERE = Environment.DEVELOPMENT
WAIT_SECONDS = 60.0


class Robot(LiveSettings):
    """What a robot can be told."""

    arms: Annotated[int, Field(ge=1, le=8)] = 2


class Careful(LiveSettings):
    """A robot of another make, which takes less than it once said."""

    arms: Annotated[int, Field(ge=1, le=4)] = 1


def who(folder: Path | None = None, instance: str = "robot-1") -> Identity:
    """Say who reads."""
    return Identity(
        program="robot", service=SERVICE, environment=HERE, instance=instance, snapshots=folder
    )


def robot(bus: Bus, folder: Path | None = None) -> ConfigClient[Robot]:
    """Make a client."""
    return ConfigClient(Robot, who(folder), bus, program_version="1")


@asynccontextmanager
async def running(client: ConfigClient[Robot]) -> AsyncGenerator[ConfigClient[Robot]]:
    """Start a client and keep it up to date."""
    await client.start()
    task = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(client: ConfigClient[Robot], arms: int) -> None:
    """Wait until a value is in force."""
    async with asyncio.timeout(WAIT_SECONDS):
        while client.current.arms != arms:
            await SYSTEM.sleep(0.005)


async def set_to(bus: Bus, values: Mapping[str, object], service: str = SERVICE) -> ConfigEdited:
    """Change values of a service here."""
    return await bus.ask(
        BulkConfig.model_validate({"service": service, "environment": HERE, "values": values}),
        actor="ada",
    )


@pytest.fixture
async def config(laboratory: Laboratory) -> Laboratory:
    """Give a laboratory with the configuration service."""
    await laboratory.start(Blueprint("config", build_config, ConfigSettings(http_port=0)))
    return laboratory


async def test_a_change_reaches_a_running_program_and_the_service_sees_who_runs_it(
    config: Laboratory, tmp_path: Path
) -> None:
    """Pushed, told once to listeners, kept as a file, checked in; its schema is known."""
    await set_to(config.bus, {"arms": 3})
    async with running(robot(config.bus, tmp_path)) as client:
        assert (client.current.arms, client.snapshot.source) == (3, "bus")
        heard: list[int] = []
        client.on_change(lambda live: heard.append(live.arms))
        edited = await set_to(config.bus, {"arms": 4})
        await until(client, 4)
        assert heard == [4]
        assert client.snapshot.version == edited.version

        def checked_in(found: list[ClientView]) -> bool:
            return [one.version for one in found] == [edited.version]

        found = await _clients(config.bus, checked_in)
        assert (found[0].ok, found[0].schema_hash) == (True, client.schema_hash)
        file = client.identity.file
        assert file is not None
        await _until_kept(file, edited.version)
        with pytest.raises(Refused) as refused:
            await set_to(config.bus, {"arms": 9})
        assert refused.value.refusal.spec.code == "config.schema_refused"


async def test_a_release_that_a_program_cannot_take_is_reported(config: Laboratory) -> None:
    """It keeps what it runs, and the service is told which and why."""
    await set_to(config.bus, {"arms": 3})
    client = ConfigClient(Careful, who(), config.bus, program_version="1")
    await client.start()
    edited = await set_to(config.bus, {"arms": 7})
    task = asyncio.create_task(client.run())
    try:
        found = await _clients(config.bus, lambda found: any(not one.ok for one in found))
    finally:
        task.cancel()
    assert client.current.arms == 3
    assert client.snapshot.refused is not None
    assert client.snapshot.refused.version == edited.version
    assert "arms" in (found[0].error or "")


async def test_what_changed_while_the_broker_was_away_is_in_force_after_it(
    config: Laboratory,
) -> None:
    """A lost connection loses pushes; what is newest is read again."""
    await set_to(config.bus, {"arms": 3})
    own = await Bus.open(config.common.nats_url, source="robot")
    try:
        async with running(robot(own)) as client:
            await until(client, 3)
            for arms in (4, 5, 6):
                # As the broker would end it: the client hears of it, and connects again.
                transport = own.connection.nats._transport  # pyright: ignore[reportPrivateUsage] - there is no other way to cut it
                assert transport is not None
                transport.close()  # type: ignore[no-untyped-call] # the library does not say None
                await set_to(config.bus, {"arms": arms})
                await until(client, arms)
    finally:
        await own.close()


async def test_it_starts_and_runs_with_the_broker_down(tmp_path: Path) -> None:
    """Without a file with the defaults that are compiled in, and says so."""
    bus = Bus(Connection("robot"), source="robot")
    with capture_logs() as lines:
        async with asyncio.timeout(WAIT_SECONDS), running(robot(bus, tmp_path)) as client:
            assert (client.current.arms, client.snapshot.source) == (2, "defaults")
    events = [line["event"] for line in lines]
    assert "config.bus_away" in events
    assert "config.defaults" in events


async def test_it_starts_from_its_file_when_the_broker_is_down(
    config: Laboratory, tmp_path: Path
) -> None:
    """With what it ran last."""
    edited = await set_to(config.bus, {"arms": 5})
    async with running(robot(config.bus, tmp_path)) as client:
        file = client.identity.file
        assert file is not None
        await _until_kept(file, edited.version)
    alone = robot(Bus(Connection("robot"), source="robot"), tmp_path)
    await alone.start()
    assert (alone.current.arms, alone.snapshot.source) == (5, "file")
    assert alone.snapshot.version == edited.version


async def test_the_bus_is_believed_over_a_file_of_a_newer_release(
    config: Laboratory, tmp_path: Path
) -> None:
    """Such as one from before the log was restored."""
    edited = await set_to(config.bus, {"arms": 5})
    first = robot(config.bus, tmp_path)
    await first.start()
    file = first.identity.file
    assert file is not None
    assert first.snapshot.release is not None
    write_snapshot(file, {**first.snapshot.release.document, "version": 99})
    second = robot(config.bus, tmp_path)
    await second.start()
    assert (second.snapshot.version, second.snapshot.source) == (edited.version, "bus")


async def test_a_running_service_takes_another_batch_size_and_threshold(
    config: Laboratory,
) -> None:
    """`max_batch_size` of the samples, and the numbers and the switch of a circuit breaker."""
    sample = await config.start(Blueprint("sample", build_sample, SampleSettings(http_port=0)))
    breakers = sample.service.platform.breakers
    breaker = breakers.get("store")
    declared = breaker.config
    numbers = {"store": {"failure_threshold": 17}}
    await set_to(
        config.bus, {"max_batch_size": 1, "circuit_breakers": numbers}, service="sample-service"
    )
    async with asyncio.timeout(WAIT_SECONDS):
        while breaker.config.failure_threshold != 17:
            await SYSTEM.sleep(0.005)
    assert breaker.config == declared.model_copy(update={"failure_threshold": 17})
    rows = [
        ManifestRow(row=n, sample_id=SampleId(new_id()), details=details(f"LAB-{n}"))
        for n in (1, 2)
    ]
    with pytest.raises(Refused) as refused:
        await _register(config.bus, rows)
    assert refused.value.refusal == BatchTooLarge(count=2, count_max=1)
    with pytest.raises(Refused):
        await config.bus.ask(GetSample(sample_id=rows[0].sample_id))
    await set_to(
        config.bus,
        {"max_batch_size": 2, "circuit_breaker_enabled": False},
        service="sample-service",
    )
    async with asyncio.timeout(WAIT_SECONDS):
        while breakers.enabled:
            await SYSTEM.sleep(0.005)
    assert (await _register(config.bus, rows)).registered == 2


async def _register(bus: Bus, rows: list[ManifestRow]) -> SamplesRegistered:
    kept = await bus.files.put(ROWS.dump_json(rows), name="rows.json")
    command = RegisterSamples(submission_id=SubmissionId(new_id()), rows=kept)
    return await bus.ask(command, actor="ada")


async def _clients(bus: Bus, fits: Callable[[list[ClientView]], bool]) -> list[ClientView]:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found = await bus.ask(ListClients(service=SERVICE, environment=HERE), actor="ada")
            if fits(found):
                return found
            await SYSTEM.sleep(0.02)


async def _until_kept(file: Path, version: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while (read_snapshot(file) or {}).get("version") != version:
            await SYSTEM.sleep(0.005)
