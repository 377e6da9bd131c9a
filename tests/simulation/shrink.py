"""From a failing world to the least that fails the same way: fewer sagas, then fewer faults.

Delta debugging: leave out half, then quarters, and so on down to single ones, and keep what still
fails with the same complaint. Nothing is random here, so a failure always shrinks to the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from tests.simulation.faults import Fault, Plan, Planned
from tests.simulation.world import World

PartT = TypeVar("PartT")

RUNS_MAX: Final = 2_000
"""Worlds that are run to shrink one failure."""
Build = Callable[[Planned, Sequence[int]], World]
"""Makes the failing world anew, with these faults and these sagas."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The least that was found to fail."""

    world: World
    """Run to its end."""
    numbers: tuple[int, ...]
    plan: Plan
    runs: int
    """How many worlds were run to find it."""


def shrink(failed: World, build: Build) -> Shrunk:
    """Shrink a world that failed."""
    search = _Search(build, _kind(failed.broken))
    numbers, faults = tuple(failed.numbers), tuple(failed.faults.struck.items())
    size = 1 + len(numbers) + len(faults)
    while len(numbers) + len(faults) < size:
        size = len(numbers) + len(faults)
        numbers = search.fewer_sagas(numbers, faults)
        faults = search.fewer_faults(numbers, faults)
    return Shrunk(search.run(numbers, faults) or failed, numbers, dict(faults), search.runs)


Struck = tuple[tuple[str, Fault], ...]


class _Search:
    """Runs variants of one world, and says which still fail in the same way."""

    def __init__(self, build: Build, kind: str) -> None:
        self._build = build
        self._kind = kind
        self.runs = 0

    def fewer_sagas(self, numbers: tuple[int, ...], faults: Struck) -> tuple[int, ...]:
        return least(numbers, lambda some: self._fails(some, faults))

    def fewer_faults(self, numbers: tuple[int, ...], faults: Struck) -> Struck:
        return least(faults, lambda some: self._fails(numbers, some))

    def _fails(self, numbers: tuple[int, ...], faults: Struck) -> bool:
        return self.runs < RUNS_MAX and self.run(numbers, faults) is not None

    def run(self, numbers: tuple[int, ...], faults: Struck) -> World | None:
        self.runs += 1
        world = self._build(Planned(dict(faults)), numbers)
        world.run()
        return world if _kind(world.broken) == self._kind else None


def least(
    parts: tuple[PartT, ...], fails: Callable[[tuple[PartT, ...]], bool]
) -> tuple[PartT, ...]:
    """Leave out as many parts as can be, while what is left still fails."""
    size = len(parts)
    while size >= 1 and parts:
        size = min(size, len(parts))
        start = 0
        while start < len(parts):
            fewer = parts[:start] + parts[start + size :]
            if fails(fewer):
                parts = fewer
            else:
                start += size
        size //= 2
    return parts


def _kind(broken: str | None) -> str:
    """Say what kind of complaint it is: without names, numbers and ids."""
    words = (broken or "").replace(",", " ").replace(":", " ").split()
    return " ".join(w for w in words if w.isalpha())
