"""What a saga does next, case by case."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.errors import NotFound, Unavailable
from contracts.saga_events import StepPostponed
from contracts.transaction import StepStatus, TransactionStatus
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.decision import Due, Ignored, Replied, Transition, Why
from sagas.engine.machine import DefinitionChangedError, decide
from tests.sagas.chronicle import NOON, ROWS, SAGA, Chronicle
from tests.sagas.outcome import sent, why

REFUSED = NotFound(what="box", key="B01")
UNWELL = Unavailable(what="the freezer")


@pytest.fixture
def saga() -> Chronicle:
    """Give a manifest's saga that has not begun."""
    return Chronicle(SAMPLE_INTAKE)


def test_a_saga_asks_one_step_after_the_other_and_completes(saga: Chronicle) -> None:
    """Six steps make seven transitions, and the last one ends the saga."""
    assert sent(saga.begin()) == [("validate", False)]
    for step, following in zip(
        ["validate", "register", "reserve", "store", "mark"],
        ["register", "reserve", "store", "mark", "notify"],
        strict=True,
    ):
        assert sent(saga.reply(step)) == [(following, False)]
    assert sent(saga.reply("notify")) == []
    assert saga.saga.status is TransactionStatus.COMPLETED
    assert set(saga.statuses().values()) == {StepStatus.DONE}
    assert len(saga.entries) == 7


def test_a_command_is_filled_from_the_start_earlier_answers_and_the_sagas_id(
    saga: Chronicle,
) -> None:
    """The notification takes the saga's id, an answer's count and the start's file and emails."""
    saga.run_to("notify")
    command = saga.entries[-1].effects["commands"][0]
    assert command["type"] == "notification.send"
    assert command["data"] == {
        "template": "submission_stored",
        "values": {"submission_id": str(SAGA), "accepted": "20", "file": "batch.csv"},
        "emails": ["lab@example.org"],
    }


def test_every_asked_step_has_a_timer_at_its_deadline(saga: Chronicle) -> None:
    """The timer is named for the step and due when the step's time is over."""
    outcome = saga.begin()
    assert isinstance(outcome, Transition)
    assert [(timer.name, timer.due_at) for timer in outcome.timers] == [
        ("validate.1", NOON + timedelta(seconds=60))
    ]
    assert outcome.commands[0].deadline == NOON + timedelta(seconds=60)


def test_a_refused_step_undoes_what_was_done_in_reverse(saga: Chronicle) -> None:
    """A refused pivot releases the positions, then withdraws the samples, and asks no query."""
    saga.run_to("store")
    assert sent(saga.reply("store", refusal=REFUSED)) == [("reserve", True)]
    assert sent(saga.reply("reserve")) == [("register", True)]
    assert sent(saga.reply("register")) == []
    assert saga.saga.status is TransactionStatus.COMPENSATED
    assert saga.saga.failure is not None
    assert (saga.saga.failure.step, saga.saga.failure.code) == ("store", "request.not_found")
    assert saga.statuses() == {
        "validate": StepStatus.DONE,
        "register": StepStatus.UNDONE,
        "reserve": StepStatus.UNDONE,
        "store": StepStatus.REFUSED,
        "mark": StepStatus.WAITING,
        "notify": StepStatus.WAITING,
    }


def test_a_refused_first_step_ends_the_saga_at_once(saga: Chronicle) -> None:
    """Where nothing was done there is nothing to undo."""
    saga.begin()
    assert sent(saga.reply("validate", refusal=REFUSED)) == []
    assert saga.saga.status is TransactionStatus.COMPENSATED


def test_an_undo_knows_the_answer_of_the_step_it_undoes(saga: Chronicle) -> None:
    """The samples are withdrawn by the rows that validation gave."""
    saga.run_to("reserve")
    saga.reply("reserve", refusal=REFUSED)
    command = saga.entries[-1].effects["commands"][0]
    assert command["type"] == "sample.withdraw_many"
    assert command["data"] == {"submission_id": str(SAGA), "rows": ROWS}


def test_an_unanswered_step_is_asked_again_under_the_same_id(saga: Chronicle) -> None:
    """Nobody knows whether it was done, so the participant must recognise the repetition."""
    saga.run_to("register")
    first = saga.saga.steps["register"].command_id
    assert sent(saga.due("register")) == []
    assert saga.saga.steps["register"].postponed
    assert sent(saga.due("register")) == [("register", False)]
    assert saga.saga.steps["register"].command_id == first
    assert saga.saga.steps["register"].attempts == 2


def test_a_step_of_an_unwell_participant_is_asked_again_under_a_new_id(saga: Chronicle) -> None:
    """The refusal is recorded under the old id, which would be answered with it for ever."""
    saga.run_to("register")
    first = saga.saga.steps["register"].command_id
    assert sent(saga.reply("register", refusal=UNWELL)) == []
    assert sent(saga.due("register")) == [("register", False)]
    assert saga.saga.steps["register"].command_id != first
    assert len(saga.saga.steps["register"].asked) == 2


