"""What a sample is and may become, and what a barcode claim is: pure decisions over pure folds.

The states and steps are the laboratory's own (see `docs/glossary.md`, "sample status"). Nothing
here reads a clock, makes an id or talks to anyone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.errors import Conflict, Refusal
from contracts.message import Event
from contracts.sample import (
    BarcodeClaimed,
    BarcodeReleased,
    BarcodeTaken,
    ChangeSampleStatus,
    SampleDetails,
    SampleNotFound,
    SampleRegistered,
    SampleStatus,
    SampleStatusChanged,
    SampleWithdrawn,
    SubmissionClosed,
    SubmissionRegistered,
    SubmissionWithdrawn,
    TransitionRefused,
)
from contracts.types import ActorId, Barcode, SampleId, SubmissionId, UtcTime, View

NEXT: Mapping[SampleStatus, frozenset[SampleStatus]] = {
    SampleStatus.PENDING: frozenset(
        {SampleStatus.VALIDATED, SampleStatus.REJECTED, SampleStatus.FAILED, SampleStatus.DISCARDED}
    ),
    SampleStatus.VALIDATED: frozenset(
        {
            SampleStatus.PENDING,
            SampleStatus.IN_STORAGE,
            SampleStatus.IN_SEQUENCING,
            SampleStatus.REJECTED,
            SampleStatus.FAILED,
            SampleStatus.DISCARDED,
        }
    ),
    SampleStatus.IN_STORAGE: frozenset(
        {
            SampleStatus.VALIDATED,
            SampleStatus.IN_SEQUENCING,
            SampleStatus.REJECTED,
            SampleStatus.FAILED,
            SampleStatus.DISCARDED,
        }
    ),
    SampleStatus.IN_SEQUENCING: frozenset(
        {SampleStatus.COMPLETED, SampleStatus.FAILED, SampleStatus.IN_STORAGE}
    ),
    SampleStatus.COMPLETED: frozenset({SampleStatus.ARCHIVED, SampleStatus.DISCARDED}),
    SampleStatus.FAILED: frozenset(
        {SampleStatus.PENDING, SampleStatus.DISCARDED, SampleStatus.ARCHIVED}
    ),
    SampleStatus.REJECTED: frozenset({SampleStatus.PENDING, SampleStatus.DISCARDED}),
    SampleStatus.DISCARDED: frozenset({SampleStatus.ARCHIVED}),
    SampleStatus.ARCHIVED: frozenset(),
    SampleStatus.WITHDRAWN: frozenset(),
}
"""What a person may make of a sample; withdrawal is the compensation's own, never asked for."""


class Sample(View):
    """A sample, folded from its log."""

    sample_id: SampleId
    details: SampleDetails
    status: SampleStatus
    submission_id: SubmissionId | None
    registered_at: UtcTime
    registered_by: ActorId
    registered_seq: int
    """Where its registration stands in the log: what lists are ordered by."""
    changed_at: UtcTime


class BarcodeClaim(View):
    """Who bears a barcode; nobody where `holder` is None."""

    barcode: Barcode
    holder: SampleId | None
    claimed_at: UtcTime


class Submission(View):
    """What a submission has registered so far; withdrawn for good once it is."""

    submission_id: SubmissionId
    samples: int
    withdrawn: bool


def evolve_sample(sample: Sample | None, event: Event, entry: Entry) -> Sample | None:
    """Fold one event into a sample."""
    match event:
        case SampleRegistered():
            return Sample(
                sample_id=event.sample_id,
                details=event.details,
                status=event.status,
                submission_id=event.submission_id,
                registered_at=entry.at,
                registered_by=entry.actor,
                registered_seq=entry.seq,
                changed_at=entry.at,
            )
        case SampleStatusChanged() if sample is not None:
            return sample.model_copy(update={"status": event.new_status, "changed_at": entry.at})
        case SampleWithdrawn() if sample is not None:
            return sample.model_copy(
                update={"status": SampleStatus.WITHDRAWN, "changed_at": entry.at}
            )
        case _:
            return sample


def evolve_claim(claim: BarcodeClaim | None, event: Event, entry: Entry) -> BarcodeClaim | None:
    """Fold one event into a barcode's claim."""
    match event:
        case BarcodeClaimed():
            return BarcodeClaim(barcode=event.barcode, holder=event.sample_id, claimed_at=entry.at)
        case BarcodeReleased() if claim is not None and claim.holder == event.sample_id:
            return claim.model_copy(update={"holder": None})
        case _:
            return claim


def evolve_submission(
    submission: Submission | None, event: Event, entry: Entry
) -> Submission | None:
    """Fold one event into a submission."""
    del entry
    match event:
        case SubmissionRegistered():
            before = submission.samples if submission else 0
            return Submission(
                submission_id=event.submission_id, samples=before + event.samples, withdrawn=False
            )
        case SubmissionWithdrawn():
            before = submission.samples if submission else 0
            return Submission(submission_id=event.submission_id, samples=before, withdrawn=True)
        case _:
            return submission


