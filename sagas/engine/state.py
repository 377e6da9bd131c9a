"""Where a saga stands, and how each event changes that. The log alone rebuilds it.

No definition is needed to fold a history, so a history can be read when its definition is gone.
Nothing is decided here: an event has happened, whatever it says.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol, cast
from uuid import UUID

from pydantic import TypeAdapter

from contracts.entry import Entry
from contracts.message import Event
from contracts.saga_events import (
    ForkPoint,
    ParentStep,
    SagaMigrated,
    SagaStarted,
    TimersRearmed,
)
from contracts.transaction import (
    Failure,
    TransactionCompensating,
    TransactionEnded,
    TransactionOrdered,
    TransactionOverdue,
    TransactionPaused,
    TransactionReopened,
    TransactionResumed,
    TransactionStarted,
    TransactionStatus,
)
from sagas.engine.making import replacing
from sagas.engine.step_state import CHANGES_OF_STEP, StepState, rearmed

CAUSES_MAX: Final = 64
"""Causes that a state remembers; older duplicates are told by what the saga waits for."""


class Circumstances(Protocol):
    """What a fold needs to know about an entry besides its events."""

    @property
    def at(self) -> datetime: ...  # noqa: D102 - as in Entry
    @property
    def actor(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def cause(self) -> str: ...  # noqa: D102 - as in Entry
    @property
    def correlation(self) -> str: ...  # noqa: D102 - as in Entry


class SagaState(NamedTuple):
    """Where a saga stands."""

    saga_id: UUID
    saga_type: str
    version: int
    actor: str
    correlation: str
    started_at: datetime
    changed_at: datetime
    definition_hash: str = ""
    status: TransactionStatus = TransactionStatus.RUNNING
    back: bool = False
    """Whether it goes back: what was done is undone."""
    cancelled: bool = False
    """Whether it goes back because somebody said so."""
    steps: dict[str, StepState] = {}  # noqa: RUF012 - replaced, never changed, as every part here
    message: dict[str, Any] = {}  # noqa: RUF012 - as above
    """The start message, as JSON."""
    attributes: dict[str, str] = {}  # noqa: RUF012 - as above
    ended_at: datetime | None = None
    failure: Failure | None = None
    causes: tuple[str, ...] = ()
    """The inputs that led here, oldest first, at most `CAUSES_MAX`."""
    parent: ParentStep | None = None
    undo_command: UUID | None = None
    """The parent's command that asked for this saga to be undone."""
    forked_from: ForkPoint | None = None
    timer: str | None = None
    """The timer of the whole saga's deadline."""
    timers: int = 0
    deadline: datetime | None = None
    """Moves by the length of every pause."""
    overdue: bool = False
    paused_at: datetime | None = None

    def output(self, step: str) -> Mapping[str, Any] | None:
        """Give what a step answered; None where it has not."""
        found = self.steps.get(step)
        return None if found is None else found.output


_with = replacing(SagaState)

_STATE: Final = TypeAdapter(SagaState)


def describe_state(state: SagaState | None) -> dict[str, Any]:
    """Write a state as JSON, by name; empty where there is none."""
    if state is None:
        return {}
    plain = cast("list[Any]", _STATE.dump_python(state, mode="json"))
    document = dict(zip(SagaState._fields, plain, strict=True))
    document["steps"] = {
        name: dict(zip(StepState._fields, step, strict=True))
        for name, step in document["steps"].items()
    }
    return document


def fold(entries: Iterable[Entry]) -> SagaState | None:
    """Rebuild the state from a saga's entries, oldest first."""
    state: SagaState | None = None
    for entry in entries:
        for event in entry.events:
            state = evolve(state, event, entry)
    return state


def evolve(state: SagaState | None, event: Event, entry: Circumstances) -> SagaState | None:
    """Give the state after an event. Events of other kinds change nothing."""
    if isinstance(event, TransactionStarted):
        return SagaState(
            saga_id=event.transaction_id,
            saga_type=event.saga_type,
            version=event.definition_version,
            actor=entry.actor,
            correlation=entry.correlation,
            started_at=entry.at,
            changed_at=entry.at,
            causes=(entry.cause,),
        )
    if state is None or type(event) not in _CHANGES:
        return state
    return happen(opened(state, at=entry.at, cause=entry.cause), event, entry.at)


