"""Samples: what may be asked of them, what happens to them, what is refused."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.errors import Refusal
from contracts.message import Command, Event, Query, get, post
from contracts.types import (
    ActorId,
    AnalysisType,
    Barcode,
    ConcentrationNgPerUl,
    FileRef,
    MinSeq,
    Name,
    Page,
    PageNumber,
    PageSize,
    Priority,
    QualityScore,
    Reason,
    SampleId,
    SampleType,
    SubmissionId,
    Text,
    UtcTime,
    Value,
    View,
    VolumeUl,
    Zone,
)


class SampleStatus(StrEnum):
    """Where a sample stands in its life."""

    PENDING = "pending"
    VALIDATED = "validated"
    IN_STORAGE = "in_storage"
    IN_SEQUENCING = "in_sequencing"
    COMPLETED = "completed"
    FAILED = "failed"
    REJECTED = "rejected"
    DISCARDED = "discarded"
    ARCHIVED = "archived"
    WITHDRAWN = "withdrawn"
    """Taken back by the compensation of its submission, as if it had never come."""


class SampleDetails(Value):
    """What a submitter says about one sample."""

    barcode: Barcode
    name: Name
    sample_type: SampleType
    zone: Zone
    """The temperature at which it must be kept."""
    volume_ul: VolumeUl | None = None
    concentration_ng_per_ul: ConcentrationNgPerUl | None = None
    quality_score: QualityScore | None = None
    subject_id: Name | None = None
    """The patient's or subject's pseudonym."""
    collected_on: date | None = None
    submitter: Name | None = None
    department: Name | None = None
    priority: Priority = Priority.NORMAL
    analysis_type: AnalysisType | None = None
    notes: Text | None = None


class SampleView(View):
    """A sample as it stands."""

    sample_id: SampleId
    status: SampleStatus
    details: SampleDetails
    submission_id: SubmissionId | None
    registered_at: UtcTime
    registered_by: ActorId
    changed_at: UtcTime
    seq: int
    """The log sequence of the newest entry seen; as `min_seq`, lists show your own write."""


class StatusChange(View):
    """One entry of a sample's history."""

    seq: int
    at: UtcTime
    actor: ActorId
    event: str
    status: SampleStatus
    reason: str | None = None


class SampleHistory(View):
    """Everything that happened to one sample, oldest first."""

    sample_id: SampleId
    entries: list[StatusChange]


class SamplesRegistered(View):
    """What a submission's registration made."""

    submission_id: SubmissionId
    registered: int


class SamplesWithdrawn(View):
    """What was taken back; 0 where nothing had been registered."""

    submission_id: SubmissionId
    withdrawn: int


class SamplesStored(View):
    """How many samples of a submission now rest in their positions."""

    submission_id: SubmissionId
    stored: int


class TakenBarcode(Value):
    """A barcode that the laboratory has already, and where."""

    barcode: Barcode
    sample_id: SampleId
    name: Name
    status: SampleStatus


class TakenBarcodes(View):
    """Which of the barcodes asked about are taken."""

    taken: list[TakenBarcode]


# Commands


class RegisterSample(
    Command[SampleView],
    type="sample.register",
    http=post("/samples", location="/samples/{sample_id}"),
    needs="samples:create",
):
    """Accept one sample into the laboratory."""

    details: SampleDetails


class ChangeSampleStatus(
    Command[SampleView],
    type="sample.change_status",
    http=post("/samples/{sample_id}/status", status=200),
    needs="samples:update",
):
    """Move a sample along its life, with a reason."""

    sample_id: SampleId
    status: SampleStatus
    reason: Reason


class RegisterSamples(Command[SamplesRegistered], type="sample.register_many"):
    """Register every row of a validated manifest, all or none."""

    submission_id: SubmissionId
    rows: FileRef
    """JSON list of `ManifestRow`."""


class WithdrawSamples(Command[SamplesWithdrawn], type="sample.withdraw_many"):
    """Take back every sample that a submission registered, and free the barcodes."""

    submission_id: SubmissionId
    rows: FileRef


