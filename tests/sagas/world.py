"""A small world around one saga: idempotent participants, timers, and a fault at any message.

Every message (command, reply, timer) gets the next hop number when it is sent. A run takes a plan,
`{hop: fault}`, and tells which faults each hop of it could have had, so that a test can enumerate.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts.errors import NotFound, Refusal, Unavailable
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Replied,
    StepCommand,
    Timer,
    Transition,
    Why,
    failure_of,
)
from sagas.engine.definition import Definition
from sagas.engine.record import read_commands, read_timers
from tests.sagas.chronicle import Chronicle, answer_to

LATE = timedelta(seconds=500)
"""Longer than any saga of these tests waits for anything."""
EVENTS_MAX = 2_000
"""A run that takes more than this does not end."""


class Fault(StrEnum):
    """What can go wrong with one message."""

    LOSE = "lose"
    DOUBLE = "double"
    DELAY = "delay"
    REFUSE = "refuse"
    UNWELL = "unwell"
    CRASH = "crash"
    """The transaction service dies after the append: the input comes again, and its effects too."""
    EARLY = "early"


ON_COMMAND = (Fault.LOSE, Fault.DOUBLE, Fault.DELAY, Fault.REFUSE, Fault.UNWELL)
ON_REPLY = (Fault.LOSE, Fault.DOUBLE, Fault.DELAY, Fault.CRASH)
ON_TIMER = (Fault.DOUBLE, Fault.DELAY, Fault.EARLY, Fault.CRASH)

Message = StepCommand | Replied | Timer


class Guard(StrEnum):
    """How participants keep an order that was overtaken by its undo from being done."""

    DEADLINE = "deadline"
    """They do nothing after the command's deadline."""
    TOMBSTONE = "tombstone"
    """They do nothing that was undone before."""


@dataclass(slots=True)
class Participants:
    """Every participant: idempotent by command id, and nothing else."""

    guard: Guard
    effects: dict[str, int]
    """How often each step stands done."""
    outcomes: dict[UUID, Refusal | None] = field(default_factory=dict[UUID, Refusal | None])
    undone: set[str] = field(default_factory=set[str])

    def handle(self, command: StepCommand, at: datetime, refusal: Refusal | None) -> Refusal | None:
        """Carry a command out once; a repetition gets the recorded outcome."""
        if command.command_id in self.outcomes:
            return self.outcomes[command.command_id]
        if self.guard is Guard.DEADLINE and at > command.deadline and not command.undo:
            return Unavailable(what="the time for this command")
        if self.guard is Guard.TOMBSTONE and command.step in self.undone and not command.undo:
            refusal = NotFound(what="reservation", key=command.step)
        self.outcomes[command.command_id] = refusal
        if refusal is None and command.undo:
            self.effects[command.step] = 0
            self.undone.add(command.step)
        elif refusal is None:
            self.effects[command.step] += 1
        return refusal


class World:
    """One run."""

    def __init__(self, definition: Definition, plan: Mapping[int, Fault], guard: Guard) -> None:
        """Nothing has happened yet."""
        self.log = Chronicle(definition)
        self.plan = plan
        self.participants = Participants(guard, {step.name: 0 for step in definition.steps})
        self.possible: list[tuple[Fault, ...]] = []
        """By hop: the faults that it could have had."""
        self.ignored: list[Ignored] = []
        self._queue: list[tuple[datetime, int, Message, Fault | None]] = []
        self._order = 0
        self._replies = 0

    def run(self) -> None:
        """Run until no message is under way."""
        self._decide(self.log.start_input(), crash=False)
        for _ in range(EVENTS_MAX):
            if not self._queue:
                return
            at, _, message, fault = heapq.heappop(self._queue)
            self.log.now = max(self.log.now, at)
            self._deliver(message, fault)
        raise AssertionError(f"the run with {dict(self.plan)} does not end")

    def _deliver(self, message: Message, fault: Fault | None) -> None:
        match message:
            case StepCommand():
                refusal = _refusal(fault)
                refusal = self.participants.handle(message, self.log.now, refusal)
                self._replies += 1
                failed = None if refusal is None else failure_of(message.step, refusal)
                reply = Replied(
                    step=message.step,
                    command_id=message.command_id,
                    at=self.log.now,
                    cause=f"reply-{self._replies}",
                    result=None if refusal else answer_to(message.type),
                    failure=failed,
                )
                self._send(reply, self.log.now, ON_REPLY)
            case Replied():
                self._decide(message, crash=fault is Fault.CRASH)
            case Timer():
                due = Due(name=message.name, at=self.log.now, cause=f"timer-{message.name}")
                self._decide(due, crash=fault is Fault.CRASH)

    def _decide(self, given: Input, *, crash: bool) -> None:
        outcome = self.log.decide(given)
        if isinstance(outcome, Transition):
            self._publish(outcome.commands, outcome.timers)
            if crash:
                self._recover(given)
            return
        self.ignored.append(outcome)
        if outcome.why is Why.EARLY and isinstance(given, Due) and outcome.again_at is not None:
            self._push(Timer(name=given.name, due_at=outcome.again_at), outcome.again_at)

    def _recover(self, given: Input) -> None:
        """Do as the service does with an input that it finds in the log: publish its effects."""
        again = self.log.decide(given)
        assert isinstance(again, Ignored)
        assert again.why in {Why.DUPLICATE, Why.CLOSED}
        effects = next(e.effects for e in self.log.entries if e.cause == given.cause)
        self._publish(read_commands(effects), read_timers(effects))

    def _publish(self, commands: tuple[StepCommand, ...], timers: tuple[Timer, ...]) -> None:
        for command in commands:
            self._send(command, self.log.now, ON_COMMAND)
        for timer in timers:
            self._send(timer, timer.due_at, ON_TIMER)

    def _send(self, message: Message, at: datetime, possible: tuple[Fault, ...]) -> None:
        fault = self.plan.get(len(self.possible))
        self.possible.append(possible)
        match fault:
            case Fault.LOSE:
                return
            case Fault.DELAY:
                self._push(message, at + LATE)
            case Fault.EARLY:
                self._push(message, self.log.now)
            case Fault.DOUBLE:
                self._push(message, at)
                self._push(message, at)
            case _:
                self._push(message, at, fault)

    def _push(self, message: Message, at: datetime, fault: Fault | None = None) -> None:
        self._order += 1
        heapq.heappush(self._queue, (at, self._order, message, fault))


def _refusal(fault: Fault | None) -> Refusal | None:
    match fault:
        case Fault.REFUSE:
            return NotFound(what="rack", key="R01")
        case Fault.UNWELL:
            return Unavailable(what="the freezer")
        case _:
            return None