def opened(state: SagaState, *, at: datetime, cause: str) -> SagaState:
    """Give a state that the events of one more entry can happen to: its steps are its own."""
    causes = state.causes
    if causes[-1] != cause:
        causes = (*causes, cause)[-CAUSES_MAX:]
    return _with(state, changed_at=at, causes=causes, steps=state.steps.copy())


def happen(state: SagaState, event: Any, at: datetime) -> SagaState:  # noqa: ANN401 - of a saga
    """Give an opened state after an event; its steps change in place, so it is not to be kept."""
    change = CHANGES_OF_STEP.get(event.__class__)
    if change is None:
        return _CHANGES_OF_SAGA[event.__class__](state, event, at)
    before = state.steps.get(event.step)
    if before is not None:
        state.steps[event.step] = change(before, event, at)
    return state


# Events of the whole saga


def _on_started(state: SagaState, event: SagaStarted, _at: datetime) -> SagaState:
    return _with(
        state,
        definition_hash=event.definition_hash,
        steps=dict.fromkeys(event.steps, StepState()),
        message=event.message,
        attributes=event.attributes,
        parent=event.parent,
        forked_from=event.forked_from,
        timer=event.timer,
        timers=0 if event.timer is None else 1,
        deadline=event.deadline,
    )


def _on_compensating(state: SagaState, event: TransactionCompensating, _at: datetime) -> SagaState:
    return _with(
        state,
        status=TransactionStatus.COMPENSATING,
        back=True,
        cancelled=event.cancelled,
        failure=event.failure,
        ended_at=None,
        paused_at=None,
    )


def _on_ended(state: SagaState, event: TransactionEnded, at: datetime) -> SagaState:
    failure = event.failure or state.failure
    return _with(state, status=event.status, failure=failure, ended_at=at)


def _on_paused(state: SagaState, _event: TransactionPaused, at: datetime) -> SagaState:
    return _with(state, status=TransactionStatus.PAUSED, paused_at=at)


def _on_resumed(state: SagaState, _event: TransactionResumed, _at: datetime) -> SagaState:
    return _with(state, status=_under_way(back=state.back), paused_at=None)


def _on_rearmed(state: SagaState, event: TimersRearmed, _at: datetime) -> SagaState:
    steps = dict(state.steps)
    for name, timer in event.timers.items():
        if name:
            steps[name] = rearmed(steps[name], timer, event.due_at[name])
        else:
            state = _with(state, timer=timer, timers=state.timers + 1, deadline=event.due_at[name])
    return _with(state, steps=steps)


def _on_ordered(state: SagaState, event: TransactionOrdered, _at: datetime) -> SagaState:
    if event.command_id is None:
        return state
    return _with(state, undo_command=event.command_id)


def _on_reopened(state: SagaState, event: TransactionReopened, _at: datetime) -> SagaState:
    return _with(state, status=event.status, ended_at=None)


def _on_overdue(state: SagaState, _event: TransactionOverdue, _at: datetime) -> SagaState:
    return _with(state, overdue=True, timer=None)


def _on_migrated(state: SagaState, event: SagaMigrated, _at: datetime) -> SagaState:
    steps = {name: state.steps.get(name, StepState()) for name in event.steps}
    return _with(
        state, version=event.definition_version, definition_hash=event.definition_hash, steps=steps
    )


def _under_way(*, back: bool) -> TransactionStatus:
    return TransactionStatus.COMPENSATING if back else TransactionStatus.RUNNING


_CHANGES_OF_SAGA: Final[Mapping[type[Event], Callable[[SagaState, Any, datetime], SagaState]]] = {
    SagaStarted: _on_started,
    TransactionCompensating: _on_compensating,
    TransactionEnded: _on_ended,
    TransactionPaused: _on_paused,
    TransactionResumed: _on_resumed,
    TimersRearmed: _on_rearmed,
    TransactionOrdered: _on_ordered,
    TransactionReopened: _on_reopened,
    TransactionOverdue: _on_overdue,
    SagaMigrated: _on_migrated,
}
_CHANGES: Final = frozenset({*_CHANGES_OF_SAGA, *CHANGES_OF_STEP})
