"""One process of the storage service over a real broker, without its servers; how it is asked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from contracts.errors import Refusal
from contracts.sample import SampleDetails
from contracts.storage import (
    AddContainer,
    ConfirmPositions,
    ContainerKind,
    ContainerView,
    CreateLocation,
    GetCapacity,
    ListPositions,
    ReleasePositions,
    ReservationView,
    ReservePositions,
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
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Log
from services.storage.handlers import places, questions, reservations
from services.storage.handlers.logs import Logs
from services.storage.store.inventory import InventoryKeeper

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
        view = await places.on_create_location(command, context or a_context(), logs=self.logs)
        return view.location_id

    async def free(self) -> int:
        """Count the free positions."""
        capacity = await questions.on_get_capacity(
            GetCapacity(), a_context(), inventory=self.inventory
        )
        return sum(zone.free for zone in capacity.zones)

    async def manifest(self, of: SubmissionId, rows: int, zone: Zone = COLD) -> FileRef:
        """Store the rows of a submission as the template service does."""
        return await self.files.put(ROWS.dump_json(a_manifest(of, rows, zone)), name="rows.json")


def a_context(message_id: str | None = None, *, now: datetime | None = None) -> Context:
    """Handle a message now, or at another time."""
    return Context(
        message_id=message_id or str(new_id()),
        actor="tester",
        correlation="c",
        now=now or SYSTEM.now(),
    )


def a_manifest(of: SubmissionId, rows: int, zone: Zone) -> list[ManifestRow]:
    """Make valid rows with samples that only this submission has."""
    return [
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


async def positions_of(process: Process, of: SubmissionId) -> set[tuple[ContainerId, str]]:
    """Give where the samples of a submission are."""
    query = ListPositions(submission_id=of)
    page = await questions.on_list_positions(query, a_context(), inventory=process.inventory)
    return {(item.container_id, item.position) for item in page.items}
