"""Plan which boxes a submission takes: which rows go where, from the inventory as it is.

Deterministic: partly used boxes first, then by path, and each box row by row. A plan is a proposal;
the boxes decide, and a plan that is out of date is made again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.errors import FieldError, InvalidInput, Refusal
from contracts.storage import NoRoom, SampleHasPosition, TooScattered
from contracts.template import ManifestRow
from contracts.types import ContainerId, SubmissionId, Zone
from services.storage.domain.inventory import BoxRecord, Inventory

BOXES_MAX = 999
"""Boxes of one reservation: with the reservation itself they are appended in one batch of 1,000."""


class PlanOutdated(
    Refusal,
    code="storage.plan_outdated",
    status=409,
    says="What was planned for submission {submission_id} is out of date. Plan again.",
):
    """Others were first since the plan was made. Never an answer: the plan is made again."""

    submission_id: SubmissionId


@dataclass(frozen=True, slots=True)
class BoxShare:
    """The rows that go into one box."""

    container_id: ContainerId
    rows: tuple[ManifestRow, ...]


def plan(
    inventory: Inventory, submission_id: SubmissionId, rows: Sequence[ManifestRow]
) -> list[BoxShare] | Refusal:
    """Find room for every row, each at its own temperature; or say what is in the way."""
    if inventory.samples_of(submission_id):
        # A twin of the command was first: neither its samples nor its room are in anyone's way.
        return PlanOutdated(submission_id=submission_id)
    if refusal := refuse_repeated(rows) or _refuse_placed(inventory, rows):
        return refusal
    by_zone: dict[Zone, list[ManifestRow]] = {}
    for row in rows:
        by_zone.setdefault(row.details.zone, []).append(row)
    boxes = {zone: inventory.boxes_at(zone) for zone in by_zone}
    for zone, of_zone in by_zone.items():
        free = sum(box.free for box in boxes[zone])
        if free < len(of_zone):
            return NoRoom(zone=zone, needed=len(of_zone), free=free)
    return _plan_within_bounds(boxes, by_zone)


def refuse_repeated(rows: Sequence[ManifestRow]) -> Refusal | None:
    """Refuse rows in which a sample stands more than once."""
    for sample_id, times in Counter(row.sample_id for row in rows).items():
        if times > 1:
            error = FieldError(
                field="rows",
                value=str(sample_id),
                problem=f"The sample stands in {times} rows.",
                remedy="Give every sample one row.",
            )
            return InvalidInput(count=1, errors=[error])
    return None


def _refuse_placed(inventory: Inventory, rows: Sequence[ManifestRow]) -> Refusal | None:
    for row in rows:
        placed = inventory.find(row.sample_id)
        if placed is not None:
            return SampleHasPosition(
                sample_id=row.sample_id, path=placed.path, position=placed.position
            )
    return None


def _plan_within_bounds(
    boxes: dict[Zone, list[BoxRecord]], by_zone: dict[Zone, list[ManifestRow]]
) -> list[BoxShare] | Refusal:
    tidy = share_out(boxes, by_zone)
    if len(tidy) <= BOXES_MAX:
        return tidy
    # Many nearly full boxes: tidiness gives way to the bound.
    roomy = {zone: sorted(of_zone, key=lambda box: -box.free) for zone, of_zone in boxes.items()}
    fewest = share_out(roomy, by_zone, partly_used_first=False)
    if len(fewest) <= BOXES_MAX:
        return fewest
    return TooScattered(boxes=len(fewest), boxes_max=BOXES_MAX)


def share_out(
    boxes: dict[Zone, list[BoxRecord]],
    by_zone: dict[Zone, list[ManifestRow]],
    *,
    partly_used_first: bool = True,
) -> list[BoxShare]:
    """Give rows to boxes that have room for them, box by box."""
    shares: list[BoxShare] = []
    for zone, rows in by_zone.items():
        order = boxes[zone]
        if partly_used_first:
            order = sorted(order, key=lambda box: not box.taken)
        start = 0
        for box in order:
            if start == len(rows):
                break
            share = rows[start : start + box.free]
            shares.append(BoxShare(box.container_id, tuple(share)))
            start += len(share)
    return shares
