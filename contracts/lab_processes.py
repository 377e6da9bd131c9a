"""The laboratory's processes: what begins each of them. Each is carried by a saga to its end.

Every answer names a transaction; how far it is, whom it waits for and how it ended is said by
`GET /api/v1/transactions/{transaction_id}`. A manifest is submitted with
`transaction.submit_manifest`.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from contracts.library import PlannedLibraries
from contracts.message import Command, Http, post
from contracts.sample import SAMPLES_MAX, CarriedIds, HoldKind, SampleDetails
from contracts.sequencing import ReadPlan, Verdict
from contracts.transaction import GetTransaction, SubmissionView
from contracts.types import (
    ActorId,
    Barcode,
    Celsius,
    ContainerId,
    EmailAddress,
    FileRef,
    LocationId,
    Name,
    Reason,
    SampleId,
    Text,
    Value,
    Zone,
)

REVIEWERS_MAX = 20
"""People who may decide on one process."""

Emails = Annotated[list[EmailAddress], Field(max_length=100)]
Reviewers = Annotated[list[ActorId], Field(min_length=1, max_length=REVIEWERS_MAX)]
NamedIds = Annotated[list[SampleId], Field(min_length=1, max_length=SAMPLES_MAX)]


def _begins(path: str) -> Http:
    return post(path, status=202, location="/transactions/{transaction_id}", then=GetTransaction)


class Decision(StrEnum):
    """What becomes of samples that lay too warm or too cold."""

    RELEASED = "released"
    """They may be used again."""
    DISCARDED = "discarded"
    """They are given up."""


class ExcursionDecision(Value):
    """What the signal `decision` says, with which a person closes an excursion."""

    outcome: Decision
    comment: Text = ""


class Pipetted(Value):
    """What the signal `pooled` says, with which the bench reports a pool as made."""

    comment: Text = ""


class RunDecision(Value):
    """What the signal `decision` says, with which a person decides on a run."""

    verdict: Verdict
    comment: Text = ""


class SubmitSample(
    Command[SubmissionView],
    type="transaction.submit_sample",
    http=_begins("/submissions/samples"),
    needs="samples:create",
):
    """Take one sample by form: it is registered and stored, or nothing happens."""

    details: SampleDetails
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told when it is stored."""


class ImportManifest(
    Command[SubmissionView],
    type="transaction.import_manifest",
    http=_begins("/submissions/imports"),
    needs="samples:create",
):
    """Take a manifest row by row: each row is told what became of it."""

    file: FileRef
    sheet: Name | None = None
    """Of a workbook; its first one where it is not said."""
    partial: bool = True
    """Take the rows that can be taken; otherwise one row that cannot takes all back."""
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told how the import went."""


class TransferSamples(
    Command[SubmissionView],
    type="transaction.transfer_samples",
    http=_begins("/storage/transfers"),
    needs="storage:update",
):
    """Carry samples to another place, together, with a chain of custody."""

    sample_ids: CarriedIds
    target_id: ContainerId
    """A box, or a rack or freezer with boxes."""
    reason: Reason
    witnessed_by: ActorId | None = None
    """Who stood beside it."""
    temperature_celsius: Celsius | None = None
    """What was read at the target; it must be what the target should have."""
    allow_colder: bool = False
    """Whether frozen material may lie colder than it needs."""
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told once they lie there."""


class ReportExcursion(
    Command[SubmissionView],
    type="transaction.report_excursion",
    http=_begins("/storage/excursions"),
    needs="storage:update",
):
    """Report that a place left its temperature: its samples are held until a person decides."""

    container_id: ContainerId | None = None
    """A freezer, rack or box; either this or a location."""
    location_id: LocationId | None = None
    """A whole room."""
    zone: Zone | None = None
    """Only what is kept at this temperature there."""
    reason: Reason
    """What happened: which probe read what, and for how long."""
    reviewers: Reviewers
    """Who may decide, with the signal `decision`: `{"outcome": "released"}` or `"discarded"`."""
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is alerted."""


class BeginRun(
    Command[SubmissionView],
    type="transaction.begin_run",
    http=_begins("/sequencing/runs"),
    needs="sequencing:create",
):
    """Bring libraries onto a flow cell and into the queue of an instrument."""

    run: Name
    """What people call it; sample sheet and run folder bear the name."""
    instrument: Name
    flow_cell: Barcode
    reads: ReadPlan
    libraries: PlannedLibraries
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told when the run is queued."""


class CompleteRun(
    Command[SubmissionView],
    type="transaction.complete_run",
    http=_begins("/sequencing/runs/completed"),
    needs="sequencing:update",
):
    """Take a run off an instrument: check its quality, settle its samples, deliver its results."""

    run: Name
    folder: Name
    """Where the instrument wrote it, as the sequencing service knows folders."""
    reviewers: Reviewers
    """Who may decide where the gates do not agree, with the signal `decision`: its verdict."""
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told how it ended."""


class WithdrawConsent(
    Command[SubmissionView],
    type="transaction.withdraw_consent",
    http=_begins("/samples/consent-withdrawals"),
    needs="samples:update",
):
    """Withdraw consent: the samples and all that was made of them can be used no more."""

    sample_ids: NamedIds
    """Those that were given; what was made of them is found."""
    reason: Reason
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told what is held."""


def _each_once(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} twice; name each person once")
    return names


class DisposeSamples(
    Command[SubmissionView],
    type="transaction.dispose_samples",
    http=_begins("/samples/disposals"),
    needs="samples:update",
):
    """Ask for samples to be destroyed; two other people must approve it."""

    sample_ids: CarriedIds
    reason: Reason
    despite: list[HoldKind] = Field(default_factory=list[HoldKind], max_length=len(HoldKind))
    """Holds that do not stand in the way, such as `consent` where that is the reason."""
    approvers: Annotated[
        list[ActorId],
        Field(min_length=2, max_length=REVIEWERS_MAX, examples=[["grace", "lise"]]),
        AfterValidator(_each_once),
    ]
    """Who may approve, with the signal `approval`; whoever asks may not."""
    witnessed_by: ActorId | None = None
    """Who stood beside it when they were taken out."""
    emails: Emails = Field(default_factory=list[EmailAddress])
    """Who is told once they are gone."""
