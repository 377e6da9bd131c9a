"""The whole storage service over the bus: its lists, its sweeper, and what it tells everyone."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

import pytest

from contracts import subjects
from contracts.errors import Refused
from contracts.message import Event
from contracts.storage import (
    AddContainer,
    ConfirmPositions,
    ContainerKind,
    CreateLocation,
    GetContainer,
    ListContainers,
    ListLocations,
    PositionsReleased,
    PositionsReserved,
    ReservePositions,
)
from contracts.types import (
    Zone,
)
from infra.bus.bus import Bus
from infra.bus.provision import provision
from infra.clock import SYSTEM
from infra.runtime import Blueprint, Fleet
from infra.settings import CommonSettings
from services.storage.service import build
from services.storage.settings import Settings
from tests.fixtures.servers import Database
from tests.integration.storage.process import (
    COLD,
    ROWS,
    a_manifest,
    a_submission,
)

EventT = TypeVar("EventT", bound=Event)


@pytest.fixture
async def bus(nats_url: str, store_database: Database) -> AsyncGenerator[Bus]:
    """Run the whole service, and give a bus to it."""
    bus = await Bus.open(nats_url, source="tester")
    await provision(bus.connection)
    common = CommonSettings(
        nats_url=nats_url,
        mongo_url=store_database.url,
        mongo_database_prefix=store_database.name[:30],
    )
    fleet = Fleet(common)
    await fleet.start([Blueprint("storage", build, Settings(http_port=0, sweep_seconds=0.1))])
    try:
        yield bus
    finally:
        await fleet.stop()
        await bus.close()


async def test_the_laboratory_is_listed_as_it_was_built(bus: Bus) -> None:
    """Lists show what was added up to `min_seq`, newest first, by kind, zone and parent."""
    room = await bus.ask(CreateLocation(name="Room 1"))
    freezers = [
        await bus.ask(
            AddContainer(
                kind=ContainerKind.FREEZER,
                name=f"FRZ-{zone}",
                location_id=room.location_id,
                zone=zone,
            )
        )
        for zone in (Zone.ULTRA_LOW, Zone.REFRIGERATED)
    ]
    racks = [
        await bus.ask(
            AddContainer(kind=ContainerKind.RACK, name=name, parent_id=freezers[0].container_id)
        )
        for name in ("R01", "R02", "R03")
    ]
    seen = racks[-1].seq

    locations = await bus.ask(ListLocations(min_seq=seen))
    of_parent = await bus.ask(
        ListContainers(parent_id=freezers[0].container_id, page_size=2, min_seq=seen)
    )
    cool = await bus.ask(ListContainers(zone=Zone.REFRIGERATED, min_seq=seen))
    all_freezers = await bus.ask(ListContainers(kind=ContainerKind.FREEZER, min_seq=seen))

    assert [location.name for location in locations.items] == ["Room 1"]
    assert [container.name for container in of_parent.items] == ["R03", "R02"]
    assert of_parent.total == 3
    assert [container.name for container in cool.items] == ["FRZ-4C"]
    assert [container.used for container in all_freezers.items] == [0, 3]


async def test_a_hold_expires_by_itself_and_everyone_is_told(bus: Bus) -> None:
    """Over the bus: reserved for a second, swept away, and both facts reach EVENTS."""
    room = await bus.ask(CreateLocation(name="Room 1"))
    freezer = await bus.ask(
        AddContainer(
            kind=ContainerKind.FREEZER, name="FRZ-1", location_id=room.location_id, zone=COLD
        )
    )
    rack = await bus.ask(
        AddContainer(kind=ContainerKind.RACK, name="R01", parent_id=freezer.container_id)
    )
    box = await bus.ask(
        AddContainer(kind=ContainerKind.BOX, name="B01", parent_id=rack.container_id)
    )
    of = a_submission()
    rows = await bus.files.put(ROWS.dump_json(a_manifest(of, 3, COLD)), name="rows.json")

    held = await bus.ask(ReservePositions(submission_id=of, rows=rows, hold_seconds=1))
    reserved = await next_event(bus, PositionsReserved)
    released = await next_event(bus, PositionsReleased)

    assert (held.state, held.positions) == ("held", 3)
    assert reserved.container_id == released.container_id == box.container_id
    assert (len(reserved.positions), released.reason) == (3, "expired")
    assert (await bus.ask(GetContainer(container_id=box.container_id))).used == 0
    with pytest.raises(Refused, match="reservation_lost"):
        await bus.ask(ConfirmPositions(submission_id=of))


async def next_event(bus: Bus, kind: type[EventT]) -> EventT:
    """Wait for the first event of a kind on EVENTS."""
    async with asyncio.timeout(60):
        while True:
            raw = await bus.connection.last(subjects.EVENTS, subjects.of(kind.contract))
            if raw is not None:
                return kind.model_validate_json(raw.body)
            await SYSTEM.sleep(0.05)
