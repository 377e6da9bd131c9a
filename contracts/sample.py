"""Samples: what may be asked of them, what happens to them, what is refused."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, NewType
from uuid import UUID

from pydantic import Field

from contracts.errors import FieldError, Refusal
from contracts.message import Command, Event, Query, get, post
from contracts.storage import CARRIED_MAX, Place
from contracts.types import (
    ActorId,
    AnalysisType,
    Barcode,
    Celsius,
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

HoldId = NewType("HoldId", UUID)
"""Names one hold over however many samples; a saga's holds bear the saga's id."""

SAMPLES_MAX = 1_000
"""Samples that a command names itself; longer lists lie in a file (`sample_list`)."""
SAMPLES_LISTED_MAX = 100_000
"""Samples of one such file."""
DESCENDANTS_MAX = 10_000
"""Samples that come from others, found in one walk."""
ALIQUOTS_MAX = 96
"""Aliquots made of one sample at once: a plate."""
PARENTS_MAX = 400
"""Samples pooled into one."""
NAMED_MAX = 20
"""Samples that a refusal names one by one; beyond it only their number."""

SampleIds = Annotated[list[SampleId], Field(max_length=SAMPLES_MAX)]
CarriedIds = Annotated[list[SampleId], Field(min_length=1, max_length=CARRIED_MAX)]


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
    DISPOSED = "disposed"
    """Its material was destroyed, with approval; only a disposal says so, never a person."""


class HoldKind(StrEnum):
    """Why a sample may not be used for the time being."""

    QUARANTINE = "quarantine"
    """Something may have harmed it; a person has to look."""
    CONSENT = "consent"
    """Whoever gave it has withdrawn their consent."""
    DISPOSAL = "disposal"
    """It is to be destroyed."""
    REVIEW = "review"
    """Anything else that somebody has to clear up first."""


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


class HoldView(View):
    """One hold on a sample: as long as there is any, the sample may not be used."""

    hold_id: HoldId
    kind: HoldKind
    reason: str
    placed_at: UtcTime
    placed_by: ActorId


class SampleView(View):
    """A sample as it stands."""

    sample_id: SampleId
    status: SampleStatus
    details: SampleDetails
    submission_id: SubmissionId | None
    registered_at: UtcTime
    registered_by: ActorId
    changed_at: UtcTime
    holds: list[HoldView] = Field(default_factory=list[HoldView])
    """Why it may not be used; it may where there are none."""
    parent_ids: list[SampleId] = Field(default_factory=list[SampleId])
    """The samples that it was made of; none of one that came from outside."""
    remaining_volume_ul: Decimal | None = None
    """What is left of its volume after aliquots were taken; None where it was never known."""
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


class CustodyEntry(View):
    """One link of the chain of custody: who had the sample in hand, and what they did."""

    seq: int
    at: UtcTime
    """When it was done."""
    by: ActorId
    action: Literal["registered", "derived", "stored", "moved", "removed", "disposed"]
    origin: Place | None = None
    target: Place | None = None
    witnessed_by: ActorId | None = None
    temperature_celsius: Celsius | None = None
    """What the witness read where the sample was put."""
    reason: str | None = None


class CustodyChain(View):
    """Who had a sample in hand from its arrival until it was gone, oldest first."""

    sample_id: SampleId
    barcode: Barcode
    entries: list[CustodyEntry]


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


class SubmissionPrepared(View):
    """A form, written as a manifest of one row, so that it goes the way of all manifests."""

    submission_id: SubmissionId
    sample_id: SampleId
    barcode: Barcode
    rows: FileRef
    """JSON list of one `ManifestRow`."""
    accepted: int


class RowOutcome(View):
    """What became of one row of an import."""

    row: int
    barcode: Barcode
    outcome: Literal["registered", "refused"]
    sample_id: SampleId | None = None
    """Of a row that was registered."""
    code: str | None = None
    """Of the refusal."""
    detail: str | None = None
    """Of the refusal, remedy included."""


class SamplesImported(View):
    """What an import made, row by row."""

    submission_id: SubmissionId
    rows: FileRef
    """JSON list of `ManifestRow`: those that were registered."""
    outcomes: FileRef
    """JSON list of `RowOutcome`: one for each row, in their order."""
    registered: int
    refused: int


class SamplesSelected(View):
    """Samples that were looked at and found fit for what was asked about."""

    sample_ids: CarriedIds
    """Without repetitions."""
    rows: FileRef
    """JSON list of `ManifestRow`: each sample with its details."""
    selected: int


class DescendantsFound(View):
    """Everything that was made of some samples, down to the last aliquot and pool."""

    sample_ids: SampleIds
    """Those asked about and their descendants, at most `SAMPLES_MAX` of them."""
    sample_list: FileRef
    """JSON list of all their ids: those asked about first, then generation by generation."""
    asked: int
    descendants: int


class SamplesHeld(View):
    """What a hold covers."""

    hold_id: HoldId
    kind: HoldKind
    held: int
    """Samples on which it lies now; those that are gone already are left out."""


class HoldReleased(View):
    """What was released from a hold."""

    hold_id: HoldId
    released: int
    """Samples on which it lies no more; 0 where it was never placed."""


class SamplesDiscarded(View):
    """How many samples were given up."""

    discarded: int


class CustodyRecorded(View):
    """How many samples know of their handover."""

    recorded: int


class SamplesDisposed(View):
    """How many samples are gone for good."""

    disposed: int


class Derived(View):
    """What was made of samples."""

    parent_ids: list[SampleId]
    samples: list[SampleView]


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


class PrepareSubmission(Command[SubmissionPrepared], type="sample.prepare_submission"):
    """Read a form as a manifest of one row, and check that its barcode is free; changes nothing."""

    submission_id: SubmissionId
    details: SampleDetails


class ImportSamples(Command[SamplesImported], type="sample.import_many"):
    """Register each row of a validated manifest for itself, and say of each what became of it."""

    submission_id: SubmissionId
    rows: FileRef
    """JSON list of `ManifestRow`."""
    partial: bool = True
    """Otherwise the first row that is refused takes all back, as in `sample.register_many`."""


class CheckMovable(Command[SamplesSelected], type="sample.check_movable"):
    """See that samples may be carried elsewhere: they are there, be it on hold. No change."""

    sample_ids: CarriedIds


class CheckDisposable(Command[SamplesSelected], type="sample.check_disposable"):
    """See that samples may be destroyed: there, not in use, not on hold; changes nothing."""

    sample_ids: CarriedIds
    despite: list[HoldKind] = Field(default_factory=list[HoldKind])
    """Holds that stand in the way of use and not of disposal, beside those for disposal itself."""


class FindDescendants(Command[DescendantsFound], type="sample.find_descendants"):
    """Walk down from samples to everything that was made of them; changes nothing."""

    sample_ids: SampleIds


class HoldSamples(Command[SamplesHeld], type="sample.hold"):
    """Let nobody use samples for the time being: none of them is aliquoted, pooled or sequenced.

    The samples are those named and those of the list together; all are held, or none.
    """

    hold_id: HoldId
    kind: HoldKind
    reason: Reason
    sample_ids: SampleIds = Field(default_factory=list[SampleId])
    sample_list: FileRef | None = None
    """JSON list of sample ids, where there are many."""
    with_descendants: bool = False
    """Also everything that was made of them, including what is being made at this moment."""


class ReleaseHold(Command[HoldReleased], type="sample.release_hold"):
    """End a hold for good, or for some of its samples only; fine where it was never placed."""

    hold_id: HoldId
    reason: Reason
    only: SampleIds = Field(default_factory=list[SampleId])
    """Those released, while the hold goes on for the others; empty for all of them."""


class DiscardSamples(Command[SamplesDiscarded], type="sample.discard"):
    """Give samples up: those under a hold, which ends with it, and those named; all or none."""

    reason: Reason
    hold_id: HoldId | None = None
    sample_ids: SampleIds = Field(default_factory=list[SampleId])
    sample_list: FileRef | None = None


class RecordCustody(Command[CustodyRecorded], type="sample.record_custody"):
    """Write down for each sample through whose hands it went; once for each process."""

    submission_id: SubmissionId
    """The process that carried them."""
    handovers: FileRef
    """JSON list of `Handover`."""
    carried_at: UtcTime
    carried_by: ActorId
    reason: Reason
    witnessed_by: ActorId | None = None
    temperature_celsius: Celsius | None = None


class MarkSamplesDisposed(Command[SamplesDisposed], type="sample.mark_disposed"):
    """Record that samples were destroyed: they are gone for good, and their barcodes with them."""

    sample_ids: SampleIds
    reason: Reason
    approved_by: list[ActorId]


class Aliquot(Value):
    """A tube that material is put into."""

    barcode: Barcode
    name: Name
    volume_ul: VolumeUl | None = None
    sample_type: SampleType | None = None
    """What the material is there; that of the sample it comes from where it is not said."""
    zone: Zone | None = None
    """Where it must be kept; as the sample it comes from where it is not said."""
    concentration_ng_per_ul: ConcentrationNgPerUl | None = None


class DeriveSamples(
    Command[Derived],
    type="sample.derive",
    http=post("/samples/{sample_id}/aliquots"),
    needs="samples:create",
):
    """Make aliquots of a sample; all of them, or none."""

    sample_id: SampleId
    aliquots: Annotated[list[Aliquot], Field(min_length=1, max_length=ALIQUOTS_MAX)]


class PoolSamples(
    Command[Derived],
    type="sample.pool",
    http=post("/samples/pools"),
    needs="samples:create",
):
    """Put material of several samples into one tube."""

    parent_ids: Annotated[list[SampleId], Field(min_length=1, max_length=PARENTS_MAX)]
    pool: Aliquot


class PlaceHold(
    Command[SampleView],
    type="sample.place_hold",
    http=post("/samples/{sample_id}/holds"),
    needs="samples:update",
):
    """Hold one sample, and nothing that was made of it."""

    sample_id: SampleId
    kind: HoldKind
    reason: Reason


class LiftHold(
    Command[SampleView],
    type="sample.lift_hold",
    http=post("/samples/{sample_id}/holds/{hold_id}/lift", status=200),
    needs="samples:update",
):
    """Release one sample from a hold; fine where the hold does not lie on it."""

    sample_id: SampleId
    hold_id: HoldId
    reason: Reason


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


class GetCustody(
    Query[CustodyChain],
    type="sample.custody",
    http=get("/samples/{sample_id}/custody"),
    needs="samples:read",
):
    """Show through whose hands a sample went, and where it was put."""

    sample_id: SampleId


class ListSamples(
    Query[Page[SampleView]], type="sample.list", http=get("/samples"), needs="samples:read"
):
    """List samples, newest first; withdrawn ones only when asked for by status."""

    status: SampleStatus | None = None
    sample_type: SampleType | None = None
    submission_id: SubmissionId | None = None
    held: bool | None = None
    """Those that a hold keeps from being used; or those that none does."""
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


class SampleDerived(Event, type="sample.derived"):
    """A sample was made of others; told together with its registration."""

    sample_id: SampleId
    barcode: Barcode
    parent_ids: list[SampleId]
    how: Literal["aliquot", "pool"]


class MaterialTaken(Event, type="sample.material_taken", public=False):
    """Material of a sample went into others."""

    sample_id: SampleId
    child_ids: list[SampleId]
    volume_ul: Decimal
    """Of what is known to have been taken."""


class SampleHeld(Event, type="sample.held"):
    """A sample may not be used for the time being."""

    sample_id: SampleId
    barcode: Barcode
    hold_id: HoldId
    kind: HoldKind
    reason: str


class SampleHoldReleased(Event, type="sample.hold_released"):
    """A hold on a sample ended; others may still lie on it."""

    sample_id: SampleId
    barcode: Barcode
    hold_id: HoldId
    kind: HoldKind
    reason: str


class HoldPlaced(Event, type="sample.hold_placed", public=False):
    """A hold lies on these samples from now on."""

    hold_id: HoldId
    kind: HoldKind
    reason: str
    sample_ids: list[SampleId]


class HoldNarrowed(Event, type="sample.hold_narrowed", public=False):
    """A hold lies on these samples no more."""

    hold_id: HoldId
    sample_ids: list[SampleId]


class HoldEnded(Event, type="sample.hold_ended", public=False):
    """A hold can never be placed again, whether it was placed before or not."""

    hold_id: HoldId
    how: Literal["released", "discarded"]


class CustodyTransferred(Event, type="sample.custody_transferred"):
    """A sample went through somebody's hands: it was put elsewhere, or taken out for good."""

    sample_id: SampleId
    barcode: Barcode
    submission_id: SubmissionId
    """The process that carried it."""
    origin: Place | None
    target: Place | None
    carried_at: UtcTime
    carried_by: ActorId
    witnessed_by: ActorId | None
    temperature_celsius: Celsius | None
    reason: str


