"""The sample and storage services over a real broker and store, asked as sagas ask them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from contracts.sample import MarkSamplesStored, RegisterSamples, SampleDetails
from contracts.storage import (
    AddContainer,
    ConfirmPositions,
    ContainerKind,
    CreateLocation,
    Handover,
    ReservePositions,
)
from contracts.template import ManifestRow
from contracts.types import (
    Barcode,
    ContainerId,
    FileRef,
    LocationId,
    SampleId,
    SampleType,
    SubmissionId,
    Zone,
)
from infra.bus.bus import Bus
from infra.ids import new_id
from infra.runtime import Blueprint
from services.sample import service as sample_service
from services.sample.settings import Settings as SampleSettings
from services.storage import service as storage_service
from services.storage.settings import Settings as StorageSettings
from tests.fixtures.laboratory import Laboratory

ROWS = TypeAdapter(list[ManifestRow])
HANDOVERS = TypeAdapter(list[Handover])
IDS = TypeAdapter(list[SampleId])


@dataclass(frozen=True, slots=True)
class Bench:
    """A room with freezers, and a way to ask."""

    bus: Bus
    room: LocationId

    async def rack(self, name: str, zone: Zone) -> ContainerId:
        """Put up a freezer with one rack, and give the rack."""
        freezer = await self.bus.ask(
            AddContainer(kind=ContainerKind.FREEZER, name=name, location_id=self.room, zone=zone)
        )
        rack = await self.bus.ask(
            AddContainer(kind=ContainerKind.RACK, name="R01", parent_id=freezer.container_id)
        )
        return rack.container_id

    async def box(self, rack: ContainerId, name: str, side: int = 3) -> ContainerId:
        """Put a square box into a rack."""
        added = await self.bus.ask(
            AddContainer(kind=ContainerKind.BOX, name=name, parent_id=rack, rows=side, columns=side)
        )
        return added.container_id

    async def stored(self, *barcodes: Barcode, zone: Zone = Zone.FROZEN) -> list[SampleId]:
        """Take samples in as a manifest does, and store them where there is room."""
        of = SubmissionId(new_id())
        rows = manifest(*barcodes, zone=zone)
        ref = await self.keep(rows)
        await self.bus.ask(RegisterSamples(submission_id=of, rows=ref))
        await self.bus.ask(ReservePositions(submission_id=of, rows=ref))
        await self.bus.ask(ConfirmPositions(submission_id=of))
        await self.bus.ask(MarkSamplesStored(submission_id=of, rows=ref))
        return [row.sample_id for row in rows]

    async def keep(self, rows: Sequence[ManifestRow]) -> FileRef:
        """Write rows down."""
        return await self.bus.files.put(ROWS.dump_json(list(rows)), name="rows.json")


def manifest(*barcodes: Barcode, zone: Zone = Zone.FROZEN) -> list[ManifestRow]:
    """Make the rows of a manifest."""
    return [
        ManifestRow(row=number, sample_id=SampleId(new_id()), details=details(barcode, zone=zone))
        for number, barcode in enumerate(barcodes, start=2)
    ]


def details(barcode: Barcode, *, zone: Zone = Zone.FROZEN) -> SampleDetails:
    """Describe a tube."""
    return SampleDetails(
        barcode=barcode, name=f"tube {barcode}", sample_type=SampleType.DNA, zone=zone
    )


def a_process() -> SubmissionId:
    """Name a process that nobody has seen."""
    return SubmissionId(new_id())


async def open_bench(laboratory: Laboratory) -> Bench:
    """Start the sample and storage services, and give a room with one box of 5 x 5 at -20 °C."""
    await laboratory.start(Blueprint("sample", sample_service.build, SampleSettings(http_port=0)))
    await laboratory.start(
        Blueprint("storage", storage_service.build, StorageSettings(http_port=0))
    )
    room = await laboratory.bus.ask(CreateLocation(name="Room 1"))
    bench = Bench(laboratory.bus, room.location_id)
    await bench.box(await bench.rack("FRZ-1", Zone.FROZEN), "B01", 5)
    return bench
