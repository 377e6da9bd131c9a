"""The broker of a simulated world: logs with compare-and-set, work queues, schedules, dedupe.

It promises what JetStream promises: an entry follows exactly the one that its writer knew; a
message is handed out until it is acknowledged, sometimes twice; a second message with the same id
is dropped within a window; a schedule on a subject replaces the one before. Nothing is decided
here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sagas.engine.state import SagaState
from tests.simulation.dice import Dice, Roll, share
from tests.simulation.faults import ON_MESSAGE, ON_TIMER, Fault, Faults
from tests.simulation.kernel import MILLISECOND, SECOND, Kernel

ACK_WAIT: Final = 2_500 * MILLISECOND
"""After this, what was handed out and not acknowledged is handed out again."""
LOOK_AGAIN: Final = 500 * MILLISECOND
"""When a message is offered again that nobody was there to take."""
DELAY_MAX: Final = 240
"""Seconds for which a message may be held up."""
HOP_MAX: Final = 3 * MILLISECOND


class Queue(StrEnum):
    """Where a message waits."""

    INPUTS = "inputs"
    """Starts, answers, timers and orders, for the orchestrators."""
    COMMANDS = "commands"
    """For the participants."""


WINDOWS: Final = {Queue.INPUTS: 120 * SECOND, Queue.COMMANDS: 600 * SECOND}
"""How long the id of a message is known."""


@dataclass(slots=True, eq=False)
class Message:
    """One message on its way."""

    label: str
    """What it is, for people and for the names of faults."""
    id: str
    """By this whoever takes it tells a repetition."""
    queue: Queue
    saga_id: UUID
    body: Any
    key: str = ""
    """By this the broker tells a repetition; empty where that is the id."""
    window: int = 0
    """Microseconds for which its id is known; 0 for what its queue says."""
    delivered: int = 0
    done: bool = False
    """Acknowledged, or given up: not handed out again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry of a log."""

    seq: int
    cause: str
    body: bytes
    hash: str
    state: SagaState
    """What folding the log up to here gives; checked against the bytes at the end."""
    effects: dict[str, Any]


@dataclass(slots=True)
class Schedule:
    """A message that the broker will put into a queue at a time."""

    message: Message
    due: int
    """By the broker's own clock."""


class ConflictError(Exception):
    """The log has another newest entry than its writer thought."""


Take = Callable[[Message], bool]
"""Hands a message to whoever should have it; False where nobody is there."""
Watch = Callable[[UUID, Kept, SagaState | None], None]