class SampleDisposed(Event, type="sample.disposed"):
    """A sample's material was destroyed."""

    sample_id: SampleId
    barcode: Barcode
    old_status: SampleStatus
    reason: str
    approved_by: list[ActorId]


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


class BatchTooLarge(
    Refusal,
    code="sample.batch_too_large",
    status=422,
    says="{count} samples at once are more than the {count_max} that are taken. Submit them in "
    "parts, or raise `max_batch_size` of sample-service.",
):
    """The configuration bounds how many samples are registered at once."""

    count: int
    count_max: int


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


class SampleProblem(Value):
    """Why one sample cannot be part of what was asked."""

    sample_id: SampleId
    barcode: Barcode | None = None
    """None of a sample that is not known."""
    problem: str
    remedy: str


class SamplesRefused(
    Refusal,
    code="sample.samples_refused",
    status=409,
    says="{count} sample(s) cannot be {asked}, so none was; "
    "each is listed with its remedy, the first of them: {first}.",
):
    """Some of the samples cannot be part of this."""

    asked: str
    count: int
    first: str
    problems: list[SampleProblem]
    """At most `NAMED_MAX` of them."""

    def field_errors(self) -> list[FieldError]:
        """Name each sample."""
        return [
            FieldError(
                field="sample_ids", value=str(p.sample_id), problem=p.problem, remedy=p.remedy
            )
            for p in self.problems
        ]