class MarkSamplesStored(Command[SamplesStored], type="sample.mark_stored"):
    """Record that every sample of a submission rests in its position."""

    submission_id: SubmissionId
    rows: FileRef


# Queries


class GetSample(
    Query[SampleView], type="sample.get", http=get("/samples/{sample_id}"), needs="samples:read"
):
    """Show a sample as it is, or as it was at a time."""

    sample_id: SampleId
    at: UtcTime | None = None


class GetSampleByBarcode(
    Query[SampleView],
    type="sample.get_by_barcode",
    http=get("/samples/barcode/{barcode}"),
    needs="samples:read",
):
    """Show the sample that bears a barcode."""

    barcode: Barcode


class GetSampleHistory(
    Query[SampleHistory],
    type="sample.history",
    http=get("/samples/{sample_id}/history"),
    needs="samples:read",
):
    """Show everything that happened to a sample."""

    sample_id: SampleId


class ListSamples(
    Query[Page[SampleView]], type="sample.list", http=get("/samples"), needs="samples:read"
):
    """List samples, newest first; withdrawn ones only when asked for by status."""

    status: SampleStatus | None = None
    sample_type: SampleType | None = None
    submission_id: SubmissionId | None = None
    page: PageNumber = 1
    page_size: PageSize = 50
    min_seq: MinSeq = 0


class CheckBarcodes(Query[TakenBarcodes], type="sample.check_barcodes"):
    """Say which of these barcodes the laboratory has already."""

    barcodes: Annotated[list[Barcode], Field(max_length=10_000)]


# Events


class SampleRegistered(Event, type="sample.registered"):
    """A sample was accepted."""

    sample_id: SampleId
    details: SampleDetails
    submission_id: SubmissionId | None = None
    status: SampleStatus


class SampleStatusChanged(Event, type="sample.status_changed"):
    """A sample moved along its life."""

    sample_id: SampleId
    barcode: Barcode
    old_status: SampleStatus
    new_status: SampleStatus
    reason: str


class SampleWithdrawn(Event, type="sample.withdrawn"):
    """A sample was taken back because its submission could not be completed."""

    sample_id: SampleId
    barcode: Barcode
    submission_id: SubmissionId


class BarcodeClaimed(Event, type="sample.barcode_claimed", public=False):
    """A barcode belongs to a sample from now on."""

    barcode: Barcode
    sample_id: SampleId


class BarcodeReleased(Event, type="sample.barcode_released", public=False):
    """A barcode is free again."""

    barcode: Barcode
    sample_id: SampleId


class SubmissionRegistered(Event, type="sample.submission_registered", public=False):
    """A part of a submission's rows became samples."""

    submission_id: SubmissionId
    first_row: int
    samples: int


class SubmissionWithdrawn(Event, type="sample.submission_withdrawn", public=False):
    """A submission may register nothing any more."""

    submission_id: SubmissionId


# Refusals


class SubmissionClosed(
    Refusal,
    code="sample.submission_closed",
    status=409,
    says="Submission {submission_id} was withdrawn; nothing more can be registered for it. "
    "Submit the manifest again.",
):
    """The submission was withdrawn before this came."""

    submission_id: SubmissionId


class BarcodeTaken(
    Refusal,
    code="sample.barcode_taken",
    status=409,
    says="Barcode {barcode} already belongs to sample {sample_id}. "
    "Scan the tube again, or give it a new label.",
):
    """The laboratory already has a sample with this barcode."""

    barcode: Barcode
    sample_id: SampleId


class SampleNotFound(
    Refusal,
    code="sample.not_found",
    status=404,
    says="There is no sample {key}. Check the identifier, or look it up with GET /api/v1/samples.",
):
    """The sample is not known here."""

    key: str


class TransitionRefused(
    Refusal,
    code="sample.transition_refused",
    status=409,
    says="Sample {sample_id} is {old_status} and cannot become {new_status}; "
    "from there it can become: {allowed}.",
):
    """The sample's life does not allow this step."""

    sample_id: SampleId
    old_status: SampleStatus
    new_status: SampleStatus
    allowed: str
