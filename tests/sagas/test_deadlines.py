"""Sagas that are to be done by a time, and what they are found by."""

from datetime import timedelta

from contracts.transaction import OrderKind, StepStatus, TransactionOverdue, TransactionStatus
from sagas.engine.decision import Due, Ignored, Why
from sagas.engine.definition import PIVOT, RETRIABLE
from sagas.engine.mapping import SAGA_ID, start, text
from sagas.engine.view import view
from sagas.engine.writing import days, minutes, saga, seconds, step
from tests.sagas.chronicle import NOON, SAGA
from tests.sagas.commands import Begin, Do, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import sent, taken, why

# fmt: off
HURRYING = saga("hurrying", version=1, starts_with=Begin, within=minutes(5), attributes={"lot": start("lot"), "name": text("{}/{}", SAGA_ID, start("lot")), "absent": start("box")})(  # noqa: E501 - one line
    step("do",    ask=Do, undo=Undo, within=minutes(1)),
    step("send",  ask=Do, kind=PIVOT, within=minutes(1)),
    step("after", ask=Do, kind=RETRIABLE, within=days(1)),
)
# fmt: on


def test_a_saga_with_a_deadline_has_a_timer_from_its_start(tell: Tell) -> None:
    """It belongs to no step, and the view shows when it is due."""
    log = tell(HURRYING)
    outcome = taken(log.begin())
    assert [(timer.name, timer.due_at) for timer in outcome.timers] == [
        (".1", NOON + timedelta(minutes=5)),
        ("do.1", NOON + timedelta(minutes=1)),
    ]
    assert log.saga.deadline == NOON + timedelta(minutes=5)


def test_a_saga_that_takes_too_long_turns_back(tell: Tell) -> None:
    """What is under way may have been done, so it is undone."""
    log = tell(HURRYING)
    log.begin()
    assert sent(log.deadline()) == [("do", True)]
    log.reply("do")
    assert log.status() is TransactionStatus.COMPENSATED
    assert log.saga.failure is not None
    assert (log.saga.failure.step, log.saga.failure.code) == ("", "transaction.deadline_passed")


def test_a_saga_that_is_past_its_point_of_no_return_goes_on_and_says_that_it_is_late(
    tell: Tell,
) -> None:
    """Somebody is told; nothing is undone, and the deadline does not come again."""
    log = tell(HURRYING)
    log.begin()
    log.reply("do")
    log.reply("send")
    outcome = taken(log.deadline())
    assert [type(event) for event in outcome.events] == [TransactionOverdue]
    assert log.saga.overdue
    assert view(log.saga, seq=1, transitions=1).status is TransactionStatus.RUNNING
    assert why(log.decide(Due(name=".1", at=log.now, cause="again"))) is Why.STALE
    log.reply("after")
    assert log.status() is TransactionStatus.COMPLETED


def test_a_saga_whose_point_of_no_return_is_under_way_goes_on(tell: Tell) -> None:
    """Perhaps it was passed just now."""
    log = tell(HURRYING)
    log.begin()
    log.reply("do")
    taken(log.deadline())
    assert log.statuses()["send"] is StepStatus.ASKED
    assert log.saga.overdue


def test_a_deadline_that_comes_too_early_is_handed_in_again(tell: Tell) -> None:
    """Clocks differ by two seconds at most."""
    log = tell(HURRYING)
    log.begin()
    outcome = log.decide(Due(name=".1", at=NOON + timedelta(minutes=4), cause="t"))
    assert isinstance(outcome, Ignored)
    assert (outcome.why, outcome.again_at) == (Why.EARLY, NOON + timedelta(minutes=5))


def test_a_deadline_means_nothing_on_the_way_back_nor_after_the_end(tell: Tell) -> None:
    """There is nothing left to turn back."""
    log = tell(HURRYING)
    log.begin()
    log.order(OrderKind.CANCEL)
    assert why(log.deadline()) is Why.STALE
    log.reply("do")
    assert why(log.deadline()) is Why.STALE


def test_a_saga_is_found_by_what_its_start_says(tell: Tell) -> None:
    """As text; what the start message does not hold is left out."""
    log = tell(HURRYING)
    log.begin()
    assert log.saga.attributes == {"lot": "L1", "name": f"{SAGA}/L1"}
    assert view(log.saga, seq=1, transitions=1).attributes["lot"] == "L1"


def test_a_saga_without_a_deadline_has_no_timer_of_its_own(tell: Tell) -> None:
    """It may take any time."""
    log = tell(
        saga("calm", version=1, starts_with=Begin)(step("do", ask=Do, undo=Undo, within=seconds(9)))
    )
    log.begin()
    assert (log.saga.timer, log.saga.deadline) == (None, None)
