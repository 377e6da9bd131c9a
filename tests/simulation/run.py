"""Many worlds, one after the other or beside each other in processes, and one report of all.

Worlds have nothing to do with each other, so it does not matter which process runs one: the hash
over all of them is over their hashes in order.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import chain
from typing import Any, Final

from sagas.engine.definition import Definition
from tests.simulation.definitions import ALL
from tests.simulation.dice import Dice
from tests.simulation.faults import ByChance, Faults, Planned
from tests.simulation.shrink import Shrunk, shrink
from tests.simulation.world import World

SAGAS_PER_WORLD: Final = 16
WORLDS_PER_TASK: Final = 20
"""Between two signs of progress."""
Arrange = Callable[[World], None]
"""Changes a world before it runs: how a test breaks a part of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one world."""

    number: int
    hash: str
    """Of its trace."""
    broken: str | None
    ends: Counter[str]
    """Sagas by their last status, children included."""
    faults: Counter[str]
    transitions: int


@dataclass(slots=True)
class Report:
    """What became of many worlds."""

    seed: int
    sagas: int = 0
    worlds: int = 0
    transitions: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    broken: list[Found] = field(default_factory=list[Found])
    _hash: Any = field(default_factory=sha256)

    def add(self, found: Found, sagas: int) -> None:
        """Count one more world; they come in order."""
        self.sagas += sagas
        self.worlds += 1
        self.transitions += found.transitions
        self.ends += found.ends
        self.faults += found.faults
        self._hash.update(found.hash.encode())
        if found.broken is not None:
            self.broken.append(found)

    @property
    def trace_hash(self) -> str:
        """The hexadecimal SHA-256 over the traces of all worlds."""
        return str(self._hash.hexdigest())

    def to_json(self, *, elapsed_seconds: float) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "seed": self.seed,
            "sagas": self.sagas,
            "worlds": self.worlds,
            "transitions": self.transitions,
            "trace_hash": self.trace_hash,
            "ends": dict(sorted(self.ends.items())),
            "faults": dict(sorted(self.faults.items())),
            "broken": [{"world": one.number, "because": one.broken} for one in self.broken],
            "per_second": round(self.sagas / elapsed_seconds, 1),
        }


def build(
    seed: int,
    number: int,
    faults: Faults | None = None,
    numbers: Sequence[int] = range(SAGAS_PER_WORLD),
    *,
    definitions: Sequence[Definition] = ALL,
    arrange: Arrange | None = None,
) -> World:
    """Make a world; its faults strike by chance unless they are given."""
    dice = Dice(seed, number)
    # Each world begins the table elsewhere, so that a few of them have everything.
    turned = (*definitions[number % len(definitions) :], *definitions[: number % len(definitions)])
    world = World(dice, faults or ByChance(dice), numbers, turned)
    if arrange is not None:
        arrange(world)
    return world


def run_one(seed: int, number: int, sagas: int, definitions: Sequence[Definition]) -> Found:
    """Run one world by chance."""
    world = build(seed, number, numbers=range(sagas), definitions=definitions)
    world.run()
    found = Found(
        number,
        world.kernel.hash(),
        world.broken,
        Counter(str(log[-1].state.status) for log in world.broker.logs.values()),
        Counter(str(fault) for fault in world.faults.struck.values()),
        sum(map(len, world.broker.logs.values())),
    )
    world.close()
    return found


def run_some(
    seed: int, definitions: Sequence[Definition], sizes: Sequence[tuple[int, int]]
) -> list[Found]:
    """Run some worlds by chance; each as its number and how many sagas it has."""
    # A world that is closed leaves no cycles: looking for some would take a tenth of the time.
    gc.disable()
    try:
        return [run_one(seed, number, sagas, definitions) for number, sagas in sizes]
    finally:
        gc.enable()


def size_of(number: int, sagas: int) -> int:
    """Say how many of so many sagas a world has: all worlds but the last are full."""
    return min(SAGAS_PER_WORLD, sagas - number * SAGAS_PER_WORLD)


def simulate(
    seed: int,
    sagas: int,
    *,
    definitions: Sequence[Definition] = ALL,
    processes: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Simulate so many sagas; the same seed finds the same, however many processes there are."""
    report = Report(seed)
    sizes = [(number, size_of(number, sagas)) for number in range(-(-sagas // SAGAS_PER_WORLD))]
    tasks = [
        sizes[first : first + WORLDS_PER_TASK] for first in range(0, len(sizes), WORLDS_PER_TASK)
    ]
    by_number = dict(sizes)
    for found in _spread(partial(run_some, seed, definitions), tasks, processes):
        report.add(found, by_number[found.number])
        if progress is not None:
            progress(report.sagas)
    return report


def _spread(
    work: Callable[[Sequence[tuple[int, int]]], list[Found]],
    tasks: Sequence[Sequence[tuple[int, int]]],
    processes: int,
) -> Iterator[Found]:
    if processes == 1:
        yield from chain.from_iterable(map(work, tasks))
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from chain.from_iterable(pool.map(work, tasks))


def shrink_world(
    seed: int,
    number: int,
    *,
    sagas: int = SAGAS_PER_WORLD,
    definitions: Sequence[Definition] = ALL,
    arrange: Arrange | None = None,
) -> Shrunk:
    """Run a world once more, and shrink it where it fails."""
    world = build(seed, number, numbers=range(sagas), definitions=definitions, arrange=arrange)
    if world.run() is None:
        return Shrunk(world, tuple(world.numbers), world.faults.struck, runs=1)

    def again(faults: Planned, numbers: Sequence[int]) -> World:
        return build(seed, number, faults, numbers, definitions=definitions, arrange=arrange)

    return shrink(world, again)
