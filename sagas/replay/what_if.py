"""What recorded sagas would have come to under another version, with the answers they really got.

The other version is run from the start message. Each command that it asks gets the answers that the
same step got, in their order; each signal comes as it came; each clock runs out where nobody
answered. Where it asks for what no record tells, it stands there: nothing is made up, nothing sent.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from contracts.entry import Entry
from contracts.transaction import TransactionStatus
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Replied,
    Signalled,
    Start,
    StepCommand,
    Timer,
    Transition,
)
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import read_input
from sagas.engine.state import SagaState, evolve, fold

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


@dataclass(slots=True)
class _Records:
    """What a recorded saga was told, each to be told once more."""

    begin: Start
    answers: dict[tuple[str, bool], deque[Replied]] = field(
        default_factory=dict[tuple[str, bool], deque[Replied]]
    )
    """By step, and whether it was undone."""
    silences: Counter[str] = field(default_factory=Counter[str])
    """How often nobody answered a step in time."""
    signals: dict[str, deque[Signalled]] = field(default_factory=dict[str, deque[Signalled]])


def run_again(entries: Sequence[Entry], definition: Definition) -> Course | None:
    """Run one recorded saga through another version; None where nothing is recorded."""
    recorded = fold(entries)
    if recorded is None:
        return None
    state = _Run(definition, _records(entries)).go()
    at_step: str | None = None
    under: Outcome = state.status
    if not state.status.ended:
        under = UNANSWERED
        at_step = next((n for n, step in state.steps.items() if step.outstanding), None)
    elif state.failure is not None:
        at_step = state.failure.step or None
    return Course(saga_id=recorded.saga_id, recorded=recorded.status, under=under, at_step=at_step)


@dataclass(slots=True)
class _Run:
    """One saga on its way under the other version."""

    definition: Definition
    records: _Records
    state: SagaState | None = None
    commands: deque[StepCommand] = field(default_factory=deque[StepCommand])
    timers: list[Timer] = field(default_factory=list[Timer])
    at: datetime = datetime.min
    turns: int = 0

    def go(self) -> SagaState:
        """Tell it what was told until nothing more is to tell; give where it stands."""
        self.at = self.records.begin.at
        self._take(self.records.begin)
        while self.state is not None and not self.state.status.ended and self.turns < TURNS_MAX:
            given = self._next(self.state)
            if given is None:
                break
            self._take(given)
        if self.state is None:
            raise AssertionError("a saga that was begun has a state")
        return self.state

    def _take(self, given: Input) -> None:
        self.turns += 1
        self.at = max(self.at, given.at)
        produced = decide(self.definition, self.state, given)
        if isinstance(produced, Ignored):
            return
        self.state = produced.state
        self._note(produced)

    def _note(self, produced: Transition) -> None:
        self.commands.extend(produced.commands)
        self.timers.extend(produced.timers)

    def _next(self, state: SagaState) -> Input | None:
        """Give what comes next: an answer, a signal, or a clock that ran out."""
        while self.commands:
            command = self.commands.popleft()
            answers = self.records.answers.get((command.step, command.undo))
            if answers and state.steps[command.step].command_id == command.command_id:
                told = answers.popleft()
                return replace(told, command_id=command.command_id, cause=self._cause("answer"))
        for step in state.steps.values():
            signals = self.records.signals.get(step.signal or "") if step.outstanding else None
            if signals:
                return replace(signals.popleft(), cause=self._cause("signal"))
        return self._clock(state)

    def _clock(self, state: SagaState) -> Due | None:
        """Let the next clock run out that ends a pause, or that ran out when it was recorded."""
        for timer in sorted(self.timers, key=lambda one: one.due_at):
            name = timer.name.rpartition(".")[0]
            stands = state.steps.get(name)
            if stands is None or stands.timer != timer.name:
                continue
            if stands.postponed or self.records.silences[name] > 0:
                self.records.silences[name] -= 0 if stands.postponed else 1
                self.timers.remove(timer)
                return Due(name=timer.name, at=timer.due_at, cause=self._cause("due"))
        return None

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
            undo = given.command_id in before.steps[given.step].undone_by
            records.answers.setdefault((given.step, undo), deque()).append(given)
        case Due():
            name = given.name.rpartition(".")[0]
            stands = before.steps.get(name)
            if stands is not None and not stands.postponed:
                records.silences[name] += 1
        case Signalled():
            records.signals.setdefault(given.signal, deque()).append(given)
        case _:
            # What people ordered was about the saga as it went, and says nothing of another way.
            return
