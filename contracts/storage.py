"""Storage: freezers, racks, boxes and positions; who holds which position, and for how long."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.errors import FieldError, Refusal
from contracts.message import Command, Event, Query, get, post
from contracts.types import (
    ActorId,
    Barcode,
    Celsius,
    ContainerId,
    FileRef,
    LocationId,
    MinSeq,
    Name,
    Page,
    PageNumber,
    PageSize,
    Reason,
    SampleId,
    SampleType,
    SubmissionId,
    UtcTime,
    Value,
    View,
    Zone,
)

CARRIED_MAX = 450
"""Samples carried at once: each may leave one box and enter another, all in one batch of 1,000."""
LISTED_MAX = 1_000
"""Samples that an answer names itself; the file beside them names all."""

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


class Place(Value):
    """A position of a box, as it was called at the time."""

    container_id: ContainerId
    path: str
    position: PositionLabel


class Handover(Value):
    """One sample that was carried: from where, and to where."""

    sample_id: SampleId
    origin: Place | None
    target: Place | None
    """None where it was taken out for good."""


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
    state: Literal["held", "confirmed", "released", "expired", "moved"]
    positions: int
    boxes: list[ContainerId]
    expires_at: UtcTime | None


class TransferChecked(View):
    """A transfer for which there is room at the right temperature."""

    target_id: ContainerId
    path: str
    zone: Zone
    samples: int
    boxes: int
    """Boxes that they would go into."""


class SamplesCarried(View):
    """What was carried, and under whose eyes."""

    submission_id: SubmissionId
    """The process that carried it."""
    carried: int
    handovers: FileRef
    """JSON list of `Handover`."""
    carried_at: UtcTime
    carried_by: ActorId


class AffectedSamples(View):
    """The samples that lie in a place."""

    path: str
    samples: int
    boxes: int
    """Boxes that hold any of them."""
    sample_ids: Annotated[list[SampleId], Field(max_length=LISTED_MAX)]
    """At most `LISTED_MAX` of them, box by box."""
    sample_list: FileRef
    """JSON list of all their ids."""


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


class CheckTransfer(Command[TransferChecked], type="storage.check_transfer"):
    """See that samples could be carried to a place: warm enough, cold enough, and with room.

    Nothing is changed.
    """

    submission_id: SubmissionId
    rows: FileRef
    """JSON list of `ManifestRow`: the samples, each with the temperature that it needs."""
    target_id: ContainerId
    """A box, or a rack or freezer with boxes."""
    allow_colder: bool = False
    """Whether frozen material may lie colder than it needs; what lives or is warm never may."""
    temperature_celsius: Celsius | None = None
    """What somebody read at the target, where anybody did."""


class ReserveTransfer(Command[ReservationView], type="storage.reserve_transfer"):
    """Hold a position at the target for every sample, which stays where it is for the moment."""

    submission_id: SubmissionId
    rows: FileRef
    target_id: ContainerId
    allow_colder: bool = False
    hold_seconds: Annotated[int, Field(ge=1, le=7 * 86_400)] = 3_600


class MoveSamples(Command[SamplesCarried], type="storage.move_samples"):
    """Take samples out of their positions and into those held for them, all at once."""

    submission_id: SubmissionId
    reason: Reason
    witnessed_by: ActorId | None = None
    temperature_celsius: Celsius | None = None
    """What the witness read at the target."""


class RemoveSamples(Command[SamplesCarried], type="storage.remove_samples"):
    """Take samples out for good and free their positions; those that lie nowhere are left out."""

    submission_id: SubmissionId
    sample_ids: Annotated[list[SampleId], Field(max_length=CARRIED_MAX)]
    reason: Reason
    witnessed_by: ActorId | None = None


class FindAffected(Command[AffectedSamples], type="storage.find_affected"):
    """List the samples that lie in a location, freezer, rack or box; changes nothing."""

    container_id: ContainerId | None = None
    location_id: LocationId | None = None
    zone: Zone | None = None
    """Only those kept at this temperature."""


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


class PositionsVacated(Event, type="storage.positions_vacated"):
    """Samples were taken out of positions of one box, which are free again."""

    container_id: ContainerId
    submission_id: SubmissionId
    """The process that took them."""
    samples: list[PlacedSample]
    reason: Literal["moved", "removed"]


class SamplesMoved(Event, type="storage.moved"):
    """Samples were carried from their positions to others."""

    submission_id: SubmissionId
    handovers: list[Handover]
    reason: str
    witnessed_by: ActorId | None
    temperature_celsius: Celsius | None


class SamplesRemoved(Event, type="storage.removed"):
    """Samples were taken out of storage for good."""

    submission_id: SubmissionId
    handovers: list[Handover]
    reason: str
    witnessed_by: ActorId | None


class TransferHeld(Event, type="storage.transfer_held", public=False):
    """Positions at the target of a transfer are held in these boxes."""

    submission_id: SubmissionId
    target_id: ContainerId
    boxes: list[ContainerId]
    positions: int
    expires_at: UtcTime


class ReservationHeld(Event, type="storage.reservation_held", public=False):
    """A submission holds positions in these boxes."""

    submission_id: SubmissionId
    boxes: list[ContainerId]
    positions: int
    expires_at: UtcTime


class ReservationEnded(Event, type="storage.reservation_ended", public=False):
    """A submission holds nothing any more, or for good."""

    submission_id: SubmissionId
    state: Literal["confirmed", "released", "expired", "moved"]


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


class ZoneUnfit(
    Refusal,
    code="storage.zone_unfit",
    status=409,
    says="{path} is kept at {zone}; {count} sample(s) need another temperature, the first "
    "{sample_id}, which needs {needed}. Choose a place at {needed}, or for frozen material "
    "a colder one with allow_colder=true.",
):
    """The target has the wrong temperature for some of the samples."""

    path: str
    zone: Zone
    sample_id: SampleId
    needed: Zone
    count: int


class TemperatureOff(
    Refusal,
    code="storage.temperature_off",
    status=409,
    says="{path} should be at {zone} and {temperature_celsius} °C were read there; "
    "{lowest_celsius} to {highest_celsius} °C are allowed. "
    "Look after the place, or choose another one.",
):
    """What was read at the target is not the temperature that it should have."""

    path: str
    zone: Zone
    temperature_celsius: Celsius
    lowest_celsius: Celsius
    highest_celsius: Celsius


class TargetFull(
    Refusal,
    code="storage.target_full",
    status=409,
    says="{path} has {free} free position(s) and {needed} are needed. "
    "Choose a larger place, add a box, or carry fewer samples.",
):
    """There is not enough room at the target."""

    path: str
    needed: int
    free: int


class SamplesUnplaced(
    Refusal,
    code="storage.samples_unplaced",
    status=409,
    says="{count} sample(s) cannot be carried: {sample_id} {problem} {remedy}",
):
    """Some of the samples are not where they can be taken from."""

    sample_id: SampleId
    """The first of them."""
    count: int
    problem: str
    remedy: str


class TooManyCarried(
    Refusal,
    code="storage.too_many_carried",
    status=422,
    says="{count} samples were to be carried at once; at most {count_max} are. "
    "Carry them in parts.",
):
    """More samples than one decision can carry."""

    count: int
    count_max: int


class TransferMade(
    Refusal,
    code="storage.transfer_made",
    status=409,
    says="The samples of transfer {submission_id} lie at their target already; "
    "carry them back with a transfer of their own.",
):
    """What is to be given back is occupied by the samples that were carried there."""

    submission_id: SubmissionId


class WrongReservation(
    Refusal,
    code="storage.wrong_reservation",
    status=409,
    says="The positions of {submission_id} are held for {held_for}, not for {wanted_for}. "
    "Samples that come in are confirmed, samples that lie elsewhere are moved.",
):
    """The positions are held for something else."""

    submission_id: SubmissionId
    held_for: Literal["arrival", "transfer"]
    wanted_for: Literal["arrival", "transfer"]


class PlaceUnsaid(
    Refusal,
    code="storage.place_unsaid",
    status=422,
    says="Say which place is meant: either container_id or location_id, and not both.",
):
    """Either a container or a location has to be named."""
