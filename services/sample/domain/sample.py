"""A sample, folded from its log: what it is, where it stands, what holds it, what it was made of.

What may be decided on it stands in the modules beside this one.
"""

from decimal import Decimal

from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.message import Event
from contracts.sample import (
    CustodyTransferred,
    HoldId,
    HoldView,
    MaterialTaken,
    SampleDerived,
    SampleDetails,
    SampleDisposed,
    SampleHeld,
    SampleHoldReleased,
    SampleRegistered,
    SampleStatus,
    SampleStatusChanged,
    SampleWithdrawn,
)
from contracts.types import ActorId, SampleId, SubmissionId, UtcTime, View

GONE = frozenset({SampleStatus.WITHDRAWN, SampleStatus.DISPOSED})
"""There is no tube any more, or it never came."""
CARRIED_KEPT = 64
"""Processes that carried a sample, remembered so that each is recorded once; the newest are."""


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
    holds: tuple[HoldView, ...] = ()
    parent_ids: tuple[SampleId, ...] = ()
    child_ids: tuple[SampleId, ...] = ()
    taken_ul: Decimal = Decimal(0)
    """What is known to have gone into others."""
    carried: tuple[SubmissionId, ...] = ()
    """Processes whose handover it knows of, the newest last; at most `CARRIED_KEPT`."""

    @property
    def gone(self) -> bool:
        """Whether there is nothing left to keep, hold or use."""
        return self.status in GONE

    @property
    def remaining_ul(self) -> Decimal | None:
        """What is left of its volume; None where it was never known."""
        known = self.details.volume_ul
        return None if known is None else known - self.taken_ul

    def hold(self, hold_id: HoldId) -> HoldView | None:
        """Give a hold that lies on it."""
        return next((one for one in self.holds if one.hold_id == hold_id), None)


def evolve_sample(sample: Sample | None, event: Event, entry: Entry) -> Sample | None:
    """Fold one event into a sample."""
    if isinstance(event, SampleRegistered):
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
    if sample is None:
        return None
    changed = _life(event) | _holds(sample, event, entry) | _handling(sample, event)
    return sample.model_copy(update={**changed, "changed_at": entry.at}) if changed else sample


Changed = dict[str, object]
"""The fields that an event changes; none where it is of no concern."""


def _life(event: Event) -> Changed:
    match event:
        case SampleStatusChanged():
            return {"status": event.new_status}
        case SampleWithdrawn():
            return {"status": SampleStatus.WITHDRAWN}
        case SampleDisposed():
            return {"status": SampleStatus.DISPOSED, "holds": ()}
        case _:
            return {}


def _holds(sample: Sample, event: Event, entry: Entry) -> Changed:
    match event:
        case SampleHeld():
            return {"holds": (*sample.holds, _placed(event, entry))}
        case SampleHoldReleased():
            others = (one for one in sample.holds if one.hold_id != event.hold_id)
            return {"holds": tuple(others)}
        case _:
            return {}


def _handling(sample: Sample, event: Event) -> Changed:
    match event:
        case SampleDerived():
            return {"parent_ids": tuple(event.parent_ids)}
        case MaterialTaken():
            return {
                "child_ids": (*sample.child_ids, *event.child_ids),
                "taken_ul": sample.taken_ul + event.volume_ul,
            }
        case CustodyTransferred():
            return {"carried": (*sample.carried[1 - CARRIED_KEPT :], event.submission_id)}
        case _:
            return {}


def _placed(event: SampleHeld, entry: Entry) -> HoldView:
    return HoldView(
        hold_id=event.hold_id,
        kind=event.kind,
        reason=event.reason,
        placed_at=entry.at,
        placed_by=entry.actor,
    )


SAMPLE = Aggregate("sample", "sample", Sample, evolve_sample)
