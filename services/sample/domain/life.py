"""The life of a sample: accepted, moved along, taken back, given up, destroyed.

The states and steps are the laboratory's own (see `docs/glossary.md`, "sample status").
"""

from collections.abc import Mapping, Sequence

from contracts.errors import Refusal
from contracts.message import Event
from contracts.sample import (
    ChangeSampleStatus,
    HoldId,
    MarkSamplesDisposed,
    SampleDetails,
    SampleDisposed,
    SampleNotFound,
    SampleRegistered,
    SampleStatus,
    SampleStatusChanged,
    SampleWithdrawn,
    TransitionRefused,
)
from contracts.types import SampleId, SubmissionId
from services.sample.domain.holds import refuse_use, release_from
from services.sample.domain.sample import Sample

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
    SampleStatus.DISPOSED: frozenset(),
}
"""What a person may make of a sample; withdrawal and disposal are sagas' own, never asked for."""

USED = frozenset({SampleStatus.IN_SEQUENCING, SampleStatus.COMPLETED})
"""What a sample on hold cannot become."""
UNDISPOSABLE = frozenset({SampleStatus.WITHDRAWN, SampleStatus.IN_SEQUENCING})
"""What never came has nothing to destroy, and what is in use has to come back first."""


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
    on_hold = refuse_use(current) if command.status in USED else None
    return on_hold or _step(current, command.status, command.reason)


def mark_stored(current: Sample | None, sample_id: SampleId) -> Sequence[Event] | Refusal:
    """Record that a sample rests in its position; where life went on meanwhile, nothing changes."""
    if current is None:
        return SampleNotFound(key=str(sample_id))
    if current.status is not SampleStatus.VALIDATED:
        return []
    return _step(current, SampleStatus.IN_STORAGE, "stored with its submission")


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


def discard(
    current: Sample | None, sample_id: SampleId, reason: str, *, under: HoldId | None
) -> Sequence[Event] | Refusal:
    """Give a sample up by the steps that lead there, and end the hold for which it was looked at.

    One that is given up or gone already stays as it is.
    """
    if current is None:
        return SampleNotFound(key=str(sample_id))
    released: Sequence[Event] = ()
    if under is not None:
        released = release_from(current, under, reason)
    if current.status is SampleStatus.DISCARDED or current.gone:
        return released
    if current.status is SampleStatus.IN_SEQUENCING:
        failed = _changed(current, SampleStatus.FAILED, reason)
        current = current.model_copy(update={"status": SampleStatus.FAILED})
        return [failed, _changed(current, SampleStatus.DISCARDED, reason), *released]
    stepped = _step(current, SampleStatus.DISCARDED, reason)
    return stepped if isinstance(stepped, Refusal) else [*stepped, *released]


def dispose(
    current: Sample | None, sample_id: SampleId, command: MarkSamplesDisposed
) -> Sequence[Event] | Refusal:
    """Record that a sample's material was destroyed; again is nothing."""
    if current is None:
        return SampleNotFound(key=str(sample_id))
    if current.status is SampleStatus.DISPOSED:
        return []
    if current.status in UNDISPOSABLE:
        return _refuse_step(current, SampleStatus.DISPOSED)
    return [
        SampleDisposed(
            sample_id=current.sample_id,
            barcode=current.details.barcode,
            old_status=current.status,
            reason=command.reason,
            approved_by=command.approved_by,
        )
    ]


def _step(sample: Sample, status: SampleStatus, reason: str) -> Sequence[Event] | Refusal:
    if status not in NEXT[sample.status]:
        return _refuse_step(sample, status)
    return [_changed(sample, status, reason)]


def _refuse_step(sample: Sample, status: SampleStatus) -> TransitionRefused:
    return TransitionRefused(
        sample_id=sample.sample_id,
        old_status=sample.status,
        new_status=status,
        allowed=", ".join(sorted(NEXT[sample.status])) or "nothing more",
    )


def _changed(sample: Sample, status: SampleStatus, reason: str) -> SampleStatusChanged:
    return SampleStatusChanged(
        sample_id=sample.sample_id,
        barcode=sample.details.barcode,
        old_status=sample.status,
        new_status=status,
        reason=reason,
    )
