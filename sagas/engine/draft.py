"""A transition in the making: what it is made of, and the state that its events lead to.

Which of these is done, and when, is the machine's to decide; nothing branches on outcomes here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from contracts.message import Event
from contracts.saga_events import (
    SagaMigrated,
    StepAnswered,
    StepAsked,
    StepAwaiting,
    StepPostponed,
    StepSignalled,
    TimersRearmed,
)
from contracts.transaction import (
    EndStatus,
    Failure,
    StepStatus,
    TransactionCompensating,
    TransactionEnded,
    TransactionOrdered,
    TransactionOverdue,
    TransactionPaused,
    TransactionReopened,
    TransactionResumed,
    TransactionStatus,
    TransactionStepEnded,
)
from contracts.types import TransactionId, derive_id
from sagas.engine.decision import (
    Input,
    Ordered,
    ParentReply,
    Replied,
    Signalled,
    StepCommand,
    Target,
    Timer,
    Transition,
)
from sagas.engine.definition import CommandType, Definition, Step
from sagas.engine.family import answer_to_parent, child_id
from sagas.engine.making import unchecked
from sagas.engine.mapping import evaluate_names
from sagas.engine.state import SagaState, happen, opened
from sagas.engine.step_state import StepState

SAGA_TIMER: Final = ""
"""The step that the timer of the whole saga belongs to."""


# What every transition of a healthy saga says.
_asked = unchecked(StepAsked)
_answered = unchecked(StepAnswered)
_postponed = unchecked(StepPostponed)
_step_ended = unchecked(TransactionStepEnded)
_compensating = unchecked(TransactionCompensating)
_ended = unchecked(TransactionEnded)


class Draft:
    """A transition in the making."""

    __slots__ = (
        "at",
        "commands",
        "definition",
        "events",
        "input",
        "replies",
        "saga_id",
        "state",
        "timers",
    )

    def __init__(self, definition: Definition, given: Input, before: SagaState) -> None:
        """Begin with the state that the input met; it stays as it is."""
        self.definition = definition
        self.input = given
        self.at = given.at
        """When the input came."""
        self.saga_id = TransactionId(before.saga_id)
        """Which saga it is."""
        self.state = opened(before, at=given.at, cause=given.cause)
        """What the events so far lead to."""
        self.events: list[Event] = []
        self.commands: list[StepCommand] = []
        self.timers: list[Timer] = []
        self.replies: list[ParentReply] = []

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
            replies=tuple(self.replies),
            state=self.state,
        )

    @property
    def paused(self) -> bool:
        """Whether the saga stands still by order."""
        return self.state.status is TransactionStatus.PAUSED

    # Steps

    def ask(self, step: Step, *, undo: bool, anew: bool = False) -> None:
        """Send a step's command; under its old id where that is still awaited, unless `anew`."""
        if step.awaited is not None:
            self.listen(step)
            return
        stands = self.state.steps[step.name]
        going_on = stands.status is (StepStatus.UNDOING if undo else StepStatus.ASKED) and not anew
        number = len(stands.undone_by if undo else stands.asked) + 1
        unanswered = going_on or stands.status is StepStatus.STUCK
        command_id = stands.command_id if unanswered and not anew else None
        if command_id is None:
            command_id = derive_id(self.saga_id, step.name, "undo" if undo else "do", number)
        attempt = stands.attempts + 1 if going_on else 1
        if undo and step.saga is not None:
            data: Mapping[str, Any] = {"transaction_id": str(child_id(stands.asked[-1]))}
        else:
            data = step.undo_data(self.state) if undo else step.ask_data(self.state)
        command = step.undo if undo else step.ask
        self._send(step, command, data=data, command_id=command_id, attempt=attempt, undo=undo)

    def probe(self, step: Step) -> None:
        """Ask what became of a step that nobody answered."""
        number = self.step(step.name).probes + 1
        command_id = derive_id(self.saga_id, step.name, "probe", number)
        attempt = self.step(step.name).attempts
        data = step.probe_data(self.state)
        self._send(step, step.probe, data=data, command_id=command_id, attempt=attempt, probe=True)

    def _send(
        self,
        step: Step,
        command: CommandType | None,
        *,
        data: Mapping[str, Any],
        command_id: UUID,
        attempt: int,
        undo: bool = False,
        probe: bool = False,
    ) -> None:
        if command is None:
            raise AssertionError(f"step {step.name} has no such command, and it is asked for it")
        timer = self._arm(step, step.within)
        deadline = timer.due_at
        self._emit(
            _asked(
                transaction_id=self.saga_id,
                step=step.name,
                undo=undo,
                command_id=command_id,
                attempt=attempt,
                timer=timer.name,
                deadline=_utc(deadline),
                probe=probe,
            )
        )
        contract = command.contract
        self.commands.append(
            StepCommand(
                step=step.name,
                undo=undo,
                command_id=command_id,
                type=contract.type,
                version=contract.version,
                data=data,
                deadline=deadline,
            )
        )

    def listen(self, step: Step) -> None:
        """Wait for a step's signal."""
        if step.awaited is None:
            raise AssertionError(f"step {step.name} waits for no signal")
        timer, allowed = self._arm(step, step.within), step.awaited.allowed
        self._emit(
            StepAwaiting(
                transaction_id=self.saga_id,
                step=step.name,
                signal=step.awaited.signal,
                needs=step.awaited.needs,
                allowed=None if allowed is None else evaluate_names(allowed, self.state),
                timer=timer.name,
                deadline=timer.due_at,
            )
        )

    def signalled(self, step: Step, given: Signalled, *, agrees: bool) -> None:
        """Record a signal as it came."""
        self._emit(
            StepSignalled(
                transaction_id=self.saga_id,
                step=step.name,
                signal=given.signal,
                by=given.by,
                data=dict(given.data),
                agrees=agrees,
            )
        )

    def postpone(self, step: Step, detail: str, pause: timedelta, *, undo: bool) -> None:
        """Ask again after a pause."""
        timer = self._arm(step, pause)
        self._emit(
            _postponed(
                transaction_id=self.saga_id,
                step=step.name,
                undo=undo,
                detail=detail,
                timer=timer.name,
                until=_utc(timer.due_at),
            )
        )

    def answered(self, given: Replied, *, undo: bool) -> None:
        """Record an answer as it came."""
        self._emit(
            _answered(
                transaction_id=self.saga_id,
                step=given.step,
                undo=undo,
                command_id=given.command_id,
                output=dict(given.result or {}) if given.failure is None else None,
                failure=given.failure,
            )
        )

    def answered_by_hand(self, step: Step, output: Mapping[str, Any]) -> None:
        """Record what a person says that a step would have answered."""
        asked = self.step(step.name).asked
        self._emit(
            _answered(
                transaction_id=self.saga_id,
                step=step.name,
                undo=False,
                command_id=asked[-1] if asked else self.saga_id,
                output=dict(output),
            )
        )

    def end_step(self, step: Step, status: StepStatus, detail: str | None = None) -> None:
        """Say that nothing more is awaited of a step."""
        self._emit(
            _step_ended(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                step=step.name,
                status=status,
                # It may quote what a person wrote.
                detail=None if detail is None else detail.strip(),
            )
        )

    # The whole saga

    def turn_back(self, failure: Failure, *, cancelled: bool = False) -> None:
        """Say that the saga goes back from here, and why."""
        self._emit(
            _compensating(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                failure=failure,
                cancelled=cancelled,
            )
        )

    def end(self, status: EndStatus, failure: Failure | None = None) -> None:
        """Say that the saga has ended; a saga that is a step of another answers it."""
        self._emit(
            _ended(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                status=status,
                failure=failure,
            )
        )
        self.reply_to_parent()

    def reply_to_parent(self) -> None:
        """Answer the step of another saga that this one carries out, once it surely ended."""
        reply = answer_to_parent(self.state)
        if reply is not None:
            self.replies.append(reply)

    def ordered(self, given: Ordered, step: str | None = None) -> None:
        """Record an order as it was given."""
        self._emit(
            TransactionOrdered(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                order=given.order,
                reason=given.reason,
                step=step,
                command_id=given.command_id,
            )
        )

    def pause(self, reason: str) -> None:
        """Say that the saga stands still."""
        self._emit(
            TransactionPaused(
                transaction_id=self.saga_id, saga_type=self.definition.saga_type, reason=reason
            )
        )

    def resume(self, reason: str) -> None:
        """Say that the saga goes on, and let every clock run for the time that it had left."""
        paused_at = self.state.paused_at or self.at
        self._emit(
            TransactionResumed(
                transaction_id=self.saga_id, saga_type=self.definition.saga_type, reason=reason
            )
        )
        timers: list[tuple[str, Timer]] = []
        for name, stands in self.state.steps.items():
            if stands.timer is not None and stands.due_at is not None:
                timer = f"{name}.{stands.timers + 1}"
                timers.append((name, self._later(timer, stands.due_at, paused_at)))
        if self.state.timer is not None and self.state.deadline is not None:
            timer = f"{SAGA_TIMER}.{self.state.timers + 1}"
            timers.append((SAGA_TIMER, self._later(timer, self.state.deadline, paused_at)))
        if timers:
            self.timers.extend(timer for _, timer in timers)
            self._emit(
                TimersRearmed(
                    transaction_id=self.saga_id,
                    timers={name: timer.name for name, timer in timers},
                    due_at={name: timer.due_at for name, timer in timers},
                )
            )

    def reopen(self) -> None:
        """Say that a saga that had ended goes on in the direction that it had."""
        self._emit(
            TransactionReopened(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                status=TransactionStatus.COMPENSATING
                if self.state.back
                else TransactionStatus.RUNNING,
            )
        )

    def overdue(self, deadline: datetime) -> None:
        """Say that the saga passed its deadline and goes on all the same."""
        self._emit(
            TransactionOverdue(
                transaction_id=self.saga_id,
                saga_type=self.definition.saga_type,
                deadline=deadline,
            )
        )

    def migrate(self, target: Target) -> None:
        """Say that the saga goes on under another version."""
        self._emit(
            SagaMigrated(
                transaction_id=self.saga_id,
                definition_version=target.version,
                definition_hash=target.hash,
                steps=list(target.steps),
            )
        )

    def _later(self, name: str, due_at: datetime, paused_at: datetime) -> Timer:
        return Timer(name=name, due_at=self.at + max(due_at - paused_at, timedelta(0)))

    def _arm(self, step: Step, wait: timedelta) -> Timer:
        number = self.state.steps[step.name].timers + 1
        timer = Timer(name=f"{step.name}.{number}", due_at=self.at + wait)
        self.timers.append(timer)
        return timer

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        self.state = happen(self.state, event, self.at)


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is UTC else at.astimezone(UTC)