SAMPLE = Aggregate("sample", "sample", Sample, evolve_sample)
BARCODE = Aggregate("sample", "barcode", BarcodeClaim, evolve_claim)
SUBMISSION = Aggregate("sample", "submission", Submission, evolve_submission)


class ClaimUndecided(Conflict):
    """A barcode is claimed by a registration that is still under way."""


def claim(
    current: BarcodeClaim | None,
    barcode: Barcode,
    sample_id: SampleId,
    *,
    holder_exists: bool,
    now: datetime,
    grace: timedelta,
) -> Sequence[Event] | Refusal:
    """Let a sample bear a barcode, unless another one does; an old claim of its own is renewed.

    A claim whose sample never came (its registration was given up) may be taken over after the
    grace.

    Raises:
        ClaimUndecided: within the grace nobody can tell yet.
    """
    claimed = BarcodeClaimed(barcode=barcode, sample_id=sample_id)
    if current is None or current.holder is None:
        return [claimed]
    if current.holder == sample_id:
        return [] if fresh(current, now, grace) else [claimed]
    if holder_exists:
        return BarcodeTaken(barcode=barcode, sample_id=current.holder)
    if now - current.claimed_at < grace:
        raise ClaimUndecided(f"barcode {barcode} is being registered for sample {current.holder}")
    return [claimed]


def fresh(current: BarcodeClaim, now: datetime, grace: timedelta) -> bool:
    """Say whether a sample may still be registered on a claim: well before another may take it."""
    return now - current.claimed_at < grace / 2


def release(current: BarcodeClaim | None, sample_id: SampleId) -> Sequence[Event]:
    """Free a barcode, if it is this sample's."""
    if current is None or current.holder != sample_id:
        return []
    return [BarcodeReleased(barcode=current.barcode, sample_id=sample_id)]


def register(
    current: Sample | None,
    sample_id: SampleId,
    details: SampleDetails,
    *,
    submission_id: SubmissionId | None = None,
    status: SampleStatus = SampleStatus.PENDING,
) -> Sequence[Event]:
    """Accept a sample; one that was accepted already under this id stays as it is."""
    if current is not None:
        return []
    return [
        SampleRegistered(
            sample_id=sample_id, details=details, submission_id=submission_id, status=status
        )
    ]


def change_status(current: Sample | None, command: ChangeSampleStatus) -> Sequence[Event] | Refusal:
    """Move a sample along its life."""
    if current is None:
        return SampleNotFound(key=str(command.sample_id))
    return _step(current, command.status, command.reason)


def mark_stored(current: Sample | None, sample_id: SampleId) -> Sequence[Event] | Refusal:
    """Record that a sample rests in its position; where life went on meanwhile, nothing changes."""
    if current is None:
        return SampleNotFound(key=str(sample_id))
    if current.status is not SampleStatus.VALIDATED:
        return []
    return _step(current, SampleStatus.IN_STORAGE, "stored with its submission")


def register_part(
    current: Submission | None, submission_id: SubmissionId, *, first_row: int, samples: int
) -> Sequence[Event] | Refusal:
    """Let a submission register some of its rows, unless it was withdrawn."""
    if current is not None and current.withdrawn:
        return SubmissionClosed(submission_id=submission_id)
    return [SubmissionRegistered(submission_id=submission_id, first_row=first_row, samples=samples)]


def withdraw_submission(current: Submission | None, submission_id: SubmissionId) -> Sequence[Event]:
    """Close a submission for good, so that a registration which comes late finds it closed."""
    if current is not None and current.withdrawn:
        return []
    return [SubmissionWithdrawn(submission_id=submission_id)]


def withdraw(current: Sample | None) -> Sequence[Event]:
    """Take a sample of a failed submission back; one that never came, or is gone, stays so."""
    if current is None or current.status is SampleStatus.WITHDRAWN or current.submission_id is None:
        return []
    return [
        SampleWithdrawn(
            sample_id=current.sample_id,
            barcode=current.details.barcode,
            submission_id=current.submission_id,
        )
    ]


def _step(sample: Sample, status: SampleStatus, reason: str) -> Sequence[Event] | Refusal:
    allowed = NEXT[sample.status]
    if status not in allowed:
        return TransitionRefused(
            sample_id=sample.sample_id,
            old_status=sample.status,
            new_status=status,
            allowed=", ".join(sorted(allowed)) or "nothing more",
        )
    return [
        SampleStatusChanged(
            sample_id=sample.sample_id,
            barcode=sample.details.barcode,
            old_status=sample.status,
            new_status=status,
            reason=reason,
        )
    ]