def test_the_pauses_between_attempts_double(saga: Chronicle) -> None:
    """After 0.2 s comes 0.4 s, give or take a tenth, as the definition says."""
    saga.run_to("register")
    pauses = [_pause(saga.reply("register", refusal=UNWELL), saga)]
    saga.due("register")
    pauses.append(_pause(saga.reply("register", refusal=UNWELL), saga))
    assert [pause.total_seconds() for pause in pauses] == pytest.approx([0.2, 0.4], rel=0.1)


def _pause(outcome: Transition | Ignored, saga: Chronicle) -> timedelta:
    assert isinstance(outcome, Transition)
    (postponed,) = [e for e in outcome.events if isinstance(e, StepPostponed)]
    return postponed.until - saga.entries[-1].at


def test_an_answer_during_the_pause_counts(saga: Chronicle) -> None:
    """What was late but not yet given up goes on as if it had come in time."""
    saga.run_to("register")
    saga.due("register")
    assert sent(saga.reply("register")) == [("reserve", False)]


def test_a_step_given_up_without_an_answer_is_undone_too(saga: Chronicle) -> None:
    """It may have been done: after three attempts its own undo comes first."""
    saga.run_to("reserve")
    assert sent(saga.give_up("reserve")) == [("reserve", True)]
    assert saga.saga.failure is not None
    assert saga.saga.failure.code == "transaction.step_unanswered"
    assert saga.saga.failure.data["attempts"] == 3
    assert sent(saga.reply("reserve")) == [("register", True)]


def test_an_unclear_earlier_attempt_makes_a_refused_step_be_undone(saga: Chronicle) -> None:
    """The attempt that ended in a fault of the participant's own may have left something."""
    saga.run_to("register")
    saga.reply("register", refusal=UNWELL)
    saga.due("register")
    assert sent(saga.reply("register", refusal=REFUSED)) == [("register", True)]


def test_a_late_answer_of_a_step_given_up_has_it_undone_again(saga: Chronicle) -> None:
    """It may have been done after its undo; the second undo surely comes later."""
    saga.run_to("reserve")
    late = saga.saga.steps["reserve"].command_id
    saga.give_up("reserve")
    first_undo = saga.saga.steps["reserve"].command_id
    assert sent(saga.reply("reserve", command_id=late)) == [("reserve", True)]
    assert saga.saga.steps["reserve"].command_id != first_undo
    assert why(saga.reply("reserve", command_id=first_undo)) is Why.STALE
    assert sent(saga.reply("reserve")) == [("register", True)]
    saga.reply("register")
    assert saga.saga.status is TransactionStatus.COMPENSATED


def test_a_late_answer_of_a_step_already_undone_gives_it_another_turn(saga: Chronicle) -> None:
    """The undo under way goes first: a saga awaits one step at a time."""
    saga.run_to("reserve")
    late = saga.saga.steps["reserve"].command_id
    saga.give_up("reserve")
    assert sent(saga.reply("reserve")) == [("register", True)]
    assert sent(saga.reply("reserve", command_id=late)) == []
    assert sent(saga.reply("register")) == [("reserve", True)]
    saga.reply("reserve")
    assert saga.saga.status is TransactionStatus.COMPENSATED
    assert len(saga.saga.steps["reserve"].undone_by) == 2


def test_a_pivot_given_up_without_an_answer_calls_a_person(saga: Chronicle) -> None:
    """Perhaps the point of no return was passed, so nothing is undone and nothing goes on."""
    saga.run_to("store")
    assert sent(saga.give_up("store")) == []
    assert saga.saga.status is TransactionStatus.FAILED
    assert saga.statuses()["store"] is StepStatus.STUCK
    assert saga.statuses()["reserve"] is StepStatus.DONE


def test_a_required_step_after_the_pivot_that_is_refused_calls_a_person(saga: Chronicle) -> None:
    """It cannot be done, and what came before cannot be undone."""
    saga.run_to("mark")
    saga.reply("mark", refusal=REFUSED)
    assert saga.saga.status is TransactionStatus.FAILED
    assert saga.statuses()["mark"] is StepStatus.STUCK


def test_an_optional_step_that_is_refused_is_skipped(saga: Chronicle) -> None:
    """Samples are stored also when nobody can be told."""
    saga.run_to("notify")
    saga.reply("notify", refusal=REFUSED)
    assert saga.saga.status is TransactionStatus.COMPLETED
    assert saga.statuses()["notify"] is StepStatus.SKIPPED


