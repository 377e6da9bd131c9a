"""Storage: freezers, racks, boxes and positions; who holds which position, and for how long."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.errors import FieldError, Refusal
from contracts.message import Command, Event, Query, get, post
from contracts.types import (
    ActorId,
    Barcode,
    ContainerId,
    FileRef,
    LocationId,
    MinSeq,
    Name,
    Page,
    PageNumber,
    PageSize,
    SampleId,
    SampleType,
    SubmissionId,
    UtcTime,
    Value,
    View,
    Zone,
)

GridSide = Annotated[int, Field(ge=1, le=32)]
PositionLabel = Annotated[
    str, StringConstraints(pattern=r"^[A-Z]{1,2}[0-9]{2}$"), Field(examples=["A01"])
]


class ContainerKind(StrEnum):
    """The levels of storage; each stands in the one before."""

    FREEZER = "freezer"
    RACK = "rack"
    BOX = "box"


class PositionState(StrEnum):
    """What a position is at the moment."""

    FREE = "free"
    RESERVED = "reserved"
    OCCUPIED = "occupied"


class LocationView(View):
    """A place where freezers stand."""

    location_id: LocationId
    name: Name
    created_at: UtcTime
    created_by: ActorId
    seq: int


class ContainerView(View):
    """A freezer, rack or box."""

    container_id: ContainerId
    kind: ContainerKind
    name: Name
    path: str
    """`Room 1 > FRZ-1 > R01 > B01`."""
    location_id: LocationId
    parent_id: ContainerId | None
    zone: Zone
    rows: int
    columns: int
    """Of a box; 0 for freezers and racks."""
    capacity: int
    """Positions of a box; children of a freezer or rack."""
    used: int
    """Positions occupied or reserved; children present."""
    seq: int


class PositionView(View):
    """One position of a box."""

    position: PositionLabel
    state: PositionState
    sample_id: SampleId | None = None
    barcode: Barcode | None = None
    sample_type: SampleType | None = None
    submission_id: SubmissionId | None = None


class GridView(View):
    """A box, position by position, row by row."""

    container: ContainerView
    positions: list[PositionView]


class PlacedSample(Value):
    """Where a sample is, or will be."""

    sample_id: SampleId
    container_id: ContainerId
    position: PositionLabel


class SamplePosition(View):
    """Where a sample rests."""

    sample_id: SampleId
    container_id: ContainerId
    path: str
    position: PositionLabel
    state: PositionState


class ReservationView(View):
    """The positions that one submission holds."""

    submission_id: SubmissionId
    state: Literal["held", "confirmed", "released", "expired"]
    positions: int
    boxes: list[ContainerId]
    expires_at: UtcTime | None


class ZoneCapacity(View):
    """How full a temperature is."""

    zone: Zone
    boxes: int
    positions: int
    free: int


class StorageCapacity(View):
    """How full the laboratory is."""

    zones: list[ZoneCapacity]


# Commands


class CreateLocation(
    Command[LocationView],
    type="storage.create_location",
    http=post("/storage/locations", location="/storage/locations/{location_id}"),
    needs="storage:update",
):
    """Name a place where freezers stand."""

    name: Name


class AddContainer(
    Command[ContainerView],
    type="storage.add_container",
    http=post("/storage/containers", location="/storage/containers/{container_id}"),
    needs="storage:update",
):
    """Put a freezer into a location, a rack into a freezer, or a box into a rack."""

    kind: ContainerKind
    name: Name
    location_id: LocationId | None = None
    """Of a freezer."""
    parent_id: ContainerId | None = None
    """Of a rack (its freezer) or a box (its rack)."""
    zone: Zone | None = None
    """Of a freezer; racks and boxes have their freezer's."""
    capacity: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Racks of a freezer (20 unless said) or boxes of a rack (25 unless said)."""
    rows: GridSide = 10
    columns: GridSide = 10
    """Of a box."""


class ReservePositions(Command[ReservationView], type="storage.reserve_positions"):
    """Hold one free position of the right temperature for every row, all or none, for a while."""

    submission_id: SubmissionId
    rows: FileRef
    hold_seconds: Annotated[int, Field(ge=1, le=7 * 86_400)] = 3_600


class ConfirmPositions(Command[ReservationView], type="storage.confirm_positions"):
    """The samples rest in the positions held for them."""

    submission_id: SubmissionId


class ReleasePositions(Command[ReservationView], type="storage.release_positions"):
    """Give the positions back that a submission holds; fine where it holds none."""

    submission_id: SubmissionId


# Queries


class ListLocations(
    Query[Page[LocationView]],
    type="storage.list_locations",
    http=get("/storage/locations"),
    needs="storage:read",
):
    """List the places where freezers stand."""

    page: PageNumber = 1
    page_size: PageSize = 50
    min_seq: MinSeq = 0


class GetLocation(
    Query[LocationView],
    type="storage.get_location",
    http=get("/storage/locations/{location_id}"),
    needs="storage:read",
):
    """Show a place where freezers stand."""

    location_id: LocationId


class ListContainers(
    Query[Page[ContainerView]],
    type="storage.list_containers",
    http=get("/storage/containers"),
    needs="storage:read",
):
    """List freezers, racks and boxes."""

    kind: ContainerKind | None = None
    zone: Zone | None = None
    parent_id: ContainerId | None = None
    page: PageNumber = 1
    page_size: PageSize = 50
    min_seq: MinSeq = 0


class GetContainer(
    Query[ContainerView],
    type="storage.get_container",
    http=get("/storage/containers/{container_id}"),
    needs="storage:read",
):
    """Show a freezer, rack or box as it is, or as it was at a time."""

    container_id: ContainerId
    at: UtcTime | None = None


class GetGrid(
    Query[GridView],
    type="storage.grid",
    http=get("/storage/containers/{container_id}/grid"),
    needs="storage:read",
):
    """Show a box position by position, as it is or as it was at a time."""

    container_id: ContainerId
    at: UtcTime | None = None


class FindSamplePosition(
    Query[SamplePosition],
    type="storage.find_sample",
    http=get("/storage/samples/{sample_id}/position"),
    needs="storage:read",
):
    """Say where a sample rests."""

    sample_id: SampleId


class ListPositions(
    Query[Page[SamplePosition]],
    type="storage.list_positions",
    http=get("/storage/positions"),
    needs="storage:read",
):
    """List the positions that a submission holds."""

    submission_id: SubmissionId
    page: PageNumber = 1
    page_size: PageSize = 50


class GetCapacity(
    Query[StorageCapacity],
    type="storage.capacity",
    http=get("/storage/capacity"),
    needs="storage:read",
):
    """Show how full the laboratory is, temperature by temperature."""


# Events


class LocationCreated(Event, type="storage.location_created"):
    """A place was named."""

    location_id: LocationId
    name: Name


class LocationNameClaimed(Event, type="storage.location_name_claimed", public=False):
    """A name belongs to one location."""

    location_id: LocationId
    name: Name


class FreezerPlaced(Event, type="storage.freezer_placed", public=False):
    """A location took a freezer in."""

    location_id: LocationId
    container_id: ContainerId
    name: Name
    """Of the freezer; no other freezer of the location has it."""


class ContainerAdded(Event, type="storage.container_added"):
    """A freezer, rack or box was put in its place."""

    container_id: ContainerId
    kind: ContainerKind
    name: Name
    path: str
    location_id: LocationId
    parent_id: ContainerId | None
    zone: Zone
    capacity: int
    rows: int
    columns: int


class ChildAdded(Event, type="storage.child_added", public=False):
    """A freezer or rack took something in."""

    container_id: ContainerId
    child_id: ContainerId
    name: Name
    """Of the child; no other child of the same parent has it."""


class ReservedPosition(Value):
    """One position held for one sample."""

    position: PositionLabel
    sample_id: SampleId
    barcode: Barcode
    sample_type: SampleType


class PositionsReserved(Event, type="storage.positions_reserved"):
    """Positions of one box are held for a submission."""

    container_id: ContainerId
    submission_id: SubmissionId
    positions: list[ReservedPosition]
    expires_at: UtcTime


class PositionsConfirmed(Event, type="storage.positions_confirmed"):
    """The samples of a submission rest in the positions of one box that were held for them."""

    container_id: ContainerId
    submission_id: SubmissionId
    samples: list[PlacedSample]


class PositionsReleased(Event, type="storage.positions_released"):
    """Positions of one box are free again."""

    container_id: ContainerId
    submission_id: SubmissionId
    positions: list[PositionLabel]
    reason: Literal["released", "expired"]


class ReservationHeld(Event, type="storage.reservation_held", public=False):
    """A submission holds positions in these boxes."""

    submission_id: SubmissionId
    boxes: list[ContainerId]
    positions: int
    expires_at: UtcTime


class ReservationEnded(Event, type="storage.reservation_ended", public=False):
    """A submission holds nothing any more, or for good."""

    submission_id: SubmissionId
    state: Literal["confirmed", "released", "expired"]


# Refusals


class NoRoom(
    Refusal,
    code="storage.no_room",
    status=409,
    says="At {zone} {needed} position(s) are needed and {free} are free. "
    "Add a box at {zone}, or free positions; then submit again.",
):
    """There is no room at a temperature."""

    zone: Zone
    needed: int
    free: int


class ContainerNotFound(
    Refusal,
    code="storage.container_not_found",
    status=404,
    says="There is no container {container_id}. List them with GET /api/v1/storage/containers.",
):
    """The container is not known here."""

    container_id: ContainerId


class LocationNotFound(
    Refusal,
    code="storage.location_not_found",
    status=404,
    says="There is no location {location_id}. List them with GET /api/v1/storage/locations.",
):
    """The location is not known here."""

    location_id: LocationId


class ContainerRefused(
    Refusal, code="storage.container_refused", status=422, says="{problem} {remedy}"
):
    """The container cannot stand there."""

    field: str
    value: str | None
    problem: str
    remedy: str

    def field_errors(self) -> list[FieldError]:
        """Name the field at fault."""
        return [
            FieldError(field=self.field, value=self.value, problem=self.problem, remedy=self.remedy)
        ]


class LocationNameTaken(
    Refusal,
    code="storage.location_name_taken",
    status=409,
    says="There is a location {name} already ({location_id}). Use it, or choose another name.",
):
    """Another location has the name."""

    name: Name
    location_id: LocationId


class ContainerFull(
    Refusal,
    code="storage.container_full",
    status=409,
    says="{name} holds {capacity} already, all that it can. Choose another one.",
):
    """There is no place left in the freezer or rack."""

    name: Name
    capacity: int


class NotABox(
    Refusal,
    code="storage.not_a_box",
    status=409,
    says="{name} is a {kind}; only boxes have positions. Ask for one of its boxes.",
):
    """Only boxes have positions."""

    name: Name
    kind: ContainerKind


class ReservationLost(
    Refusal,
    code="storage.reservation_lost",
    status=409,
    says="The positions held for submission {submission_id} are {state}; "
    "they cannot be confirmed. Submit again.",
):
    """The positions are not held any more."""

    submission_id: SubmissionId
    state: str


class ReservationOver(
    Refusal,
    code="storage.reservation_over",
    status=409,
    says="The reservation of submission {submission_id} is {state}; "
    "a submission reserves once. Submit again.",
):
    """The submission has reserved before, and holds nothing any more."""

    submission_id: SubmissionId
    state: str


class TooScattered(
    Refusal,
    code="storage.too_scattered",
    status=409,
    says="The free positions lie scattered over {boxes} boxes; one submission takes from at most "
    "{boxes_max}. Add larger boxes, or submit in parts.",
):
    """The free positions are spread over more boxes than one decision can hold."""

    boxes: int
    boxes_max: int


class SampleHasPosition(
    Refusal,
    code="storage.sample_has_position",
    status=409,
    says="Sample {sample_id} has position {position} of {path} already; a sample has one position. "
    "Leave it out.",
):
    """The sample holds a position already."""

    sample_id: SampleId
    path: str
    position: PositionLabel


class SampleNotStored(
    Refusal,
    code="storage.sample_not_stored",
    status=404,
    says="Sample {sample_id} holds no position. It may not be stored yet, or have been taken out.",
):
    """The sample holds no position."""

    sample_id: SampleId
