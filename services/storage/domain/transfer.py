"""Whether samples may be carried to a place: they rest somewhere, it fits them, there is room.

Planned from the inventory as it is; as with arrivals, the boxes decide.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from contracts.errors import Refusal
from contracts.storage import (
    CARRIED_MAX,
    Handover,
    SamplesUnplaced,
    TargetFull,
    TemperatureOff,
    TooManyCarried,
    ZoneUnfit,
)
from contracts.template import ManifestRow
from contracts.types import Celsius, SampleId, SampleType, SubmissionId, Zone
from services.storage.domain.allocation import BoxShare, PlanOutdated, refuse_repeated, share_out
from services.storage.domain.container import ContainerState
from services.storage.domain.inventory import Inventory

ALLOWED_CELSIUS: Mapping[Zone, tuple[Decimal, Decimal]] = {
    Zone.ULTRA_LOW: (Decimal(-87), Decimal(-73)),
    Zone.FROZEN: (Decimal(-27), Decimal(-13)),
    Zone.REFRIGERATED: (Decimal(0), Decimal(10)),
    Zone.ROOM: (Decimal(16), Decimal(27)),
    Zone.INCUBATED: (Decimal(33), Decimal(41)),
}
"""Lowest and highest temperature at which a zone is as it should be: its range, give or take 2."""


def plan_transfer(
    inventory: Inventory,
    target: ContainerState,
    submission_id: SubmissionId,
    rows: Sequence[ManifestRow],
    *,
    allow_colder: bool,
) -> list[BoxShare] | Refusal:
    """Find room at the target for every sample, or say what is in the way."""
    if inventory.samples_of(submission_id):
        # A twin of the command was first: see `allocation.plan`.
        return PlanOutdated(submission_id=submission_id)
    if len(rows) > CARRIED_MAX:
        return TooManyCarried(count=len(rows), count_max=CARRIED_MAX)
    refusal = (
        refuse_repeated(rows)
        or _refuse_unplaced(inventory, target, rows)
        or _refuse_zone(target, rows, allow_colder=allow_colder)
    )
    if refusal is not None:
        return refusal
    boxes = [box for box in inventory.boxes_within(target.container_id) if box.free > 0]
    free = sum(box.free for box in boxes)
    if free < len(rows):
        return TargetFull(path=target.path, needed=len(rows), free=free)
    return share_out({target.zone: boxes}, {target.zone: list(rows)})


def _refuse_unplaced(
    inventory: Inventory, target: ContainerState, rows: Sequence[ManifestRow]
) -> Refusal | None:
    there = {box.container_id for box in inventory.boxes_within(target.container_id)}
    problems: list[tuple[SampleId, str, str]] = []
    for row in rows:
        place = inventory.resting_place(row.sample_id)
        if inventory.is_awaited(row.sample_id):
            problems.append((row.sample_id, *AWAITED))
        elif place is None:
            problems.append((row.sample_id, *NOWHERE))
        elif place.container_id in there:
            problems.append((row.sample_id, f"lies in {place.path} already.", "Leave it out."))
    return unplaced(problems)


AWAITED = "is being put elsewhere by another process.", "Wait until that one is over."
NOWHERE = "rests in no position.", "Store it first, or leave it out."


def unplaced(problems: Sequence[tuple[SampleId, str, str]]) -> SamplesUnplaced | None:
    """Refuse samples that are not where they can be taken from; None where there are none."""
    if not problems:
        return None
    sample_id, problem, remedy = problems[0]
    return SamplesUnplaced(sample_id=sample_id, count=len(problems), problem=problem, remedy=remedy)


def _refuse_zone(
    target: ContainerState, rows: Sequence[ManifestRow], *, allow_colder: bool
) -> Refusal | None:
    unfit = [row for row in rows if not may_lie(row, target.zone, allow_colder=allow_colder)]
    if not unfit:
        return None
    return ZoneUnfit(
        path=target.path,
        zone=target.zone,
        sample_id=unfit[0].sample_id,
        needed=unfit[0].details.zone,
        count=len(unfit),
    )


def may_lie(row: ManifestRow, zone: Zone, *, allow_colder: bool) -> bool:
    """Say whether a sample may lie at a temperature: its own, or colder if it is frozen anyway.

    Freezing what was not frozen, or cooling cells further, would harm it.
    """
    needed = row.details.zone
    frozen = needed is Zone.FROZEN and row.details.sample_type is not SampleType.CELL_CULTURE
    return zone is needed or (allow_colder and frozen and zone is Zone.ULTRA_LOW)


def refuse_temperature(path: str, zone: Zone, celsius: Celsius | None) -> TemperatureOff | None:
    """Refuse a place where something else was read than its zone allows."""
    lowest, highest = ALLOWED_CELSIUS[zone]
    if celsius is None or lowest <= celsius <= highest:
        return None
    return TemperatureOff(
        path=path,
        zone=zone,
        temperature_celsius=celsius,
        lowest_celsius=lowest,
        highest_celsius=highest,
    )


def to_move(inventory: Inventory, submission_id: SubmissionId) -> list[Handover] | Refusal:
    """Say from where to where each sample of a transfer goes, as things lie now."""
    handovers = [
        Handover(
            sample_id=sample_id,
            origin=inventory.resting_place(sample_id),
            target=inventory.coming_place(submission_id, sample_id),
        )
        for sample_id in inventory.samples_of(submission_id)
    ]
    lost = [(one.sample_id, *NOWHERE) for one in handovers if one.origin is None]
    return unplaced(lost) or handovers


def to_remove(inventory: Inventory, sample_ids: Sequence[SampleId]) -> list[Handover] | Refusal:
    """Say from where each sample is taken out; those that lie nowhere are left out."""
    awaited = [(one, *AWAITED) for one in sample_ids if inventory.is_awaited(one)]
    if refusal := unplaced(awaited):
        return refusal
    places = {one: inventory.resting_place(one) for one in sample_ids}
    return [
        Handover(sample_id=one, origin=place, target=None)
        for one, place in places.items()
        if place is not None
    ]
