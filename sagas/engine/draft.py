"""A transition in the making: what it is made of, and the state that its events lead to.

Which of these is done, and when, is the machine's to decide; nothing branches on outcomes here.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from contracts.message import Event
from contracts.transaction import (
    Failure,
    SagaStarted,
    StepAnswered,
    StepAsked,
    StepPostponed,
    StepStatus,
    TransactionCompensating,
    TransactionEnded,
    TransactionStarted,
    TransactionStatus,
    TransactionStepEnded,
)
from contracts.types import TransactionId, derive_id
from sagas.engine.decision import Input, Replied, Start, StepCommand, Timer, Transition
from sagas.engine.definition import Definition, Step
from sagas.engine.mapping import evaluate_all
from sagas.engine.state import SagaState, StepState, evolve

Ended = Literal[
    TransactionStatus.COMPLETED, TransactionStatus.COMPENSATED, TransactionStatus.FAILED
]


@dataclass(slots=True)
class Draft:
    """A transition in the making."""

    definition: Definition
    input: Input
    state: SagaState
    """What the events so far lead to."""
    events: list[Event] = field(default_factory=list[Event])
    commands: list[StepCommand] = field(default_factory=list[StepCommand])
    timers: list[Timer] = field(default_factory=list[Timer])

    @property
    def at(self) -> datetime:
        """When the input came."""
        return self.input.at

    @property
    def cause(self) -> str:
        """What the input's id is."""
        return self.input.cause

    @property
    def actor(self) -> str:
        """On whose behalf the saga runs."""
        return self.state.actor

    @property
    def correlation(self) -> str:
        """What the saga belongs to."""
        return self.state.correlation

    @property
    def saga_id(self) -> TransactionId:
        """Which saga it is."""
        return TransactionId(self.state.saga_id)

    def step(self, name: str) -> StepState:
        """Say where a step stands."""
        return self.state.steps[name]

    def finish(self) -> Transition:
        """Give the transition."""
        return Transition(
            saga_type=self.definition.saga_type,
            version=self.definition.version,
            definition_hash=self.definition.hash,
            input=self.input,
            events=tuple(self.events),
            commands=tuple(self.commands),
            timers=tuple(self.timers),
            state=self.state,
        )

    def ask(self, step: Step, *, undo: bool, anew: bool = False) -> None:
        """Send a step's command; under its old id where that is still awaited, unless `anew`."""
        command = step.undo if undo else step.ask
        if command is None:
            raise AssertionError(f"step {step.name} is undone, and it has no undo")
        stands = self.step(step.name)
        going_on = stands.status is (StepStatus.UNDOING if undo else StepStatus.ASKED) and not anew
        number = len(stands.undone_by if undo else stands.asked) + 1
        command_id = stands.command_id if going_on else None
        if command_id is None:
            command_id = derive_id(self.saga_id, step.name, "undo" if undo else "do", number)
        timer = self._arm(step, step.within)
        self._emit(
            StepAsked(
                transaction_id=self.saga_id,
                step=step.name,
                undo=undo,
                command_id=command_id,
                attempt=stands.attempts + 1 if going_on else 1,
                timer=timer.name,
                deadline=timer.due_at,
            )
        )
        self.commands.append(
            StepCommand(
                step=step.name,
                undo=undo,
                command_id=command_id,
                type=command.contract.type,
                version=command.contract.version,
                data=evaluate_all(step.undo_fills if undo else step.ask_fills, self.state),
                deadline=timer.due_at,
            )
        )

    def postpone(self, step: Step, detail: str, pause: timedelta, *, undo: bool) -> None:
        """Ask again after a pause."""
        timer = self._arm(step, pause)
        self._emit(
            StepPostponed(
                transaction_id=self.saga_id,
                step=step.name,
                undo=undo,
                detail=detail,
                timer=timer.name,
                until=timer.due_at,
            )
        )

    def answered(self, given: Replied, *, undo: bool) -> None:
        """Record an answer as it came."""
        self._emit(
            StepAnswered(
                transaction_id=self.saga_id,
                step=given.step,
                undo=undo,
                command_id=given.command_id,
                output=dict(given.result or {}) if given.failure is None else None,
                failure=given.failure,
            )
        )

    def end_step(self, step: Step, status: StepStatus, detail: str | None = None) -> None:
        """Say that nothing more is awaited of a step."""
        self._emit(
            TransactionStepEnded(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                step=step.name,
                status=status,
                detail=detail,
            )
        )

    def turn_back(self, failure: Failure) -> None:
        """Say that the saga goes back from here, and why."""
        self._emit(
            TransactionCompensating(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                failure=failure,
            )
        )

    def end(self, status: Ended, failure: Failure | None = None) -> None:
        """Say that the saga has ended."""
        self._emit(
            TransactionEnded(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                status=status,
                failure=failure,
            )
        )

    def _arm(self, step: Step, wait: timedelta) -> Timer:
        number = self.step(step.name).timers + 1
        timer = Timer(name=f"{step.name}.{number}", due_at=self.at + wait)
        self.timers.append(timer)
        return timer

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        self.state = evolve(self.state, event, self) or self.state


def begin(definition: Definition, given: Start) -> Draft:
    """Draft the first transition of a saga: begun, and nothing asked yet."""
    saga_id = TransactionId(given.saga_id)
    contract = definition.starts_with.contract
    started = TransactionStarted(
        transaction_id=saga_id,
        saga_type=definition.saga_type,
        definition_version=definition.version,
    )
    opened = SagaStarted(
        transaction_id=saga_id,
        definition_hash=definition.hash,
        steps=[step.name for step in definition.steps],
        message_type=contract.type,
        message_version=contract.version,
        message=dict(given.message),
    )
    state = evolve(evolve(None, started, given), opened, given)
    if state is None:
        raise AssertionError("a saga that has started has a state")
    return Draft(definition, given, state, events=[started, opened])
