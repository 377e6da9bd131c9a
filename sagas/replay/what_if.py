"""What recorded sagas would have come to under another version, with the answers they really got.

The other version is run from the start message. Each command that it asks gets the answers that the
same step got, in their order; each signal comes as it came; each clock runs out where nobody
answered. Where it asks for what no record tells, it stands there: nothing is made up, nothing sent.
What people ordered counts only where the other version decides alike at every turn.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from contracts.entry import Entry
from contracts.transaction import StepStatus, TransactionStatus
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Replied,
    Signalled,
    Start,
    StepCommand,
)
from sagas.engine.definition import Definition
from sagas.engine.draft import SAGA_TIMER
from sagas.engine.machine import decide
from sagas.engine.record import read_input
from sagas.engine.state import SagaState, evolve, fold
from sagas.engine.step_state import StepState
from sagas.replay.prove import first_difference

TURNS_MAX: Final = 10_000
"""Transitions of one saga that are tried: a table that goes round for ever is stopped here."""
UNANSWERED: Final = "unanswered"

Outcome = TransactionStatus | Literal["unanswered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How one recorded saga went, and how it would have gone."""

    saga_id: UUID
    recorded: TransactionStatus
    under: Outcome
    at_step: str | None
    """Where it stands unanswered, or failed, under the other version."""

    @property
    def same(self) -> bool:
        """Whether it ends the same."""
        return self.recorded == self.under


class _Way(StrEnum):
    """What a command was for."""

    DO = "do"
    UNDO = "undo"
    PROBE = "probe"


@dataclass(slots=True)
class _Records:
    """What a recorded saga was told, each to be told once more."""

    begin: Start
    answers: dict[tuple[str, _Way], deque[Replied | None]] = field(
        default_factory=dict[tuple[str, _Way], deque[Replied | None]]
    )
    """What each command was answered, in order; None where nobody answered in time."""
    silences: Counter[str] = field(default_factory=Counter[str])
    """How often a signal did not come in time; the empty name is the saga's own deadline."""
    signals: dict[str, deque[Signalled]] = field(default_factory=dict[str, deque[Signalled]])


def run_again(entries: Sequence[Entry], definition: Definition) -> Course | None:
    """Run one recorded saga through another version; None where it has not ended.

    Raises:
        ValueError: the history does not begin with a start.
    """
    recorded = fold(entries)
    if recorded is None or not recorded.status.ended:
        return None
    if first_difference(entries, definition) is None:
        # It decides alike at every turn, also at those that people ordered.
        return _course(recorded, recorded)
    return _course(recorded, _Run(definition, _records(entries)).go())


def _course(recorded: SagaState, state: SagaState) -> Course:
    at_step: str | None = None
    under: Outcome = state.status
    if not state.status.ended:
        under = UNANSWERED
        at_step = next((name for name, one in state.steps.items() if one.outstanding), None)
    elif state.failure is not None:
        at_step = state.failure.step or None
    return Course(saga_id=recorded.saga_id, recorded=recorded.status, under=under, at_step=at_step)


@dataclass(slots=True)
class _Run:
    """One saga on its way under the other version."""

    definition: Definition
    records: _Records
    commands: deque[StepCommand] = field(default_factory=deque[StepCommand])
    turns: int = 0

    def go(self) -> SagaState:
        """Tell it what was told until nothing more is to tell; give where it stands.

        Raises:
            ValueError: its start was ignored.
        """
        state = self._take(None, self.records.begin)
        if state is None:
            raise ValueError(f"saga {self.records.begin.saga_id} cannot begin")
        while not state.status.ended and self.turns < TURNS_MAX:
            given = self._next(state)
            if given is None:
                break
            state = self._take(state, given) or state
        return state

    def _take(self, state: SagaState | None, given: Input) -> SagaState | None:
        self.turns += 1
        produced = decide(self.definition, state, given)
        if isinstance(produced, Ignored):
            return state
        self.commands.extend(produced.commands)
        return produced.state

    def _next(self, state: SagaState) -> Input | None:
        """Give what comes next: an answer, a signal, or a clock that ran out."""
        return self._answer(state) or self._signal(state) or self._clock(state)

    def _answer(self, state: SagaState) -> Replied | Due | None:
        while self.commands:
            command = self.commands.popleft()
            stands = state.steps[command.step]
            way = _Way.UNDO if command.undo else _Way.DO
            if command.command_id == stands.probe_id:
                way = _Way.PROBE
            elif command.command_id != stands.command_id:
                continue
            answers = self.records.answers.get((command.step, way))
            if not answers:
                continue
            told = answers.popleft()
            if told is None:
                return self._due(stands.timer, stands.due_at)
            return replace(told, command_id=command.command_id, cause=self._cause("answer"))
        return None

    def _signal(self, state: SagaState) -> Signalled | None:
        for step in state.steps.values():
            signals = self.records.signals.get(step.signal or "") if step.outstanding else None
            if signals:
                return replace(signals.popleft(), cause=self._cause("signal"))
        return None

    def _clock(self, state: SagaState) -> Due | None:
        """Let the next clock run out that ends a pause, or that ran out when it was recorded."""
        clocks = [
            (stands.due_at, stands.timer, "" if stands.postponed else name)
            for name, stands in state.steps.items()
            if stands.due_at is not None
            and (stands.postponed or (stands.signal and self.records.silences[name]))
        ]
        if clocks:
            due_at, timer, name = min(clocks, key=lambda one: one[0])
            self.records.silences[name] -= 1 if name else 0
            return self._due(timer, due_at)
        if self.records.silences[SAGA_TIMER]:
            self.records.silences[SAGA_TIMER] -= 1
            return self._due(state.timer, state.deadline)
        return None

    def _due(self, timer: str | None, at: datetime | None) -> Due | None:
        if timer is None or at is None:
            return None
        return Due(name=timer, at=at, cause=self._cause("due"))

    def _cause(self, what: str) -> str:
        return f"what-if:{what}:{self.turns}"


def _records(entries: Iterable[Entry]) -> _Records:
    records: _Records | None = None
    before: SagaState | None = None
    for entry in entries:
        given = read_input(entry)
        if isinstance(given, Start):
            records = _Records(given)
        elif records is not None and before is not None:
            _record(records, before, given)
        for event in entry.events:
            before = evolve(before, event, entry)
    if records is None:
        raise ValueError("the history does not begin with a start: export it again")
    return records


def _record(records: _Records, before: SagaState, given: Input) -> None:
    match given:
        case Replied():
            way = _way_of(before.steps[given.step], given.command_id)
            records.answers.setdefault((given.step, way), deque()).append(given)
        case Due():
            _record_silence(records, before, given.name.rpartition(".")[0])
        case Signalled():
            records.signals.setdefault(given.signal, deque()).append(given)
        case _:
            # What people ordered was about the saga as it went, and says nothing of another way.
            return


def _record_silence(records: _Records, before: SagaState, name: str) -> None:
    stands = before.steps.get(name)
    if stands is None or stands.status is StepStatus.AWAITING:
        records.silences[name] += 1
    elif not stands.postponed:
        way = _Way.PROBE if stands.probe_id is not None else _Way.DO
        if stands.status is StepStatus.UNDOING:
            way = _Way.UNDO
        records.answers.setdefault((name, way), deque()).append(None)


def _way_of(stands: StepState, command_id: UUID) -> _Way:
    if command_id in stands.undone_by:
        return _Way.UNDO
    return _Way.PROBE if command_id == stands.probe_id else _Way.DO
