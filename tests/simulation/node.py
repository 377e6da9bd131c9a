"""A process of a simulated world: takes messages, does one action after the other, and can die.

What it does with a message is a generator that yields its actions. Between any two of them the
process can crash or stand still, and whatever else goes on in the world goes on. The actions
themselves are not known here.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.simulation.broker import ACK_WAIT, Broker, Message
from tests.simulation.dice import WORDS, Dice, Roll, share
from tests.simulation.faults import ON_ACTION, ON_CLOCK, Fault, Faults
from tests.simulation.kernel import MILLISECOND, SECOND, Kernel

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
"""When every world begins."""
SKEW_MAX: Final = 4
"""Seconds by which a wrong clock is wrong, either way."""
ACTION_MAX: Final = 2 * MILLISECOND
DOWN_MIN: Final = 100
DOWN_MAX: Final = 5_000
"""Milliseconds until a process that died is back."""
STALL_MAX: Final = 20
NAK_FIRST: Final = 100 * MILLISECOND
NAK_MAX: Final = 2 * SECOND


class UnacknowledgedError(Exception):
    """The broker said nothing: the action was done, or not."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a process does to the world outside it."""

    name: str
    perform: Callable[[], Any]
    """What it answers is the value of the `yield`; what it raises is raised there."""


Work = Generator[Action, Any, None]


@dataclass(slots=True, eq=False)
class Task:
    """One message being handled."""

    number: int
    message: Message
    work: Work
    point: str
    roll: Roll
    epoch: int
    actions: int = 0


@dataclass(slots=True, eq=False)
class Node:
    """One process."""

    name: str
    kernel: Kernel
    broker: Broker
    dice: Dice
    faults: Faults
    handle: Callable[["Node", Message], Work]
    on_crash: Callable[["Node"], None]
    skew: int = 0
    """Microseconds by which its clock is ahead."""
    up: bool = True
    stalled_until: int = 0
    crashes: int = 0
    tasks: dict[int, Task] = field(default_factory=dict[int, Task])
    _started: int = 0

    def set_clock(self) -> None:
        """Say how wrong the clock is."""
        point = f"clock of {self.name}"
        roll = self.dice.roll(point)
        if self.faults.pick(point, ON_CLOCK, roll[0]):
            self.skew = share(roll, 1, 2 * SKEW_MAX * 1_000) * MILLISECOND - SKEW_MAX * SECOND

    @property
    def at_work(self) -> bool:
        """Whether it takes messages."""
        return self.up and self.stalled_until <= self.kernel.now

    def time(self) -> datetime:
        """Read its clock."""
        return NOON + timedelta(microseconds=self.kernel.now + self.skew)

    def begin(self, message: Message) -> None:
        """Start to handle a message."""
        point = f"{message.label}, delivery {message.delivered}, {self.name}"
        roll = self.dice.roll(point)
        self._started += 1
        task = Task(self._started, message, self.handle(self, message), point, roll, self.crashes)
        self.tasks[task.number] = task
        self._go_on(task, None)

    # One action after the other

    def _go_on(self, task: Task, result: object, error: Exception | None = None) -> None:
        if task.epoch != self.crashes:
            return
        if self.stalled_until > self.kernel.now:
            self.kernel.after(
                self.stalled_until - self.kernel.now, self._go_on, task, result, error
            )
            return
        try:
            action = task.work.send(result) if error is None else task.work.throw(error)
        except StopIteration:
            del self.tasks[task.number]
        except UnacknowledgedError:
            del self.tasks[task.number]
            self._hand_back(task.message)
        else:
            self._begin_action(task, action)

    def _begin_action(self, task: Task, action: Action) -> None:
        task.actions += 1
        number = 2 * task.actions
        point = f"{task.point}, {task.actions} {action.name}"
        wait = 50 + share(task.roll, number, ACTION_MAX)
        fault = self.faults.pick(point, ON_ACTION, task.roll[(number + 1) % WORDS])
        if fault is not None:
            self.kernel.say(self.name, f"{fault} {action.name} ({task.message.label})")
            if fault is Fault.CRASH_BEFORE:
                self.crash()
                return
            if fault is Fault.STALLED:
                self._stall(1 + share(self.dice.roll(point), 0, STALL_MAX))
        self.kernel.after(wait, self._perform, task, action, fault)

    def _perform(self, task: Task, action: Action, fault: Fault | None) -> None:
        # What was sent arrives, even where its sender has died meanwhile.
        if fault is Fault.FAILED:
            self._go_on(task, None, UnacknowledgedError())
            return
        try:
            result = action.perform()
        except Exception as error:  # noqa: BLE001 - carried to whoever does the action
            self._go_on(task, None, error)
            return
        if fault is None:
            self._go_on(task, result)
        elif fault is Fault.CRASH_AFTER and task.epoch == self.crashes:
            self.crash()
        elif fault is Fault.UNACKED:
            self._go_on(task, None, UnacknowledgedError())
        else:
            self._go_on(task, result)

    def _hand_back(self, message: Message) -> None:
        wait = min(NAK_FIRST * 2 ** min(message.delivered - 1, 10), NAK_MAX)
        self.broker.again(message, wait)

    # Dying

    def crash(self) -> None:
        """Die, and come back with nothing remembered."""
        self.crashes += 1
        self.up = False
        self.stalled_until = 0
        for task in self.tasks.values():
            self.broker.again(task.message)
        self.tasks.clear()
        self.on_crash(self)
        down = DOWN_MIN + self.dice.below(f"{self.name} down {self.crashes}", DOWN_MAX - DOWN_MIN)
        self.kernel.after(down * MILLISECOND, self._come_back)

    def _come_back(self) -> None:
        self.up = True
        self.kernel.say(self.name, "is back")

    def _stall(self, seconds: int) -> None:
        self.stalled_until = self.kernel.now + seconds * SECOND
        for task in self.tasks.values():
            # It gives no sign of life: what it holds is handed to others.
            if seconds * SECOND > ACK_WAIT:
                self.broker.again(task.message)
