"""Every saga of the laboratory, along all of its paths, with simulated participants.

Participants answer what their contracts say as examples; each course that is driven here is decided
again from its bytes, and replayed as an export.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from contracts import catalog
from contracts.catalog import COMMANDS
from contracts.errors import NotFound
from contracts.export.examples import example
from contracts.message import result_of
from contracts.sequencing import RunFolderIncomplete
from contracts.transaction import StepStatus, TransactionStatus
from infra.bus.streams import COMMAND_OWNERS
from sagas.definitions import (
    ALL,
    BULK_IMPORT,
    EXCURSION_RESPONSE,
    RUN_COMPLETION,
    SAMPLE_DISPOSAL,
    SEQUENCING_RUN,
)
from sagas.engine.definition import COMPENSATABLE, PIVOT, QUERY, RETRIABLE, Definition, Step
from sagas.engine.record import read_commands
from sagas.replay.replay import replay
from services.catalog import NAMES
from tests.sagas.chronicle import Chronicle
from tests.simulation.exhaustive import check_scope

Answers = Mapping[str, Mapping[str, Any]]
"""What steps answer otherwise than their contracts' examples, by step."""

REFUSED: Final = NotFound(what="thing", key="T-1")
SIGNALS: Final[Mapping[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    "review": (("reviewer", {"outcome": "released"}),),
    "approve": (("grace", {"approved": True}), ("lise", {"approved": True})),
    "pipetted": (("bench", {}),),
}
"""Who says what, to each step that waits."""
SURE: Final[Answers] = {"verdict": {"in_doubt": False}}
"""The gates agree unless a test says otherwise."""
ANYWHERE: Final = [(one, step) for one in ALL for step in one.steps]


@dataclass
class Course:
    """One saga on its way; participants answer as soon as they are asked."""

    definition: Definition
    answers: Answers = field(default_factory=lambda: SURE)
    signals: Mapping[str, tuple[tuple[str, dict[str, Any]], ...]] = field(
        default_factory=lambda: SIGNALS
    )

    def __post_init__(self) -> None:
        """Nothing has happened yet."""
        self.log = Chronicle(self.definition, example(self.definition.starts_with))

    def run(self, until: str | None = None) -> None:
        """Go on to the end, or until a step is waited for alone."""
        if self.log.state is None:
            self.log.begin()
        while not self.log.status().ended:
            outstanding = [n for n, one in self.log.saga.steps.items() if one.outstanding]
            if outstanding == [until]:
                return
            self._serve(next(name for name in outstanding if name != until))

    def refuse(self, step: str) -> None:
        """Let a step be refused, every time that it is asked."""
        self.run(step)
        while self.log.saga.steps[step].outstanding:
            if self.log.saga.steps[step].postponed:
                self.log.due(step)
            else:
                self.log.reply(step, refusal=REFUSED)
        self.run()

    def silence(self, step: str) -> None:
        """Let nobody answer a step, however often it is asked."""
        self.run(step)
        self.log.give_up(step)
        self.run()

    def undone(self) -> list[str]:
        """Name the steps that were asked to be undone, in order."""
        commands = (one for e in self.log.entries for one in read_commands(e.effects))
        return [one.step for one in commands if one.undo]

    def done(self) -> list[Step]:
        """List the steps that were done, in the order of the table."""
        statuses = self.log.statuses()
        return [one for one in self.definition.steps if statuses[one.name] is StepStatus.DONE]

    def check(self) -> None:
        """See that the same comes out again: from the log's bytes, and from its export."""
        self.log.verify()
        report = replay([self.log.export()])
        assert report.ok, report.to_json()

    def _serve(self, name: str) -> None:
        stands, step = self.log.saga.steps[name], self.definition.by_name[name]
        if stands.postponed:
            self.log.due(name)
        elif step.awaited is not None:
            for by, data in self.signals[name]:
                self.log.signal(step.awaited.signal, by, **data)
        else:
            command = step.undo if stands.status is StepStatus.UNDOING else step.ask
            assert command is not None
            answer = example(result_of(command)).model_dump(mode="json")
            self.log.reply(name, result={**answer, **self.answers.get(name, {})})


def undoable(course: Course) -> list[str]:
    """Name the steps that were done and have an undo, the newest first."""
    return [one.name for one in reversed(course.done()) if one.undo is not None]


def named(given: object) -> str:
    """Name a definition or a step."""
    return given.saga_type if isinstance(given, Definition) else getattr(given, "name", str(given))


def of_kind(*kinds: object, waits: bool = False) -> Iterator[tuple[Definition, Step]]:
    """List the steps of some kinds, which wait for people or do not."""
    for definition, step in ANYWHERE:
        if step.kind in kinds and (step.awaited is not None) == waits:
            yield definition, step


EXPECTED_SKIPPED: Final = {
    "excursion_response": {"discard"},
    "run_completion": {"review"},
}
"""Steps that the standard course of a saga does not need."""


@pytest.mark.parametrize("definition", ALL, ids=named)
def test_a_saga_in_which_all_goes_well_completes(definition: Definition) -> None:
    """Every step is done but those that are not needed, and nothing is undone."""
    course = Course(definition)
    course.run()
    assert course.log.status() is TransactionStatus.COMPLETED
    skipped = {n for n, one in course.log.statuses().items() if one is StepStatus.SKIPPED}
    assert skipped == EXPECTED_SKIPPED.get(definition.saga_type, set())
    assert len(course.done()) == len(definition.steps) - len(skipped)
    assert course.undone() == []
    course.check()


@pytest.mark.parametrize(("definition", "step"), [*of_kind(QUERY, COMPENSATABLE, PIVOT)], ids=named)
def test_a_refusal_before_the_point_of_no_return_undoes_the_rest(
    definition: Definition, step: Step
) -> None:
    """What was done is undone, the newest first, and nothing else is; then nothing is left."""
    course = Course(definition)
    course.run(step.name)
    before = undoable(course)
    course.refuse(step.name)
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.log.statuses()[step.name] is StepStatus.REFUSED
    assert course.undone() == before
    assert undoable(course) == []
    course.check()


@pytest.mark.parametrize(("definition", "step"), [*of_kind(COMPENSATABLE)], ids=named)
def test_a_step_that_nobody_answers_is_undone_with_the_rest(
    definition: Definition, step: Step
) -> None:
    """It may have been done, so its own undo comes first."""
    course = Course(definition)
    course.run(step.name)
    before = undoable(course)
    course.silence(step.name)
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.undone() == [step.name, *before]
    course.check()


@pytest.mark.parametrize(("definition", "step"), [*of_kind(QUERY)], ids=named)
def test_a_question_that_nobody_answers_undoes_what_was_done(
    definition: Definition, step: Step
) -> None:
    """There is nothing of its own to undo."""
    course = Course(definition)
    course.run(step.name)
    before = undoable(course)
    course.silence(step.name)
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.undone() == before
    course.check()


@pytest.mark.parametrize(("definition", "step"), [*of_kind(PIVOT)], ids=named)
def test_a_pivot_that_nobody_answers_needs_a_person(definition: Definition, step: Step) -> None:
    """Perhaps it was done: neither way is safe, so nothing is undone."""
    course = Course(definition)
    course.silence(step.name)
    assert course.log.status() is TransactionStatus.FAILED
    assert course.log.statuses()[step.name] is StepStatus.STUCK
    assert course.undone() == []
    course.check()


def needed_after_the_pivot() -> Iterator[tuple[Definition, Step]]:
    """List the retriable steps that the standard course needs."""
    for definition, step in of_kind(RETRIABLE):
        if step.name not in EXPECTED_SKIPPED.get(definition.saga_type, set()):
            yield definition, step


@pytest.mark.parametrize(("definition", "step"), [*needed_after_the_pivot()], ids=named)
def test_a_refusal_after_the_point_of_no_return_undoes_nothing(
    definition: Definition, step: Step
) -> None:
    """An optional step is skipped; any other one stops the saga for a person to look at."""
    course = Course(definition)
    course.refuse(step.name)
    ended = TransactionStatus.COMPLETED if step.optional else TransactionStatus.FAILED
    stands = StepStatus.SKIPPED if step.optional else StepStatus.STUCK
    assert (course.log.status(), course.log.statuses()[step.name]) == (ended, stands)
    assert course.undone() == []
    course.check()


def before_the_pivot() -> Iterator[tuple[Definition, Step]]:
    """List the steps at which the deadline of the whole saga turns it back."""
    for definition, step in of_kind(QUERY, COMPENSATABLE):
        if definition.within:
            yield definition, step


@pytest.mark.parametrize(("definition", "step"), [*before_the_pivot()], ids=named)
def test_a_deadline_before_the_point_of_no_return_undoes_what_was_done(
    definition: Definition, step: Step
) -> None:
    """A saga turns back when its own deadline passes; what is asked just then may be done."""
    course = Course(definition)
    course.run(step.name)
    before = undoable(course)
    course.log.deadline()
    course.run()
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.log.saga.failure is not None
    assert course.log.saga.failure.code == "transaction.deadline_passed"
    assert course.undone() == ([step.name, *before] if step.undo else before)
    course.check()


# Where people are waited for


def test_a_disposal_that_somebody_denies_is_undone() -> None:
    """One of two is enough to stop it: the samples are on hold no more."""
    no = {"approve": (("grace", {"approved": True}), ("lise", {"approved": False}))}
    course = Course(SAMPLE_DISPOSAL, signals=no)
    course.run()
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.undone() == ["hold"]
    course.check()


def test_a_disposal_for_which_nobody_answers_is_undone() -> None:
    """After two weeks the samples are free again, and the failure says who did not come."""
    course = Course(SAMPLE_DISPOSAL)
    course.silence("approve")
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.log.saga.failure is not None
    assert course.log.saga.failure.code == "transaction.signal_missing"
    assert course.undone() == ["hold"]
    course.check()


def test_what_changed_while_people_were_asked_stops_a_disposal() -> None:
    """A sample that was put into quarantine meanwhile is not destroyed."""
    course = Course(SAMPLE_DISPOSAL)
    course.refuse("recheck")
    assert course.log.statuses()["approve"] is StepStatus.DONE
    assert course.log.statuses()["remove"] is StepStatus.WAITING
    assert course.undone() == ["hold"]
    course.check()


def test_harmed_samples_stay_on_hold_while_nobody_decides() -> None:
    """A week of daily requests later a person is needed; nothing lets the samples go."""
    course = Course(EXCURSION_RESPONSE)
    course.silence("review")
    assert course.log.status() is TransactionStatus.FAILED
    assert course.log.saga.steps["review"].attempts == 7
    assert course.log.statuses()["release"] is StepStatus.WAITING
    assert course.undone() == []
    course.check()


def test_samples_that_are_judged_harmed_are_discarded_and_not_released() -> None:
    """The decision says which of two steps is needed."""
    signals = {"review": (("reviewer", {"outcome": "discarded"}),)}
    course = Course(EXCURSION_RESPONSE, signals=signals)
    course.run()
    statuses = course.log.statuses()
    assert (statuses["release"], statuses["discard"]) == (StepStatus.SKIPPED, StepStatus.DONE)
    course.check()


def test_an_excursion_that_met_no_sample_waits_for_nobody() -> None:
    """It is told, and is over."""
    course = Course(EXCURSION_RESPONSE, answers={"find": {"samples": 0}})
    course.run()
    assert course.log.status() is TransactionStatus.COMPLETED
    assert [one.name for one in course.done()] == ["find", "alert"]
    course.check()


def test_an_import_of_which_no_row_became_a_sample_stores_nothing() -> None:
    """Every row was overtaken; each is told so, and the import is complete."""
    course = Course(BULK_IMPORT, answers={"register": {"registered": 0}})
    course.run()
    assert course.log.status() is TransactionStatus.COMPLETED
    assert [one.name for one in course.done()] == ["validate", "register", "notify"]
    course.check()


def test_a_pool_that_is_never_pipetted_gives_everything_back() -> None:
    """Volumes, tubes and the pool, the newest first."""
    course = Course(SEQUENCING_RUN)
    course.silence("pipetted")
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.undone() == ["pool", "pull", "volumes"]
    course.check()


@pytest.mark.parametrize("verdict", ["passed", "failed"])
def test_where_gates_do_not_agree_a_person_decides(verdict: str) -> None:
    """Their verdict settles the samples, and only what passed is delivered."""
    course = Course(
        RUN_COMPLETION,
        answers={"verdict": {"in_doubt": True, "verdict": "passed"}},
        signals={"review": (("reviewer", {"verdict": verdict}),)},
    )
    course.run()
    assert course.log.status() is TransactionStatus.COMPLETED
    commands = [one for e in course.log.entries for one in read_commands(e.effects)]
    (settle,) = [one for one in commands if one.step == "settle"]
    assert settle.data["verdict"] == verdict
    assert ("deliver" in {one.step for one in commands}) == (verdict == "passed")
    course.check()


def test_a_verdict_for_which_nobody_decides_is_withdrawn() -> None:
    """No sample was settled."""
    course = Course(RUN_COMPLETION, answers={"verdict": {"in_doubt": True}})
    course.silence("review")
    assert course.log.status() is TransactionStatus.COMPENSATED
    assert course.undone() == ["verdict"]
    course.check()


def test_a_run_that_surely_failed_is_settled_and_not_delivered() -> None:
    """Nobody is asked."""
    answers = {"verdict": {"in_doubt": False, "verdict": "failed"}}
    course = Course(RUN_COMPLETION, answers=answers)
    course.run()
    statuses = course.log.statuses()
    assert (statuses["settle"], statuses["deliver"]) == (StepStatus.DONE, StepStatus.SKIPPED)
    course.check()


def test_a_run_folder_that_is_still_written_is_read_again() -> None:
    """That refusal alone is worth another attempt."""
    course = Course(RUN_COMPLETION)
    course.run("folder")
    refusal = RunFolderIncomplete(run="R", folder="F", missing="RTAComplete.txt")
    course.log.reply("folder", refusal=refusal)
    assert course.log.saga.steps["folder"].postponed
    course.run()
    assert course.log.status() is TransactionStatus.COMPLETED
    course.check()


# Faults


PEOPLELESS: Final = [one for one in ALL if all(step.awaited is None for step in one.steps)]


@pytest.mark.parametrize("definition", PEOPLELESS, ids=named)
def test_no_single_fault_leaves_anything_half_done(definition: Definition) -> None:
    """Every message lost, doubled or late, every process killed, every participant unwell."""
    answers = {
        step.ask.contract.type: example(result_of(step.ask)).model_dump(mode="json")
        for step in definition.steps
        if step.ask is not None
    }
    message = example(definition.starts_with).model_dump(mode="json")
    report = check_scope(definition, faults_max=1, answers=answers, message=message)
    assert report.broken == []
    assert report.cases > 100
    assert {"completed", "compensated"} <= set(report.ends)


# What is not there yet


def test_only_services_that_do_not_stand_are_marked_as_ahead() -> None:
    """A command of a service that runs is provisioned, one of any other service is not."""
    owners = {command.contract.owner for command in COMMANDS.values()}
    assert owners - set(NAMES) == catalog.OWNERS_AHEAD
    assert set(COMMAND_OWNERS) == owners - catalog.OWNERS_AHEAD