def test_a_step_after_the_pivot_is_retried_fifty_times(saga: Chronicle) -> None:
    """Every retry has a bound; beyond it a person is called."""
    saga.run_to("mark")
    saga.give_up("mark")
    assert saga.saga.steps["mark"].attempts == 50
    assert saga.saga.status is TransactionStatus.FAILED


def test_an_undo_that_is_refused_is_asked_again_until_a_person_is_called(saga: Chronicle) -> None:
    """Ten attempts, each under a new id; then the saga fails with the undo's failure."""
    saga.run_to("store")
    saga.reply("store", refusal=REFUSED)
    for _ in range(9):
        saga.reply("reserve", refusal=REFUSED)
        assert sent(saga.due("reserve")) == [("reserve", True)]
    saga.reply("reserve", refusal=REFUSED)
    assert saga.saga.status is TransactionStatus.FAILED
    assert saga.statuses()["reserve"] is StepStatus.STUCK
    assert saga.statuses()["register"] is StepStatus.DONE
    assert len(saga.saga.steps["reserve"].undone_by) == 10
    assert saga.saga.failure is not None
    assert saga.saga.failure.step == "reserve"


def test_the_same_input_is_decided_on_once(saga: Chronicle) -> None:
    """A redelivered start or answer is told by its cause."""
    given = saga.start_input()
    saga.decide(given)
    assert why(saga.decide(given)) is Why.DUPLICATE
    answer = Replied(
        step="validate",
        command_id=saga.saga.steps["validate"].asked[0],
        at=NOON,
        cause="answer-1",
        result={"rows": ROWS},
    )
    assert sent(saga.decide(answer)) == [("register", False)]
    assert why(saga.decide(answer)) is Why.DUPLICATE


def test_a_second_answer_to_the_same_command_is_stale(saga: Chronicle) -> None:
    """A command sent twice is answered twice, and the second answer is no news."""
    saga.run_to("reserve")
    asked = saga.saga.steps["register"].asked[0]
    assert why(saga.reply("register", command_id=asked)) is Why.STALE


def test_a_second_start_does_not_start_again(saga: Chronicle) -> None:
    """An id belongs to one saga."""
    saga.begin()
    assert why(saga.begin()) is Why.STALE


def test_the_timer_of_a_step_that_was_answered_is_stale(saga: Chronicle) -> None:
    """Timers are not cancelled, they are looked at."""
    saga.run_to("register")
    stale = Due(name="validate.1", at=NOON + timedelta(hours=1), cause="timer-1")
    assert why(saga.decide(stale)) is Why.STALE


def test_a_timer_that_fires_too_early_is_handed_in_again(saga: Chronicle) -> None:
    """Two seconds of difference between clocks are allowed; more is too early."""
    saga.begin()
    due_at = NOON + timedelta(seconds=60)
    outcome = saga.decide(Due(name="validate.1", at=due_at - timedelta(seconds=3), cause="t-1"))
    assert isinstance(outcome, Ignored)
    assert (outcome.why, outcome.again_at) == (Why.EARLY, due_at)
    on_time = Due(name="validate.1", at=due_at - timedelta(seconds=1), cause="t-2")
    assert isinstance(saga.decide(on_time), Transition)


def test_an_answer_without_a_saga_or_step_is_a_dead_letter(saga: Chronicle) -> None:
    """Somebody answers what was never asked: a person should know."""
    answer = Replied(step="validate", command_id=SAGA, at=NOON, cause="x", result={})
    outcome = decide(SAMPLE_INTAKE, None, answer)
    assert isinstance(outcome, Ignored)
    assert (outcome.why, outcome.dead) == (Why.UNKNOWN, True)
    saga.begin()
    assert why(saga.decide(answer)) is Why.UNKNOWN
    assert why(saga.decide(replace(answer, step="nonsense", cause="y"))) is Why.UNKNOWN


def test_news_for_a_closed_saga_is_a_dead_letter(saga: Chronicle) -> None:
    """The positions may be held although the saga ended without them."""
    saga.run_to("reserve")
    late = saga.saga.steps["reserve"].command_id
    saga.give_up("reserve")
    saga.reply("reserve")
    saga.reply("register")
    assert saga.saga.status is TransactionStatus.COMPENSATED
    outcome = saga.reply("reserve", command_id=late)
    assert isinstance(outcome, Ignored)
    assert (outcome.why, outcome.dead) == (Why.CLOSED, True)


def test_a_saga_does_not_go_on_under_a_changed_table(saga: Chronicle) -> None:
    """The hash is pinned at the start; a change needs a new version."""
    saga.begin()
    changed = SAMPLE_INTAKE.known_as(1, "0" * 64)
    answer = Replied(step="validate", command_id=SAGA, at=NOON, cause="x", result={})
    with pytest.raises(DefinitionChangedError, match="Give the changed table a new version"):
        decide(changed, saga.state, answer)