@dataclass(slots=True)
class Broker:
    """The broker of one world."""

    kernel: Kernel
    dice: Dice
    faults: Faults
    take: dict[Queue, Take] = field(default_factory=dict[Queue, Take])
    watch: Watch | None = None
    """Told of every entry that was appended, and of the state before it."""
    logs: dict[UUID, list[Kept]] = field(default_factory=dict[UUID, list[Kept]])
    heard: dict[UUID, set[str]] = field(default_factory=dict[UUID, set[str]])
    """The causes in each log."""
    dead: list[tuple[Message, str]] = field(default_factory=list[tuple[Message, str]])
    compares: bool = True
    """Whether an append is refused where the log has moved on: what JetStream is asked for."""
    slots: dict[str, Schedule] = field(default_factory=dict[str, Schedule])
    _known: dict[str, int] = field(default_factory=dict[str, int])
    _copies: dict[str, int] = field(default_factory=dict[str, int])
    _seq: int = 0

    # Logs

    def append(self, saga_id: UUID, expected: int, kept: Kept) -> Kept:
        """Append an entry to a saga's log.

        Raises:
            ConflictError: its newest entry has another sequence than `expected`.
        """
        log = self.logs.setdefault(saga_id, [])
        if self.compares and (log[-1].seq if log else 0) != expected:
            raise ConflictError
        self._seq += 1
        kept = replace(kept, seq=self._seq)
        before = log[-1].state if log else None
        log.append(kept)
        self.heard.setdefault(saga_id, set()).add(kept.cause)
        if self.watch is not None:
            self.watch(saga_id, kept, before)
        return kept

    def newest(self, saga_id: UUID) -> Kept | None:
        """Read the newest entry of a saga's log."""
        log = self.logs.get(saga_id)
        return log[-1] if log else None

    # Queues

    def publish(self, message: Message) -> None:
        """Store a message, and hand it out as soon as somebody is there."""
        window = message.window or WINDOWS[message.queue]
        if not self._is_new(message, window):
            return
        point, roll = self._point(message)
        wait = 50 + share(roll, 1, HOP_MAX)
        match self.faults.pick(point, ON_MESSAGE, roll[0]):
            case Fault.LOST:
                self._forget(message)
                self.kernel.say("broker", f"lost {message.label}")
                return
            case Fault.SWALLOWED:
                self.kernel.say("broker", f"swallowed {message.label}")
                return
            case Fault.DELAYED:
                wait = (1 + share(roll, 2, DELAY_MAX)) * SECOND
                self.kernel.say("broker", f"delayed {message.label} by {wait // SECOND} s")
            case Fault.DOUBLED:
                later = share(roll, 3, 2) * share(roll, 2, DELAY_MAX) * SECOND + share(
                    roll, 4, HOP_MAX
                )
                self.kernel.say("broker", f"doubled {message.label}")
                self.kernel.after(later, self.hand_out, replace(message))
            case _:
                pass
        self.kernel.after(wait, self.hand_out, message)

    def hand_out(self, message: Message) -> None:
        """Give a message to whoever should have it, unless it is done with."""
        if message.done:
            return
        message.delivered += 1
        if not self.take[message.queue](message):
            message.delivered -= 1
            self.kernel.after(LOOK_AGAIN, self.hand_out, message)

    def again(self, message: Message, wait: int = ACK_WAIT) -> None:
        """Hand a message out again after a while, unless it is done with by then."""
        self.kernel.after(wait, self.hand_out, message)

    def bury(self, message: Message, reason: str) -> None:
        """Keep a message for a person."""
        self.dead.append((message, reason))

    # Schedules

    def schedule(self, subject: str, message: Message, due: int) -> None:
        """Put a message into its queue at a time, instead of what the subject has scheduled."""
        if not self._is_new(message, WINDOWS[message.queue]):
            return
        point, roll = self._point(message)
        fault = self.faults.pick(point, ON_TIMER, roll[0])
        if fault is not None:
            self.kernel.say("broker", f"{fault} {message.label}")
        if fault is Fault.LOST:
            self._forget(message)
            return
        if fault is Fault.DELAYED:
            due += (1 + share(roll, 2, DELAY_MAX)) * SECOND
        elif fault is Fault.EARLY:
            due = self.kernel.now + share(roll, 2, HOP_MAX)
        schedule = self.slots[subject] = Schedule(message, due)
        wait = max(due - self.kernel.now, 0) + share(roll, 1, HOP_MAX)
        if fault is not Fault.SWALLOWED:
            self.kernel.after(wait, self._fire, subject, schedule)
        if fault is Fault.DOUBLED:
            self.kernel.after(wait + SECOND, self.hand_out, replace(message))

    def _fire(self, subject: str, schedule: Schedule) -> None:
        if self.slots.get(subject) is schedule:
            del self.slots[subject]
            self.hand_out(schedule.message)

    # Both

    def _is_new(self, message: Message, window: int) -> bool:
        key = message.key or message.id
        since = self._known.get(key)
        if since is not None and self.kernel.now - since < window:
            return False
        self._known[key] = self.kernel.now
        return True

    def _forget(self, message: Message) -> None:
        del self._known[message.key or message.id]

    def _point(self, message: Message) -> tuple[str, Roll]:
        copy = self._copies.get(message.label, 0) + 1
        self._copies[message.label] = copy
        point = message.label if copy == 1 else f"{message.label}, copy {copy}"
        return point, self.dice.roll(point)
