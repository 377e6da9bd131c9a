"""Handovers: what one process carried, from where and to where. It carries once.

Appended together with the boxes that samples leave and enter, so that what was carried and where
things lie are never told differently; and kept, so that a process that asks again gets the same
answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from contracts.aggregate import Aggregate, Decide, Decision
from contracts.entry import Entry
from contracts.message import Event
from contracts.storage import (
    Handover,
    MoveSamples,
    PlacedSample,
    RemoveSamples,
    SamplesMoved,
    SamplesRemoved,
)
from contracts.types import ActorId, ContainerId, SubmissionId, UtcTime, Value
from services.storage.domain import box, reservation
from services.storage.domain.allocation import PlanOutdated
from services.storage.domain.container import ContainerState
from services.storage.domain.reservation import ReservationState


class HandoverState(Value):
    """What a process carried."""

    submission_id: SubmissionId
    handovers: tuple[Handover, ...]
    carried_at: UtcTime
    carried_by: ActorId


def evolve_handover(
    state: HandoverState | None, event: Event, entry: Entry
) -> HandoverState | None:
    """Fold one event into a handover."""
    if isinstance(event, SamplesMoved | SamplesRemoved):
        return HandoverState(
            submission_id=event.submission_id,
            handovers=tuple(event.handovers),
            carried_at=entry.at,
            carried_by=entry.actor,
        )
    return state


HANDOVER = Aggregate("storage", "handover", HandoverState, evolve_handover)


def decide_handover(
    state: HandoverState | None, carried: SamplesMoved | SamplesRemoved
) -> Decision:
    """Record what was carried by a process that never carried before.

    Where it did, be it with another message a moment ago, nothing of this plan is appended: the
    samples lie elsewhere now, and would be taken from there.
    """
    if state is not None:
        return PlanOutdated(submission_id=carried.submission_id)
    return [carried]


@dataclass(frozen=True, slots=True)
class Carry:
    """Decisions on one handover, the reservation of a transfer, and some boxes."""

    submission_id: SubmissionId
    handover: Decide[HandoverState]
    reservation: Decide[ReservationState] | None
    """None where samples are taken out for good."""
    boxes: Mapping[ContainerId, Decide[ContainerState]]


def move(
    command: MoveSamples,
    handovers: Sequence[Handover],
    boxes: Sequence[ContainerId],
    now: datetime,
) -> Carry:
    """Carry samples into the positions that are held for them in these boxes."""
    carried = SamplesMoved(
        submission_id=command.submission_id,
        handovers=list(handovers),
        reason=command.reason,
        witnessed_by=command.witnessed_by,
        temperature_celsius=command.temperature_celsius,
    )
    return Carry(
        command.submission_id,
        partial(decide_handover, carried=carried),
        partial(reservation.decide_move, submission_id=command.submission_id, boxes=boxes, now=now),
        _boxes(command.submission_id, handovers, "moved", also=boxes),
    )


def remove(command: RemoveSamples, handovers: Sequence[Handover]) -> Carry:
    """Take samples out for good."""
    carried = SamplesRemoved(
        submission_id=command.submission_id,
        handovers=list(handovers),
        reason=command.reason,
        witnessed_by=command.witnessed_by,
    )
    return Carry(
        command.submission_id,
        partial(decide_handover, carried=carried),
        None,
        _boxes(command.submission_id, handovers, "removed", also=()),
    )


def _boxes(
    submission_id: SubmissionId,
    handovers: Sequence[Handover],
    reason: Literal["moved", "removed"],
    *,
    also: Sequence[ContainerId],
) -> dict[ContainerId, Decide[ContainerState]]:
    leaving: dict[ContainerId, list[PlacedSample]] = {key: [] for key in also}
    for one in handovers:
        if one.origin is not None:
            leaving.setdefault(one.origin.container_id, []).append(
                PlacedSample(
                    sample_id=one.sample_id,
                    container_id=one.origin.container_id,
                    position=one.origin.position,
                )
            )
    return {
        key: partial(box.decide_carry, submission_id=submission_id, leaving=samples, reason=reason)
        for key, samples in leaving.items()
    }
