"""Reservations: what one submission holds. It reserves once, and what has ended stays ended.

The reservation is appended together with its boxes, so that compare-and-set on it settles every
race between confirm, release and expiry. A release frees confirmed positions too: a saga whose
confirm had no known outcome undoes it. A release that comes first is remembered, so that a reserve
that comes late is refused.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from contracts.aggregate import Aggregate, Decision
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.storage import (
    ReservationEnded,
    ReservationHeld,
    ReservationLost,
    ReservationOver,
    ReservationView,
    TransferHeld,
    TransferMade,
    WrongReservation,
)
from contracts.types import ContainerId, SubmissionId, Value
from services.storage.domain.allocation import PlanOutdated


class ReservationState(Value):
    """What a submission holds, or that it holds nothing any more."""

    submission_id: SubmissionId
    state: Literal["held", "confirmed", "released", "expired", "moved"]
    transfer: bool = False
    """Whether the samples rest elsewhere, and are to be carried."""
    positions: int = 0
    boxes: tuple[ContainerId, ...] = ()
    expires_at: datetime | None = None
    """While it is held."""


def evolve_reservation(
    state: ReservationState | None, event: Event, _: Entry
) -> ReservationState | None:
    """Fold one event into a reservation."""
    match event:
        case ReservationHeld() | TransferHeld():
            return ReservationState(
                submission_id=event.submission_id,
                state="held",
                transfer=isinstance(event, TransferHeld),
                positions=event.positions,
                boxes=tuple(event.boxes),
                expires_at=event.expires_at,
            )
        case ReservationEnded(state="confirmed" | "moved") if state is not None:
            return state.model_copy(update={"state": event.state, "expires_at": None})
        case ReservationEnded():
            return ReservationState(submission_id=event.submission_id, state=event.state)
        case _:
            return state


RESERVATION = Aggregate("storage", "reservation", ReservationState, evolve_reservation)


def answer_again(state: ReservationState) -> ReservationView | Refusal:
    """Answer a submission that has reserved before: what it holds, or that this is over."""
    if state.state in {"released", "expired"}:
        return ReservationOver(submission_id=state.submission_id, state=state.state)
    return reservation_view(state)


def decide_hold(state: ReservationState | None, held: ReservationHeld | TransferHeld) -> Decision:
    """Hold positions for a submission that never reserved before.

    Where it did, be it with another message a moment ago, nothing of this plan is appended.
    """
    if state is not None:
        return PlanOutdated(submission_id=held.submission_id)
    return [held]


def decide_confirm(
    state: ReservationState | None,
    *,
    submission_id: SubmissionId,
    boxes: Sequence[ContainerId],
    now: datetime,
) -> Decision:
    """Confirm what is held in these boxes; confirmed already is fine."""
    return _settle(state, "confirmed", submission_id=submission_id, boxes=boxes, now=now)


def decide_move(
    state: ReservationState | None,
    *,
    submission_id: SubmissionId,
    boxes: Sequence[ContainerId],
    now: datetime,
) -> Decision:
    """Let the samples of a transfer come to these boxes; there already is fine."""
    return _settle(state, "moved", submission_id=submission_id, boxes=boxes, now=now)


def _settle(
    state: ReservationState | None,
    ending: Literal["confirmed", "moved"],
    *,
    submission_id: SubmissionId,
    boxes: Sequence[ContainerId],
    now: datetime,
) -> Decision:
    if state is None:
        return ReservationLost(submission_id=submission_id, state="unknown")
    if state.state == ending:
        return []
    if state.state == "held" and state.transfer != (ending == "moved"):
        return WrongReservation(
            submission_id=submission_id,
            held_for="transfer" if state.transfer else "arrival",
            wanted_for="transfer" if ending == "moved" else "arrival",
        )
    if state.state != "held":
        return ReservationLost(submission_id=submission_id, state=state.state)
    if is_overdue(state, now):
        return ReservationLost(submission_id=submission_id, state="expired")
    return _end(submission_id, ending, state=state, boxes=boxes)


def decide_release(
    state: ReservationState | None,
    *,
    submission_id: SubmissionId,
    boxes: Sequence[ContainerId],
) -> Decision:
    """Release what is held or confirmed in these boxes; where nothing is, remember the release."""
    if state is not None and state.state in {"released", "expired"}:
        return []
    if state is not None and state.state == "moved":
        return TransferMade(submission_id=submission_id)
    return _end(submission_id, "released", state=state, boxes=boxes)


def decide_expire(
    state: ReservationState | None,
    *,
    submission_id: SubmissionId,
    boxes: Sequence[ContainerId],
    now: datetime,
) -> Decision:
    """Let a reservation that is held beyond its time expire."""
    if state is None or not is_overdue(state, now):
        return PlanOutdated(submission_id=submission_id)
    return _end(submission_id, "expired", state=state, boxes=boxes)


def _end(
    submission_id: SubmissionId,
    ending: Literal["confirmed", "released", "expired", "moved"],
    *,
    state: ReservationState | None,
    boxes: Sequence[ContainerId],
) -> Decision:
    # The boxes were looked up before: if the submission reserved since, they are not all.
    if state is not None and state.boxes != tuple(boxes):
        return PlanOutdated(submission_id=submission_id)
    return [ReservationEnded(submission_id=submission_id, state=ending)]


def is_overdue(state: ReservationState, now: datetime) -> bool:
    """Say whether a reservation is held beyond its time."""
    return state.state == "held" and state.expires_at is not None and state.expires_at <= now


def reservation_view(state: ReservationState) -> ReservationView:
    """Show a reservation."""
    return ReservationView(
        submission_id=state.submission_id,
        state=state.state,
        positions=state.positions,
        boxes=list(state.boxes),
        expires_at=state.expires_at,
    )
