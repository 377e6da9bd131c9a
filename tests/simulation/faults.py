"""Which faults there are, and which of them strike: by chance, or as a list says.

A place where something can go wrong is named by a text (`point`) that is the same in every run with
the same seed. A run by chance keeps the list of what it did, which is then a plan of its own: the
shrinker leaves faults out of it, the exhaustive check writes such lists itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tests.simulation.dice import WORD, Dice


class Fault(StrEnum):
    """What can go wrong."""

    # with a message
    LOST = "lost"
    """The broker loses it, and that it ever had it: as after a loss of power."""
    SWALLOWED = "swallowed"
    """It is never handed out, yet a repetition of it is taken for a duplicate."""
    DOUBLED = "doubled"
    DELAYED = "delayed"
    EARLY = "early"
    """A timer fires before its time."""

    # with what a process does
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    """It was done, and the process dies before it hears so."""
    UNACKED = "unacknowledged"
    """It was done, and the process hears nothing of it."""
    FAILED = "failed"
    """It was not done, and the process hears nothing of it."""
    STALLED = "stalled"
    """The process stands still; others take its work over, and then it goes on."""

    # with a participant's answer
    REFUSED = "refused"
    UNWELL = "unwell"
    SILENT = "silent"
    """It takes the command, and nothing more is heard of it."""

    # with the world
    SKEWED = "skewed"
    """A clock is wrong."""
    MOVED = "moved"
    """A partition gets another owner while the former one still works."""
    PAUSED = "paused"
    """A person lets a saga stand still, and lets it go on later."""
    CANCELLED = "cancelled"
    MEDDLED = "meddled"
    """A person gives an order that may make no sense."""


@dataclass(frozen=True, slots=True, eq=False)
class Possible:
    """What can go wrong at places of one kind."""

    faults: tuple[Fault, ...]


ON_MESSAGE: Final = Possible((Fault.LOST, Fault.SWALLOWED, Fault.DOUBLED, Fault.DELAYED))
ON_TIMER: Final = Possible((*ON_MESSAGE.faults, Fault.EARLY))
ON_ACTION: Final = Possible(
    (Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.UNACKED, Fault.FAILED, Fault.STALLED)
)
ON_ANSWER: Final = Possible((Fault.REFUSED, Fault.UNWELL, Fault.SILENT))
ON_CLOCK: Final = Possible((Fault.SKEWED,))
ON_OWNER: Final = Possible((Fault.MOVED,))
ON_SAGA: Final = Possible((Fault.PAUSED, Fault.CANCELLED, Fault.MEDDLED))

Plan = Mapping[str, Fault]
"""By point."""

SHARES: Final = {
    Fault.LOST: 60,
    Fault.SWALLOWED: 30,
    Fault.DOUBLED: 150,
    Fault.DELAYED: 150,
    Fault.EARLY: 100,
    Fault.CRASH_BEFORE: 20,
    Fault.CRASH_AFTER: 20,
    Fault.UNACKED: 60,
    Fault.FAILED: 60,
    Fault.STALLED: 20,
    Fault.REFUSED: 150,
    Fault.UNWELL: 300,
    Fault.SILENT: 100,
    Fault.SKEWED: 5_000,
    Fault.MOVED: 5_000,
    Fault.PAUSED: 300,
    Fault.CANCELLED: 300,
    Fault.MEDDLED: 200,
}
"""How often each strikes where it can, in 10,000, in a world of middling trouble."""
TROUBLES: Final = (0, 1, 1, 1, 2, 5)
"""By what that is multiplied: one of these per world and fault, so that worlds differ in kind."""


@dataclass(frozen=True, slots=True)
class Chance:
    """A place where a fault could have struck."""

    point: str
    possible: Possible


class Faults(ABC):
    """The faults of one run."""

    def __init__(self) -> None:
        """Nothing struck yet."""
        self.struck: dict[str, Fault] = {}

    @abstractmethod
    def pick(self, point: str, possible: Possible, number: int) -> Fault | None:
        """Say what goes wrong at a point; `number` is a roll's word."""

    @abstractmethod
    def cease(self) -> None:
        """Let nothing go wrong from now on."""


class ByChance(Faults):
    """Faults strike as the dice fall."""

    def __init__(self, dice: Dice) -> None:
        """Say how much trouble this world has."""
        super().__init__()
        self._rates = {
            fault: share * WORD // 10_000 * TROUBLES[dice.below(f"rate {fault}", len(TROUBLES))]
            for fault, share in SHARES.items()
        }
        self._bounds: dict[Possible, tuple[int, ...]] = {}
        self._over = False

    def pick(self, point: str, possible: Possible, number: int) -> Fault | None:
        """Say what goes wrong at a point."""
        if self._over:
            return None
        bounds = self._bounds.get(possible)
        if bounds is None:
            bounds = self._bounds[possible] = self._add_up(possible)
        if number >= bounds[-1]:
            return None
        each = zip(possible.faults, bounds, strict=True)
        fault = next(one for one, bound in each if number < bound)
        self.struck[point] = fault
        return fault

    def cease(self) -> None:
        """Let nothing go wrong from now on."""
        self._over = True

    def _add_up(self, possible: Possible) -> tuple[int, ...]:
        total, bounds = 0, list[int]()
        for fault in possible.faults:
            total += self._rates[fault]
            bounds.append(total)
        return tuple(bounds)


class Planned(Faults):
    """Exactly the faults of a list strike; the places where others could have are noted."""

    def __init__(self, plan: Plan) -> None:
        """Take the list."""
        super().__init__()
        self._plan = plan
        self.chances: list[Chance] = []
        """In the order in which the run came to them."""

    def pick(self, point: str, possible: Possible, number: int) -> Fault | None:
        """Say what goes wrong at a point; the roll does not matter."""
        del number
        self.chances.append(Chance(point, possible))
        fault = self._plan.get(point)
        if fault is None or fault not in possible.faults:
            return None
        self.struck[point] = fault
        return fault

    def cease(self) -> None:
        """A list ends by itself."""
