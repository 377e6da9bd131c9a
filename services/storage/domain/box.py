"""What may happen to the positions of one box: held, occupied, free again.

A submission's positions in a box change together. Which boxes a submission takes is planned in
`allocation`; whether it may at all is the reservation's to say.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from contracts.aggregate import Decision
from contracts.errors import Refusal
from contracts.storage import (
    ContainerNotFound,
    PlacedSample,
    PositionsConfirmed,
    PositionsReleased,
    PositionsReserved,
    PositionsVacated,
    ReservedPosition,
)
from contracts.template import ManifestRow
from contracts.types import ContainerId, SubmissionId
from services.storage.domain.allocation import PlanOutdated
from services.storage.domain.container import ContainerState, Slot
from services.storage.domain.grid import labels, reading_order


def decide_reserve(
    state: ContainerState | None,
    rows: Sequence[ManifestRow],
    *,
    container_id: ContainerId,
    submission_id: SubmissionId,
    expires_at: datetime,
) -> Decision:
    """Hold the first free positions of a box, one for each row; all or none."""
    if state is None:
        return ContainerNotFound(container_id=container_id)
    free = [label for label in labels(state.rows, state.columns) if label not in state.slots]
    if len(free) < len(rows):
        return PlanOutdated(submission_id=submission_id)
    positions = [
        ReservedPosition(
            position=label,
            sample_id=row.sample_id,
            barcode=row.details.barcode,
            sample_type=row.details.sample_type,
        )
        for label, row in zip(free, rows, strict=False)
    ]
    return [
        PositionsReserved(
            container_id=container_id,
            submission_id=submission_id,
            positions=positions,
            expires_at=expires_at,
        )
    ]


def decide_confirm(state: ContainerState | None, *, submission_id: SubmissionId) -> Decision:
    """Let the samples of a submission rest in the positions held for them."""
    held = {
        label: slot for label, slot in slots_of(state, submission_id).items() if not slot.occupied
    }
    if state is None or not held:
        return []
    samples = [
        PlacedSample(
            sample_id=held[label].sample_id, container_id=state.container_id, position=label
        )
        for label in sorted(held, key=reading_order)
    ]
    return [
        PositionsConfirmed(
            container_id=state.container_id, submission_id=submission_id, samples=samples
        )
    ]


def decide_release(
    state: ContainerState | None,
    *,
    submission_id: SubmissionId,
    reason: Literal["released", "expired"],
) -> Decision:
    """Free the positions of a submission: occupied ones too, except where it only expired."""
    freed = [
        label
        for label, slot in slots_of(state, submission_id).items()
        if reason == "released" or not slot.occupied
    ]
    if state is None or not freed:
        return []
    return [
        PositionsReleased(
            container_id=state.container_id,
            submission_id=submission_id,
            positions=sorted(freed, key=reading_order),
            reason=reason,
        )
    ]


def decide_carry(
    state: ContainerState | None,
    *,
    submission_id: SubmissionId,
    leaving: Sequence[PlacedSample],
    reason: Literal["moved", "removed"],
) -> Decision:
    """Let samples leave a box, and those that a transfer brings take the positions held there."""
    if state is None or not all(_rests(state, one) for one in leaving):
        return PlanOutdated(submission_id=submission_id)
    arriving: Decision = ()
    if reason == "moved":
        arriving = decide_confirm(state, submission_id=submission_id)
    if isinstance(arriving, Refusal) or not leaving:
        return arriving
    return [
        PositionsVacated(
            container_id=state.container_id,
            submission_id=submission_id,
            samples=sorted(leaving, key=lambda one: reading_order(one.position)),
            reason=reason,
        ),
        *arriving,
    ]


def _rests(state: ContainerState, placed: PlacedSample) -> bool:
    slot = state.slots.get(placed.position)
    return slot is not None and slot.occupied and slot.sample_id == placed.sample_id


def slots_of(state: ContainerState | None, submission_id: SubmissionId) -> dict[str, Slot]:
    """Give the positions of a box that a submission holds."""
    if state is None:
        return {}
    return {
        label: slot for label, slot in state.slots.items() if slot.submission_id == submission_id
    }
