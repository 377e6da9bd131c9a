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
    StepAnswered,
    StepAsked,
    StepAwaiting,
    StepPostponed,
    StepReused,
    StepSignalled,
    TimersRearmed,
)
from contracts.transaction import (
    Failure,
    StepStatus,
    TransactionCompensating,
    TransactionEnded,
    TransactionOrdered,
    TransactionOverdue,
    TransactionPaused,
    TransactionReopened,
    TransactionResumed,
    TransactionStarted,
    TransactionStatus,
    TransactionStepEnded,
)

CAUSES_MAX: Final = 64
"""Causes that a state remembers; older duplicates are told by what the saga waits for."""
OUTSTANDING: Final = frozenset({StepStatus.ASKED, StepStatus.AWAITING, StepStatus.UNDOING})
"""How a step stands of which something is awaited."""


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


class StepState(NamedTuple):
    """Where one step stands."""

    status: StepStatus = StepStatus.WAITING
    attempts: int = 0
    """How often it was asked in the present direction."""
    command_id: UUID | None = None
    """The command whose answer is awaited; None also where the next attempt gets a new one."""
    asked: tuple[UUID, ...] = ()
    """Every command that asked to do it, oldest first."""
    undone_by: tuple[UUID, ...] = ()
    """Every command that asked to undo it, oldest first."""
    probe_id: UUID | None = None
    """The command that asked what became of it, while that is awaited."""
    probes: int = 0
    timer: str | None = None
    """The timer that counts; every other one is stale."""
    timers: int = 0
    """How many were armed: no two have the same name."""
    due_at: datetime | None = None
    postponed: bool = False
    """Whether the timer ends a pause between attempts rather than a wait for an answer."""
    output: dict[str, Any] | None = None
    """What it answered."""
    reused: bool = False
    """Whether a fork took it over: it is never undone."""
    signal: str | None = None
    """What it waits for, or waited for."""
    needs: int = 0
    allowed: tuple[str, ...] | None = None
    given_by: tuple[str, ...] = ()
    """Who sent the signal, oldest first."""
    detail: str | None = None
    """Why it stands where it stands, for people."""
    asked_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def outstanding(self) -> bool:
        """Whether something is awaited of it."""
        return self.status in OUTSTANDING


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
    change = _CHANGES.get(type(event))
    if state is None or change is None:
        return state
    causes = state.causes
    if causes[-1] != entry.cause:
        causes = (*causes, entry.cause)[-CAUSES_MAX:]
    return change(state, event, entry.at)._replace(changed_at=entry.at, causes=causes)


# Events of the whole saga


