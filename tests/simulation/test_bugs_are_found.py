"""The simulation is worth something: whoever breaks the engine, or the shell around it, is caught.

Every test breaks one thing, in a copy or under a patch, and simulates until something does not
hold. The complaint must be the one that fits.
"""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from contracts.entry import GENESIS
from contracts.transaction import StepStatus
from sagas.engine.decision import Due, Ignored, Input, Replied, Start, Transition
from sagas.engine.definition import Definition, Step
from sagas.engine.draft import Draft
from sagas.engine.machine import decide
from sagas.engine.state import SagaState
from tests.simulation.broker import Kept, Message
from tests.simulation.node import Action, Node, UnacknowledgedError, Work
from tests.simulation.orchestrator import Answer, Asks, Loaded, Orchestrators
from tests.simulation.run import Arrange, build, shrink_world
from tests.simulation.world import World

SEED = 11
WORLDS_MAX = 150
FAULTS_MAX = 6
SAGAS_MAX = 3
"""No single bug needs more trouble and more sagas than these to show, once shrunk."""
NEVER = 1 << 128
Decided = Transition | Ignored
Appending = Generator[Action, Any, Loaded]


def found(
    arrange: Arrange | None = None, *, seed: int = SEED, worlds: Sequence[int] = range(WORLDS_MAX)
) -> str:
    """Simulate with something broken until it shows; give the complaint."""
    for number in worlds:
        broken = build(seed, number, arrange=arrange).run()
        if broken is not None:
            shrunk = shrink_world(seed, number, arrange=arrange)
            assert len(shrunk.plan) <= FAULTS_MAX, (broken, shrunk.plan)
            assert len(shrunk.numbers) <= SAGAS_MAX
            return shrunk.world.broken or ""
    return "nothing"


def deciding(broken: Callable[[Definition, SagaState | None, Input], Decided]) -> Arrange:
    """Put another engine into a world, and do not decide again with the true one."""

    def arrange(world: World) -> None:
        world.orchestrators.decide = broken
        world.deep_every = NEVER

    return arrange


def orchestrated(shell: type[Orchestrators]) -> Arrange:
    """Put another shell into a world."""

    def arrange(world: World) -> None:
        parts = world.orchestrators
        world.orchestrators = shell(parts.broker, parts.definitions, parts.labels)

    arrange.__name__ = shell.__name__
    return arrange


def name_of(given: object) -> str | None:
    """Name a parameter by the function that it is; texts name themselves."""
    return getattr(getattr(given, "func", given), "__name__", None)


# The shell


class AcknowledgesFirst(Orchestrators):
    """Says that an input need not come again before anything came of it."""

    def handle(self, node: Node, message: Message) -> Work:
        """Acknowledge, then do the rest."""
        yield from self.acknowledge(node, message)
        yield from super().handle(node, message)


class SendsFirst(Orchestrators):
    """Sends commands before their transition is in the log."""

    def append(
        self, node: Node, message: Message, loaded: Loaded, transition: Transition
    ) -> Appending:
        """Send, then append."""
        yield from self.send(node, transition.state, Asks(transition.commands))
        return (yield from super().append(node, message, loaded, transition))


class TakesSilenceForSuccess(Orchestrators):
    """Goes on where the broker did not say that the entry is kept."""

    def append(
        self, node: Node, message: Message, loaded: Loaded, transition: Transition
    ) -> Appending:
        """Append, and believe in it."""
        try:
            return (yield from super().append(node, message, loaded, transition))
        except UnacknowledgedError:
            entry = Kept(loaded.seq, message.id, b"", "", transition.state, {})
            return loaded.after(entry)


class ForgetsTheHash(Orchestrators):
    """Writes entries that do not name the one before."""

    def append(
        self, node: Node, message: Message, loaded: Loaded, transition: Transition
    ) -> Appending:
        """Append as if it were the first."""
        if loaded.newest is not None:
            loaded = replace(loaded, newest=replace(loaded.newest, hash=GENESIS))
        return (yield from super().append(node, message, loaded, transition))


class SendsWhatItDecided(Orchestrators):
    """Sends what it decided on an older state, where another process appended the same input."""

    def when_applied(self, decided: Answer) -> Answer:
        """Believe in it all the same."""
        return decided


def without_compare_and_set(world: World) -> None:
    """Let every append succeed."""
    world.broker.compares = False


def without_sweeper(world: World) -> None:
    """Leave out the second net under the timers."""
    world.sweeps = False


@pytest.mark.parametrize(
    ("arrange", "complaint"),
    [
        (orchestrated(AcknowledgesFirst), "was acknowledged and left no trace"),
        (orchestrated(SendsFirst), "by a command that is not in the log"),
        (orchestrated(TakesSilenceForSuccess), "that is not in the log|left no trace"),
        (orchestrated(ForgetsTheHash), "does not follow the entry before it"),
        (without_compare_and_set, "says that it is number|does not follow|stale timer"),
        (without_sweeper, "for ever"),
    ],
    ids=name_of,
)
def test_a_broken_shell_is_found(arrange: Arrange, complaint: str) -> None:
    """Whoever takes a short cut around the append loses an input, or sends what never was."""
    assert re.search(complaint, found(arrange))


def test_sending_what_was_decided_before_the_race_was_lost_is_found() -> None:
    """So rare that one in thousands of worlds shows it: this one did."""
    complaint = found(orchestrated(SendsWhatItDecided), seed=100, worlds=[1123])
    assert "by a command that is not in the log" in complaint


