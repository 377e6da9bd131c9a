"""A saga as people and clients see it: where it stands, and how it came there.

It reads what was decided and decides nothing.
"""

from collections.abc import Iterable

from contracts.entry import Entry
from contracts.message import Event
from contracts.transaction import StepView, TransactionView, TransitionView
from contracts.types import TransactionId
from sagas.engine.state import SagaState, StepState, evolve


def view(state: SagaState, *, seq: int, transitions: int) -> TransactionView:
    """Show where a saga stands; `seq` is the stream sequence of its newest entry."""
    return TransactionView(
        transaction_id=TransactionId(state.saga_id),
        saga_type=state.saga_type,
        definition_version=state.version,
        status=state.status,
        steps=[_step_view(name, step) for name, step in state.steps.items()],
        actor=state.actor,
        correlation=state.correlation,
        started_at=state.started_at,
        changed_at=state.changed_at,
        ended_at=state.ended_at,
        failure=state.failure,
        result={name: step.output for name, step in state.steps.items() if step.output is not None},
        transitions=transitions,
        seq=seq,
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
        status=state.status,
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