def _on_started(state: SagaState, event: SagaStarted, _at: datetime) -> SagaState:
    return state._replace(
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
    return state._replace(
        status=TransactionStatus.COMPENSATING,
        back=True,
        cancelled=event.cancelled,
        failure=event.failure,
        ended_at=None,
        paused_at=None,
    )


def _on_ended(state: SagaState, event: TransactionEnded, at: datetime) -> SagaState:
    failure = event.failure or state.failure
    return state._replace(status=event.status, failure=failure, ended_at=at)


def _on_paused(state: SagaState, _event: TransactionPaused, at: datetime) -> SagaState:
    return state._replace(status=TransactionStatus.PAUSED, paused_at=at)


def _on_resumed(state: SagaState, _event: TransactionResumed, _at: datetime) -> SagaState:
    return state._replace(status=_under_way(back=state.back), paused_at=None)


def _on_rearmed(state: SagaState, event: TimersRearmed, _at: datetime) -> SagaState:
    steps = dict(state.steps)
    for name, timer in event.timers.items():
        if name:
            before = steps[name]
            steps[name] = before._replace(
                timer=timer, timers=before.timers + 1, due_at=event.due_at[name]
            )
        else:
            state = state._replace(
                timer=timer, timers=state.timers + 1, deadline=event.due_at[name]
            )
    return state._replace(steps=steps)


def _on_ordered(state: SagaState, event: TransactionOrdered, _at: datetime) -> SagaState:
    if event.command_id is None:
        return state
    return state._replace(undo_command=event.command_id)


def _on_reopened(state: SagaState, event: TransactionReopened, _at: datetime) -> SagaState:
    return state._replace(status=event.status, ended_at=None)


def _on_overdue(state: SagaState, _event: TransactionOverdue, _at: datetime) -> SagaState:
    return state._replace(overdue=True, timer=None)


def _on_migrated(state: SagaState, event: SagaMigrated, _at: datetime) -> SagaState:
    steps = {name: state.steps.get(name, StepState()) for name in event.steps}
    return state._replace(
        version=event.definition_version, definition_hash=event.definition_hash, steps=steps
    )


def _under_way(*, back: bool) -> TransactionStatus:
    return TransactionStatus.COMPENSATING if back else TransactionStatus.RUNNING


# Events of one step


def _of_step(
    change: Callable[[StepState, Any, datetime], StepState],
) -> Callable[[SagaState, Any, datetime], SagaState]:
    def changed(state: SagaState, event: Any, at: datetime) -> SagaState:  # noqa: ANN401 - an event with a step
        before = state.steps.get(event.step)
        if before is None:
            return state
        return state._replace(steps={**state.steps, event.step: change(before, event, at)})

    return changed


def _on_asked(before: StepState, event: StepAsked, at: datetime) -> StepState:
    armed = before._replace(timer=event.timer, timers=before.timers + 1, due_at=event.deadline)
    if event.probe:
        return armed._replace(probe_id=event.command_id, probes=before.probes + 1)
    asked, undone_by = before.asked, before.undone_by
    if event.undo:
        undone_by = _with(undone_by, event.command_id)
    else:
        asked = _with(asked, event.command_id)
    return armed._replace(
        status=StepStatus.UNDOING if event.undo else StepStatus.ASKED,
        attempts=event.attempt,
        command_id=event.command_id,
        asked=asked,
        undone_by=undone_by,
        probe_id=None,
        postponed=False,
        asked_at=before.asked_at or at,
        ended_at=None,
    )


def _on_awaiting(before: StepState, event: StepAwaiting, at: datetime) -> StepState:
    return before._replace(
        status=StepStatus.AWAITING,
        attempts=before.attempts + 1,
        signal=event.signal,
        needs=event.needs,
        allowed=None if event.allowed is None else tuple(event.allowed),
        timer=event.timer,
        timers=before.timers + 1,
        due_at=event.deadline,
        postponed=False,
        asked_at=before.asked_at or at,
        ended_at=None,
    )


def _on_signalled(before: StepState, event: StepSignalled, _at: datetime) -> StepState:
    given_by = (*before.given_by, event.by)
    return before._replace(given_by=given_by, output={**event.data, "by": list(given_by)})


def _on_answered(before: StepState, event: StepAnswered, _at: datetime) -> StepState:
    if event.command_id == before.probe_id:
        told = event.output or {}
        done = before._replace(probe_id=None)
        return done._replace(output=told.get("result") or {}) if told.get("done") else done
    after = before
    if event.command_id == before.command_id:
        after = after._replace(command_id=None, timer=None, due_at=None)
    if event.output is not None and not event.undo:
        after = after._replace(output=event.output)
    return after


def _on_postponed(before: StepState, event: StepPostponed, _at: datetime) -> StepState:
    return before._replace(
        timer=event.timer,
        timers=before.timers + 1,
        due_at=event.until,
        postponed=True,
        probe_id=None,
        detail=event.detail,
    )


def _on_reused(before: StepState, event: StepReused, at: datetime) -> StepState:
    return before._replace(status=event.status, output=event.output, reused=True, ended_at=at)


def _on_step_ended(before: StepState, event: TransactionStepEnded, at: datetime) -> StepState:
    return before._replace(
        status=event.status,
        # Where nobody answered, it may still be done under this command: it is asked again so.
        command_id=before.command_id if event.status is StepStatus.STUCK else None,
        probe_id=None,
        timer=None,
        due_at=None,
        postponed=False,
        detail=event.detail,
        ended_at=at,
    )


def _with(ids: tuple[UUID, ...], command_id: UUID) -> tuple[UUID, ...]:
    return ids if command_id in ids else (*ids, command_id)


_CHANGES: Final[Mapping[type[Event], Callable[[SagaState, Any, datetime], SagaState]]] = {
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
    StepAsked: _of_step(_on_asked),
    StepAwaiting: _of_step(_on_awaiting),
    StepSignalled: _of_step(_on_signalled),
    StepAnswered: _of_step(_on_answered),
    StepPostponed: _of_step(_on_postponed),
    StepReused: _of_step(_on_reused),
    TransactionStepEnded: _of_step(_on_step_ended),
}
