"""A saga as people and clients see it: where it stands, and how it came there.

It reads what was decided and decides nothing.
"""

from collections.abc import Iterable
from datetime import datetime

from contracts.entry import Entry
from contracts.message import Event
from contracts.transaction import (
    SignalView,
    StepStatus,
    StepView,
    TransactionStatus,
    TransactionView,
    TransitionView,
)
from contracts.types import TransactionId
from sagas.engine.state import SagaState, evolve
from sagas.engine.step_state import StepState


def view(state: SagaState, *, seq: int, transitions: int) -> TransactionView:
    """Show where a saga stands; `seq` is the stream sequence of its newest entry."""
    # Of one that failed, other steps may be under way, whose clocks run.
    closed = state.status.ended and state.status is not TransactionStatus.FAILED
    stands_still = closed or state.status is TransactionStatus.PAUSED
    return TransactionView(
        transaction_id=TransactionId(state.saga_id),
        saga_type=state.saga_type,
        definition_version=state.version,
        definition_hash=state.definition_hash,
        status=shown_status(state),
        steps=[_step_view(name, step) for name, step in state.steps.items()],
        actor=state.actor,
        correlation=state.correlation,
        started_at=state.started_at,
        changed_at=state.changed_at,
        ended_at=state.ended_at,
        failure=state.failure,
        result={name: step.output for name, step in state.steps.items() if step.output is not None},
        awaits=[
            _signal_view(name, step)
            for name, step in state.steps.items()
            if step.status is StepStatus.AWAITING
        ],
        attributes=state.attributes,
        deadline=state.deadline,
        due_at=None if stands_still else _due_at(state),
        parent_id=state.parent.transaction_id if state.parent else None,
        forked_from=state.forked_from.transaction_id if state.forked_from else None,
        transitions=transitions,
        seq=seq,
    )


def shown_status(state: SagaState) -> TransactionStatus:
    """Say how a saga stands, as people see it: `awaiting` where it waits for signals alone."""
    awaited = {step.status for step in state.steps.values() if step.outstanding}
    if state.status is TransactionStatus.RUNNING and awaited == {StepStatus.AWAITING}:
        return TransactionStatus.AWAITING
    return state.status


def _due_at(state: SagaState) -> datetime | None:
    times = [step.due_at for step in state.steps.values() if step.due_at is not None]
    if state.timer is not None and state.deadline is not None:
        times.append(state.deadline)
    return min(times, default=None)


def _signal_view(name: str, step: StepState) -> SignalView:
    return SignalView(
        signal=step.signal or "",
        step=name,
        needs=step.needs,
        given_by=list(step.given_by),
        allowed=None if step.allowed is None else list(step.allowed),
        until=step.due_at,
    )


def timeline(entries: Iterable[Entry]) -> list[TransitionView]:
    """Show every transition, oldest first, each with the status that it led to."""
    shown: list[TransitionView] = []
    state: SagaState | None = None
    for entry in entries:
        for event in entry.events:
            state = evolve(state, event, entry)
        if state is not None:
            shown.append(_transition_view(entry, state))
    return shown


def _step_view(name: str, step: StepState) -> StepView:
    return StepView(
        name=name,
        status=step.status,
        attempts=step.attempts,
        asked_at=step.asked_at,
        ended_at=step.ended_at,
        detail=step.detail,
    )


def _transition_view(entry: Entry, state: SagaState) -> TransitionView:
    return TransitionView(
        seq=entry.seq,
        number=entry.number,
        at=entry.at,
        cause=entry.cause,
        actor=entry.actor,
        events=[_event_view(event) for event in entry.events],
        commands=list(entry.effects.get("commands", ())),
        timers=list(entry.effects.get("timers", ())),
        status=shown_status(state),
        trace_id=_trace_id(entry.traceparent),
        hash=entry.hash,
    )


def _event_view(event: Event) -> dict[str, object]:
    contract = event.contract
    return {
        "type": contract.type,
        "version": contract.version,
        "data": event.model_dump(mode="json"),
    }


def _trace_id(traceparent: str | None) -> str | None:
    # W3C trace context: version-trace-parent-flags.
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - four parts, as above
