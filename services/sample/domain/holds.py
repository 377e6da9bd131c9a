"""Holds: what keeps samples from being used, and which samples one hold lies on.

The hold is an aggregate of its own beside the samples, appended together with them: it knows them
all, so that it is released by its name alone, and it ends for good, so that a hold which comes
after its release finds it ended.
"""

from collections.abc import Sequence
from typing import Literal

from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.sample import (
    HoldEnded,
    HoldId,
    HoldNarrowed,
    HoldOver,
    HoldPlaced,
    HoldSamples,
    SampleHeld,
    SampleHoldReleased,
    SampleNotFound,
    SampleOnHold,
)
from contracts.types import SampleId, View
from services.sample.domain.sample import Sample

Ending = Literal["released", "discarded"]


class Hold(View):
    """One hold: the samples that it lies on, or lay on when it ended."""

    hold_id: HoldId
    sample_ids: tuple[SampleId, ...] = ()
    ended: Ending | None = None


def evolve_hold(hold: Hold | None, event: Event, _: Entry) -> Hold | None:
    """Fold one event into a hold."""
    match event:
        case HoldPlaced():
            before = hold.sample_ids if hold else ()
            return Hold(hold_id=event.hold_id, sample_ids=(*before, *event.sample_ids))
        case HoldNarrowed() if hold is not None:
            freed = set(event.sample_ids)
            left = tuple(one for one in hold.sample_ids if one not in freed)
            return hold.model_copy(update={"sample_ids": left})
        case HoldEnded():
            known = hold or Hold(hold_id=event.hold_id)
            return known.model_copy(update={"ended": event.how})
        case _:
            return hold


HOLD = Aggregate("sample", "hold", Hold, evolve_hold)


def place(
    current: Hold | None, command: HoldSamples, sample_ids: Sequence[SampleId]
) -> Sequence[Event] | Refusal:
    """Let a hold lie on more samples, unless it ended."""
    if current is not None and current.ended is not None:
        return HoldOver(hold_id=command.hold_id, how=current.ended)
    known = set(current.sample_ids) if current else set[SampleId]()
    added = [one for one in sample_ids if one not in known]
    if not added:
        return []
    return [
        HoldPlaced(
            hold_id=command.hold_id,
            kind=command.kind,
            reason=command.reason,
            sample_ids=added,
        )
    ]


def narrow(
    current: Hold | None, hold_id: HoldId, sample_ids: Sequence[SampleId]
) -> Sequence[Event]:
    """Let a hold lie on some samples no more."""
    named = set(sample_ids)
    freed = [one for one in current.sample_ids if one in named] if current else []
    return [HoldNarrowed(hold_id=hold_id, sample_ids=freed)] if freed else []


def end(current: Hold | None, hold_id: HoldId, how: Ending) -> Sequence[Event] | Refusal:
    """End a hold for good, whether it was placed or not; that its samples are gone stays so."""
    if current is None or current.ended is None:
        return [HoldEnded(hold_id=hold_id, how=how)]
    if how == "discarded" and current.ended == "released":
        return HoldOver(hold_id=hold_id, how=current.ended)
    return []


def hold_sample(
    current: Sample | None, sample_id: SampleId, command: HoldSamples
) -> Sequence[Event] | Refusal:
    """Put a hold on a sample; one that is gone needs none."""
    if current is None:
        return SampleNotFound(key=str(sample_id))
    if current.gone or current.hold(command.hold_id) is not None:
        return []
    return [
        SampleHeld(
            sample_id=sample_id,
            barcode=current.details.barcode,
            hold_id=command.hold_id,
            kind=command.kind,
            reason=command.reason,
        )
    ]


def release_from(current: Sample | None, hold_id: HoldId, reason: str) -> Sequence[Event]:
    """Take a hold from a sample; fine where it does not lie on it."""
    placed = current.hold(hold_id) if current is not None else None
    if current is None or placed is None:
        return []
    return [
        SampleHoldReleased(
            sample_id=current.sample_id,
            barcode=current.details.barcode,
            hold_id=hold_id,
            kind=placed.kind,
            reason=reason,
        )
    ]


def refuse_use(sample: Sample) -> SampleOnHold | None:
    """Say which hold keeps a sample from being used, the oldest where there are several."""
    if not sample.holds:
        return None
    oldest = sample.holds[0]
    return SampleOnHold(
        sample_id=sample.sample_id,
        hold_id=oldest.hold_id,
        kind=oldest.kind,
        reason=oldest.reason,
    )