class SampleOnHold(
    Refusal,
    code="sample.on_hold",
    status=409,
    says="Sample {sample_id} is on hold ({kind}: {reason}) and cannot be used. "
    "Have hold {hold_id} cleared and released first.",
):
    """The sample may not be used for the time being."""

    sample_id: SampleId
    hold_id: HoldId
    kind: HoldKind
    reason: str


class SampleUnusable(
    Refusal,
    code="sample.unusable",
    status=409,
    says="Sample {sample_id} is {status}; nothing can be made of it. "
    "Take one that is validated, in storage, in sequencing or completed.",
):
    """There is no usable material in the sample's tube."""

    sample_id: SampleId
    status: SampleStatus


class VolumeShort(
    Refusal,
    code="sample.volume_short",
    status=409,
    says="Sample {sample_id} has {remaining_ul} µL left and {wanted_ul} µL were asked for. "
    "Take less.",
):
    """There is less material than was asked for."""

    sample_id: SampleId
    remaining_ul: Decimal
    wanted_ul: Decimal


class HoldOver(
    Refusal,
    code="sample.hold_over",
    status=409,
    says="Hold {hold_id} is over: its samples were {how}. Place a new one.",
):
    """The hold ended before this came."""

    hold_id: HoldId
    how: Literal["released", "discarded"]


class TooManyDescendants(
    Refusal,
    code="sample.too_many_descendants",
    status=409,
    says="More than {descendants_max} samples were made of those asked about. "
    "Ask about fewer of them at once.",
):
    """The walk found more samples than one answer may hold."""

    descendants_max: int


class TooManySamples(
    Refusal,
    code="sample.too_many",
    status=422,
    says="The list names {count} samples; at most {count_max} are taken at once. Split it.",
):
    """The list of samples is longer than the bound."""

    count: int
    count_max: int