# The engine, by what it decides


def undoes_under_the_wrong_id(
    definition: Definition, state: SagaState | None, given: Input
) -> Decided:
    """Ask for an undo under the id of what is to be undone."""
    answer = decide(definition, state, given)
    if isinstance(answer, Ignored):
        return answer
    steps = answer.state.steps
    commands = tuple(
        replace(one, command_id=steps[one.step].asked[-1]) if one.undo else one
        for one in answer.commands
    )
    return replace(answer, commands=commands)


def acts_on_stale_timers(definition: Definition, state: SagaState | None, given: Input) -> Decided:
    """Take any timer of a step for the one that counts."""
    step = None if state is None else state.steps.get(_step_of(given))
    stale = isinstance(given, Due) and step is not None and step.timer not in {None, given.name}
    if not stale or state is None or step is None:
        return decide(definition, state, given)
    believed = step._replace(timer=getattr(given, "name", None), due_at=given.at)
    return decide(
        definition, state._replace(steps={**state.steps, _step_of(given): believed}), given
    )


def _step_of(given: Input) -> str:
    return given.name.rpartition(".")[0] if isinstance(given, Due) else ""


def decides_by_its_own_clock(
    ticks: list[None], definition: Definition, state: SagaState | None, given: Input
) -> Decided:
    """Let something count that is in no input."""
    answer = decide(definition, state, given)
    if isinstance(answer, Ignored):
        return answer
    ticks.append(None)
    later = timedelta(milliseconds=len(ticks))
    timers = tuple(replace(one, due_at=one.due_at + later) for one in answer.timers)
    return replace(answer, timers=timers)


def takes_refusals_for_answers(
    definition: Definition, state: SagaState | None, given: Input
) -> Decided:
    """Take a step as done whatever its participant said."""
    if isinstance(given, Replied) and given.failure is not None:
        given = replace(given, failure=None, result={})
    return decide(definition, state, given)


def begins_anew(definition: Definition, state: SagaState | None, given: Input) -> Decided:
    """Begin a saga again where its start comes again."""
    return decide(definition, None if isinstance(given, Start) else state, given)


@pytest.mark.parametrize(
    ("engine", "complaint"),
    [
        (undoes_under_the_wrong_id, "by a command that is not in the log"),
        (acts_on_stale_timers, "acted upon the stale timer"),
        (takes_refusals_for_answers, "stands done [01] times"),
    ],
    ids=name_of,
)
def test_a_broken_engine_is_found(
    engine: Callable[[Definition, SagaState | None, Input], Decided], complaint: str
) -> None:
    """Whatever it decides wrongly shows in what stands done, or in what it acted upon."""
    assert re.search(complaint, found(deciding(engine)))


def test_an_engine_that_knows_more_than_its_inputs_is_found() -> None:
    """Deciding again on what the log recorded gives what the log recorded."""

    def arrange(world: World) -> None:
        world.orchestrators.decide = partial(decides_by_its_own_clock, [])
        world.deep_every = 1

    assert "decided again, it comes out otherwise" in found(arrange)


# The engine, from within


@dataclass(frozen=True, slots=True)
class Patch:
    """One thing that is otherwise within the engine."""

    target: str
    value: object
    complaint: str


def asks_anew(original: Callable[..., None]) -> Callable[..., None]:
    """Give every attempt an id of its own, also where nobody answered the one before."""

    def ask(self: Draft, step: Step, *, undo: bool, anew: bool = False) -> None:
        del anew
        original(self, step, undo=undo, anew=True)

    return ask


def always(definition: Definition, state: SagaState) -> bool:
    """Let any saga turn back."""
    del definition, state
    return True


def never_pauses(state: SagaState) -> bool:
    """Let a paused saga go on."""
    return state.status.ended


PATCHES = [
    Patch("sagas.engine.draft.Draft.ask", asks_anew(Draft.ask), "was done twice"),
    Patch("sagas.engine.ways.MAY_BE_DONE", frozenset({StepStatus.DONE}), "stands done 1 times"),
    Patch("sagas.engine.machine.CLOCK_SKEW_MAX", timedelta(days=1), "too early"),
    Patch("sagas.engine.machine.may_turn_back", always, "stands done 1 times"),
    Patch("sagas.engine.machine.stands_still", never_pauses, "stale timer"),
]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.target.rpartition(".")[2])
def test_a_rule_taken_out_of_the_engine_is_missed(
    patch: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rule that carries the engine is there for a reason that the simulation knows."""
    monkeypatch.setattr(patch.target, patch.value)
    assert re.search(patch.complaint, found())


# The participants


class Nothing(dict[Any, Any]):
    """A memory that keeps nothing."""

    def __setitem__(self, key: object, value: object) -> None:
        """Forget it at once."""


def forgetful(world: World) -> None:
    """Let participants forget what they answered."""
    world.participants.bench.outcomes = Nothing()


def test_a_participant_that_forgets_its_outcomes_is_found() -> None:
    """A command that comes twice must not be carried out twice."""
    assert "was done twice" in found(forgetful)


def test_nothing_is_found_where_nothing_is_broken() -> None:
    """The worlds in which bugs are looked for hold without one."""
    assert [build(SEED, number).run() for number in range(40)] == [None] * 40
