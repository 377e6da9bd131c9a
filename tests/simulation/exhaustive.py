"""Every single and every double fault of a small saga, one case after the other, none left out.

A run without faults tells where one can strike; a run with one tells where a second can. Faults
strike whatever crosses the border of a process: each message, each action of an orchestrator and of
a participant, each answer. Nobody mends anything: a saga ends by itself, or fails and says where.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sagas.engine.definition import PIVOT, RETRIABLE, Definition, Retry
from sagas.engine.writing import saga, seconds, step
from tests.simulation.definitions import Begin, Do, Undo
from tests.simulation.dice import Dice
from tests.simulation.faults import Chance, Fault, Faults, Plan, Planned
from tests.simulation.world import World

FAULTS: Final = frozenset(
    {
        Fault.CRASH_BEFORE,
        Fault.CRASH_AFTER,
        Fault.UNACKED,
        Fault.LOST,
        Fault.DOUBLED,
        Fault.DELAYED,
        Fault.EARLY,
        Fault.REFUSED,
        Fault.UNWELL,
        Fault.SILENT,
    }
)
"""What strikes: at every place where it can."""

TWICE: Final = Retry(2, backoff_seconds=1)
SHORT: Final = seconds(10)

# One step per line, so that the sagas read as tables.
# fmt: off
NO_PIVOT = saga("no_pivot", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("place", ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
)
UP_TO_THE_PIVOT = saga("up_to_the_pivot", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("hold",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=TWICE),
)
PAST_THE_PIVOT = saga("past_the_pivot", version=1, starts_with=Begin)(
    step("take",  ask=Do, undo=Undo,      within=SHORT, retry=TWICE),
    step("close", ask=Do, kind=PIVOT,     within=SHORT, retry=TWICE),
    step("mark",  ask=Do, kind=RETRIABLE, within=SHORT, retry=TWICE),
)
# fmt: on
Answers = Mapping[str, Mapping[str, Any]]
"""By command type."""
NO_ANSWERS: Final[Mapping[str, Any]] = {}
Make = Callable[[Faults], World]
"""Makes a world in which nothing has happened yet, with these faults."""
SCOPES: Final = (NO_PIVOT, UP_TO_THE_PIVOT, PAST_THE_PIVOT)


@dataclass(slots=True)
class ScopeReport:
    """What became of every case of one saga."""

    saga_type: str
    cases: int = 0
    """The run without a fault, every single fault, every double one."""
    by_faults: Counter[int] = field(default_factory=Counter[int])
    ends: Counter[str] = field(default_factory=Counter[str])
    broken: list[tuple[dict[str, str], str]] = field(
        default_factory=list[tuple[dict[str, str], str]]
    )
    """The faults of a case in which something did not hold, and what."""

    def to_json(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "saga": self.saga_type,
            "cases": self.cases,
            "single": self.by_faults[1],
            "double": self.by_faults[2],
            "ends": dict(sorted(self.ends.items())),
            "broken": [{"faults": plan, "because": why} for plan, why in self.broken],
        }

    def in_words(self) -> str:
        """Say it in a few lines."""
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        head = (
            f"{self.saga_type}: {self.cases} cases "
            f"({self.by_faults[1]} single faults, {self.by_faults[2]} double): {ends}; "
            f"{len(self.broken)} broken"
        )
        return "\n".join([head, *(f"  {why}: {plan}" for plan, why in self.broken[:10])])


def check_scope(
    definition: Definition,
    faults_max: int = 2,
    *,
    answers: Answers = NO_ANSWERS,
    message: Mapping[str, Any] = NO_ANSWERS,
) -> ScopeReport:
    """Run every case of a saga with at most so many faults.

    Participants answer each command with what `answers` says of its type; the saga begins with
    `message`. Nobody sends signals.
    """
    report = ScopeReport(definition.saga_type)

    def make(faults: Faults) -> World:
        return World(
            Dice("every fault"),
            faults,
            range(1),
            (definition,),
            deep_every=1,
            answers=answers,
            message=message,
            peopled=False,
        )

    for plan, world in cases(make, faults_max):
        report.cases += 1
        report.by_faults[len(plan)] += 1
        if world.broken is not None:
            told = {point: str(fault) for point, fault in plan.items()}
            report.broken.append((told, world.broken))
        for log in world.broker.logs.values():
            report.ends[str(log[-1].state.status)] += 1
    return report


def cases(make: Make, faults_max: int) -> Iterator[tuple[Plan, World]]:
    """Run every plan with at most so many faults, each fault behind the one before it."""
    waiting: list[tuple[Plan, int]] = [({}, 0)]
    while waiting:
        plan, behind = waiting.pop()
        faults = Planned(plan)
        world = make(faults)
        world.run()
        yield plan, world
        if len(plan) < faults_max:
            for place, fault in _faults(faults.chances, behind):
                waiting.append(({**plan, faults.chances[place].point: fault}, place + 1))
        world.close()


def _faults(chances: Sequence[Chance], behind: int) -> Iterator[tuple[int, Fault]]:
    for place in range(behind, len(chances)):
        for fault in chances[place].possible.faults:
            if fault in FAULTS:
                yield place, fault
