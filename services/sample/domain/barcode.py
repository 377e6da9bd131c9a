"""Who bears a barcode: an aggregate of its own, so that no two samples ever bear the same one."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.errors import Conflict, Refusal
from contracts.message import Event
from contracts.sample import BarcodeClaimed, BarcodeReleased, BarcodeTaken
from contracts.types import Barcode, SampleId, UtcTime, View


class BarcodeClaim(View):
    """Who bears a barcode; nobody where `holder` is None."""

    barcode: Barcode
    holder: SampleId | None
    claimed_at: UtcTime


def evolve_claim(claim: BarcodeClaim | None, event: Event, entry: Entry) -> BarcodeClaim | None:
    """Fold one event into a barcode's claim."""
    match event:
        case BarcodeClaimed():
            return BarcodeClaim(barcode=event.barcode, holder=event.sample_id, claimed_at=entry.at)
        case BarcodeReleased() if claim is not None and claim.holder == event.sample_id:
            return claim.model_copy(update={"holder": None})
        case _:
            return claim


BARCODE = Aggregate("sample", "barcode", BarcodeClaim, evolve_claim)


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
