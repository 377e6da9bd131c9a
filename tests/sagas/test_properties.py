"""What holds for every course that a saga can take."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pydantic import TypeAdapter

from contracts.entry import verify_chain
from contracts.errors import NotFound, Refusal, Unavailable
from contracts.transaction import StepStatus, TransactionStatus
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.decision import Transition
from sagas.engine.machine import decide
from sagas.engine.record import read_input, to_entry_parts
from sagas.engine.state import SagaState, fold
from tests.sagas.chronicle import Chronicle

REFUSALS = st.sampled_from([NotFound(what="box", key="B01"), Unavailable(what="the freezer")])

STATE = TypeAdapter(SagaState)


class AnyCourse(RuleBasedStateMachine):
    """A manifest's saga under answers, refusals, silence and answers that come too late."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        super().__init__()
        self.log = Chronicle(SAMPLE_INTAKE)

    @initialize()
    def begin(self) -> None:
        """Start it."""
        self.log.begin()

    @precondition(lambda self: self._awaited())
    @rule(data=st.data(), refusal=st.none() | REFUSALS)
    def answer(self, data: st.DataObject, refusal: Refusal | None) -> None:
        """Answer a step that is awaited."""
        self.log.reply(data.draw(st.sampled_from(self._awaited())), refusal=refusal)

    @precondition(lambda self: self._timed())
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        """Let a timer fire."""
        self.log.due(data.draw(st.sampled_from(self._timed())))

    @rule(data=st.data(), refusal=st.none() | REFUSALS)
    def answer_again(self, data: st.DataObject, refusal: Refusal | None) -> None:
        """Answer any command that was ever sent."""
        sent = [(n, i) for n, s in self.log.saga.steps.items() for i in s.asked + s.undone_by]
        step, command_id = data.draw(st.sampled_from(sent))
        self.log.reply(step, refusal=refusal, command_id=command_id)

    @invariant()
    def the_log_gives_the_state_back(self) -> None:
        """Folding what was appended, or its bytes, gives the state of the last decision."""
        assert fold(self.log.entries) == self.log.state
        assert self.log.refold() == self.log.state

    @invariant()
    def a_snapshot_gives_the_state_back(self) -> None:
        """The state can be written as JSON and read again."""
        if self.log.state is not None:
            written = STATE.dump_json(self.log.state)
            assert STATE.validate_json(written) == self.log.state

    @invariant()
    def the_chain_holds(self) -> None:
        """Every entry follows the one before."""
        assert verify_chain(self.log.bodies) == len(self.log.entries)

    @invariant()
    def a_saga_that_is_open_waits_for_something(self) -> None:
        """An open saga has exactly one timer, so that it can neither be forgotten nor race."""
        if self.log.state is not None and not self.log.saga.status.ended:
            assert len(self._timed()) == 1
            assert set(self._awaited()) <= set(self._timed())

    @invariant()
    def the_statuses_of_the_steps_fit_that_of_the_saga(self) -> None:
        """Completed leaves no step open; compensated leaves no step done that has an undo."""
        if self.log.state is None:
            return
        statuses = self.log.statuses()
        if self.log.saga.status is TransactionStatus.COMPLETED:
            assert set(statuses.values()) <= {StepStatus.DONE, StepStatus.SKIPPED}
        if self.log.saga.status is TransactionStatus.COMPENSATED:
            undone = {StepStatus.UNDONE, StepStatus.REFUSED, StepStatus.WAITING}
            with_undo = [step.name for step in SAMPLE_INTAKE.steps if step.undo]
            assert {statuses[name] for name in with_undo} <= undone
        if self.log.saga.status is TransactionStatus.FAILED:
            assert StepStatus.STUCK in statuses.values()

    def teardown(self) -> None:
        """Decide everything again from what the log recorded: the same comes out."""
        state = None
        for entry in self.log.entries:
            again = decide(SAMPLE_INTAKE, state, read_input(entry))
            assert isinstance(again, Transition)
            assert again.events == entry.events
            effects: dict[str, Any] = to_entry_parts(again)[1]
            assert effects == entry.effects
            state = again.state

    def _awaited(self) -> list[str]:
        if self.log.state is None or self.log.saga.status.ended:
            return []
        return [name for name, step in self.log.saga.steps.items() if step.command_id]

    def _timed(self) -> list[str]:
        if self.log.state is None or self.log.saga.status.ended:
            return []
        return [name for name, step in self.log.saga.steps.items() if step.timer]


AnyCourse.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_any_course_keeps_what_must_hold = AnyCourse.TestCase
