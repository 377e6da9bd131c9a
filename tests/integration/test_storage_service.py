"""Storage over the real broker: what it decides is in the log, all or nothing, whoever else is at it.

Two processes are two sets of handlers with a connection, a log cache and an inventory of their own.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import pytest
from pydantic import TypeAdapter

from contracts.errors import Refusal, Refused
from contracts.sample import SampleDetails
from contracts.storage import (
    AddContainer,
    ConfirmPositions,
    ContainerKind,
    ContainerRefused,
    ContainerView,
    CreateLocation,
    FindSamplePosition,
    GetCapacity,
    GetContainer,
    GetGrid,
    GetLocation,
    ListPositions,
    LocationNameTaken,
    NoRoom,
    NotABox,
    PositionState,
    ReleasePositions,
    ReservationLost,
    ReservationOver,
    ReservationView,
    ReservePositions,
    SampleNotStored,
)
from contracts.template import ManifestRow
from contracts.types import (
    ContainerId,
    FileRef,
    LocationId,
    SampleId,
    SampleType,
    SubmissionId,
    Zone,
    derive_id,
)
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.bus.files import Files
from infra.bus.provision import provision
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Log
from services.storage.handlers import places, questions, reservations
from services.storage.handlers.logs import Logs
from services.storage.store.inventory import InventoryBehind, InventoryKeeper

COLD = Zone.ULTRA_LOW
ROWS = TypeAdapter(list[ManifestRow])


@dataclass(frozen=True, slots=True)
class Process:
    """One process of the storage service, without its servers."""

    logs: Logs
    inventory: InventoryKeeper
    files: Files

    async def reserve(
        self, of: SubmissionId, rows: FileRef, context: Context | None = None, *, hold: int = 60
    ) -> ReservationView | Refusal:
        """Reserve as a saga does."""
        command = ReservePositions(submission_id=of, rows=rows, hold_seconds=hold)
        return await reservations.on_reserve(
            command,
            context or a_context(),
            logs=self.logs,
            inventory=self.inventory,
            files=self.files,
        )

    async def confirm(self, of: SubmissionId, context: Context | None = None) -> ReservationView:
        """Confirm as a saga does."""
        command = ConfirmPositions(submission_id=of)
        return await reservations.on_confirm(command, context or a_context(), logs=self.logs)

    async def release(self, of: SubmissionId, context: Context | None = None) -> ReservationView:
        """Release as a saga does."""
        command = ReleasePositions(submission_id=of)
        return await reservations.on_release(command, context or a_context(), logs=self.logs)

    async def add(self, context: Context | None = None, **fields: Any) -> ContainerView:  # noqa: ANN401
        """Add a container that fits."""
        command = AddContainer(**fields)
        added = await places.on_add_container(command, context or a_context(), logs=self.logs)
        assert isinstance(added, ContainerView), added
        return added

    async def box(self, rack: ContainerId, name: str, side: int) -> ContainerId:
        """Add a square box to a rack."""
        box = await self.add(
            kind=ContainerKind.BOX, name=name, parent_id=rack, rows=side, columns=side
        )
        return box.container_id

    async def rack(self, location: LocationId, zone: Zone = COLD) -> ContainerId:
        """Add a freezer with one large rack, and give the rack."""
        freezer = await self.add(
            kind=ContainerKind.FREEZER, name=f"FRZ{zone}", location_id=location, zone=zone
        )
        rack = await self.add(
            kind=ContainerKind.RACK, name="R01", parent_id=freezer.container_id, capacity=1_000
        )
        return rack.container_id

    async def location(self, name: str = "Room 1", context: Context | None = None) -> LocationId:
        """Create a location."""
        command = CreateLocation(name=name)
        view = await places.on_create_location(
            command, context or a_context(), logs=self.logs
        )
        return view.location_id

    async def free(self) -> int:
        """Count the free positions."""
        capacity = await questions.on_get_capacity(
            GetCapacity(), a_context(), inventory=self.inventory
        )
        return sum(zone.free for zone in capacity.zones)

    async def manifest(self, of: SubmissionId, rows: int, zone: Zone = COLD) -> FileRef:
        """Store the rows of a submission as the template service does."""
        manifest = [
            ManifestRow(
                row=number + 2,
                sample_id=sample_of(of, number),
                details=SampleDetails(
                    barcode=f"B-{of.hex[-10:]}-{number:05d}",
                    name=f"Sample {number}",
                    sample_type=SampleType.DNA,
                    zone=zone,
                ),
            )
            for number in range(rows)
        ]
        return await self.files.put(ROWS.dump_json(manifest), name="rows.json")


def a_context(message_id: str | None = None, *, now: datetime | None = None) -> Context:
    """Handle a message now, or at another time."""
    return Context(
        message_id=message_id or str(new_id()),
        actor="tester",
        correlation="c",
        now=now or SYSTEM.now(),
    )


def sample_of(of: SubmissionId, number: int) -> SampleId:
    """Give the sample id of a row."""
    return SampleId(derive_id(of, number))


def a_submission() -> SubmissionId:
    """Give a submission that nobody has seen."""
    return SubmissionId(new_id())


@asynccontextmanager
async def a_process(url: str) -> AsyncGenerator[Process]:
    """Run one process until the test is over."""
    connection = await Connection.connect(url, "storage")
    log = Log(connection, "storage")
    keeper = InventoryKeeper(log, wait_seconds=5)
    following = asyncio.create_task(keeper.run())
    try:
        yield Process(Logs.of(log), keeper, Files(connection))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await connection.close()


@pytest.fixture
async def processes(nats_url: str) -> AsyncGenerator[Sequence[Process]]:
    """Give two processes on one broker."""
    connection = await Connection.connect(nats_url, "provisioner")
    await provision(connection)
    await connection.close()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_process(nats_url)) for _ in range(2)]


@pytest.fixture
def process(processes: Sequence[Process]) -> Process:
    """Give one process."""
    return processes[0]


async def test_a_submission_goes_into_its_box_and_can_be_found(process: Process) -> None:
    """Reserved, then confirmed: the grid, the sample's position and the capacity agree."""
    of = a_submission()
    box = await process.box(await process.rack(await process.location()), "B01", 2)

    held = await process.reserve(of, await process.manifest(of, 3))
    assert isinstance(held, ReservationView)
    assert (held.state, held.positions, held.boxes) == ("held", 3, [box])
    assert (await process.confirm(of)).state == "confirmed"

    grid = await questions.on_get_grid(
        GetGrid(container_id=box), a_context(), logs=process.logs
    )
    assert not isinstance(grid, Refusal)
    assert grid.container.path == "Room 1 > FRZ-80C > R01 > B01"
    assert [p.state for p in grid.positions] == ["occupied", "occupied", "occupied", "free"]
    assert grid.positions[2].sample_id == sample_of(of, 2)
    found = await questions.on_find_sample(
        FindSamplePosition(sample_id=sample_of(of, 2)), a_context(), inventory=process.inventory
    )
    assert not isinstance(found, Refusal)
    assert (found.position, found.state) == ("B01", PositionState.OCCUPIED)
    assert await process.free() == 1


async def test_a_command_that_comes_again_has_no_second_effect(process: Process) -> None:
    """Twice the same location, container, reserve, confirm and release: once in the log."""
    of, rows = (submission := a_submission()), await process.manifest(submission, 2)
    context = a_context()
    location = await process.location(context=context)
    assert await process.location(context=context) == location
    rack = await process.rack(location)
    fields = {"kind": ContainerKind.BOX, "name": "B01", "parent_id": rack}
    assert await process.add(context, **fields) == await process.add(context, **fields)

    for again in (process.reserve(of, rows), process.confirm(of), process.release(of)):
        first = await again
        head = await process.logs.log.head()
        repeated = (
            await process.reserve(of, rows)
            if isinstance(first, ReservationView) and first.state == "held"
            else await (process.confirm(of) if first.state == "confirmed" else process.release(of))
        )
        assert repeated == first
        assert await process.logs.log.head() == head
