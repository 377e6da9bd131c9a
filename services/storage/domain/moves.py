"""Moves: what a reservation and its boxes decide together, all or nothing.

A move is made from what was known; the decisions in it look at what is, and refuse where that
differs. The reservation stands first, so that its refusal is the one that counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from contracts.aggregate import Decide
from contracts.storage import ReservationHeld, TransferHeld
from contracts.types import ContainerId, SubmissionId
from services.storage.domain import box, reservation
from services.storage.domain.allocation import BoxShare
from services.storage.domain.container import ContainerState
from services.storage.domain.reservation import ReservationState


@dataclass(frozen=True, slots=True)
class Move:
    """Decisions on one reservation and some boxes."""

    submission_id: SubmissionId
    reservation: Decide[ReservationState]
    boxes: Mapping[ContainerId, Decide[ContainerState]]


def hold(submission_id: SubmissionId, shares: Sequence[BoxShare], expires_at: datetime) -> Move:
    """Hold a position for every row, as planned."""
    held = ReservationHeld(
        submission_id=submission_id,
        boxes=[share.container_id for share in shares],
        positions=sum(len(share.rows) for share in shares),
        expires_at=expires_at,
    )
    return Move(
        submission_id,
        partial(reservation.decide_hold, held=held),
        {
            share.container_id: partial(
                box.decide_reserve,
                rows=share.rows,
                container_id=share.container_id,
                submission_id=submission_id,
                expires_at=expires_at,
            )
            for share in shares
        },
    )


def hold_transfer(
    submission_id: SubmissionId,
    target_id: ContainerId,
    shares: Sequence[BoxShare],
    expires_at: datetime,
) -> Move:
    """Hold a position at the target for every sample of a transfer, as planned."""
    held = TransferHeld(
        submission_id=submission_id,
        target_id=target_id,
        boxes=[share.container_id for share in shares],
        positions=sum(len(share.rows) for share in shares),
        expires_at=expires_at,
    )
    arrival = hold(submission_id, shares, expires_at)
    return Move(submission_id, partial(reservation.decide_hold, held=held), arrival.boxes)


def confirm(submission_id: SubmissionId, boxes: Sequence[ContainerId], now: datetime) -> Move:
    """Let the samples rest where positions are held for them."""
    decide = partial(reservation.decide_confirm, submission_id=submission_id, boxes=boxes, now=now)
    confirmed = partial(box.decide_confirm, submission_id=submission_id)
    return Move(submission_id, decide, dict.fromkeys(boxes, confirmed))


def release(submission_id: SubmissionId, boxes: Sequence[ContainerId]) -> Move:
    """Give back what is held or confirmed; remember it where nothing is."""
    decide = partial(reservation.decide_release, submission_id=submission_id, boxes=boxes)
    freed = partial(box.decide_release, submission_id=submission_id, reason="released")
    return Move(submission_id, decide, dict.fromkeys(boxes, freed))


def expire(submission_id: SubmissionId, boxes: Sequence[ContainerId], now: datetime) -> Move:
    """Give back what is held beyond its time."""
    decide = partial(reservation.decide_expire, submission_id=submission_id, boxes=boxes, now=now)
    freed = partial(box.decide_release, submission_id=submission_id, reason="expired")
    return Move(submission_id, decide, dict.fromkeys(boxes, freed))
