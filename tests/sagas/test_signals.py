"""Waiting for signals and for people."""

import pytest

from contracts.errors import InvalidInput, NotFound
from contracts.saga_orders import SignalNotAllowed, SignalNotAwaited
from contracts.transaction import OrderKind, StepStatus, TransactionStatus
from sagas.engine.decision import Why
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Retry
from sagas.engine.mapping import out, start
from sagas.engine.view import view
from sagas.engine.writing import approval, days, parallel, saga, seconds, step, wait
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin, Do, Label, Reviewed, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import refusal, sent, taken, why

REVIEW = {"lot": "L1", "decision": "release", "reviewers": ["ada"], "volume_ul": "1.5"}
PEOPLE = Begin(people=["grace", "lise", "ada"])
REFUSED = NotFound(what="box", key="B01")

# fmt: off
AGREEING = saga("agreeing", version=1, starts_with=Begin)(
    step("hold",      ask=Do, undo=Undo, within=seconds(10)),
    approval("agree", needs=2, allowed=start("people"), not_starter=True, within=days(7)),
    step("last",      ask=Do, undo=Undo, within=seconds(10)),
)
LOOKING = saga("looking", version=1, starts_with=Begin)(
    wait("look",  signal="looked", data=Reviewed, within=days(1), retry=Retry(2)),
    step("label", ask=Label, undo=Undo, within=seconds(10), given={"lot": out("look.lot"), "decision": out("look.decision")}),  # noqa: E501 - one line per step
)
ASKING = saga("asking", version=1, starts_with=Begin)(
    approval("agree", denial_ends=False, within=days(1)),
    step("last",      ask=Do, undo=Undo, within=seconds(10)),
)
CLOSING = saga("closing", version=1, starts_with=Begin)(
    step("send",      ask=Do, kind=PIVOT, within=seconds(10)),
    parallel(
        step("bill",  ask=Do, kind=RETRIABLE, within=seconds(10)),
        approval("close", kind=RETRIABLE, within=days(1)),
    ),
)
# fmt: on


@pytest.fixture
def agreeing(tell: Tell) -> Chronicle:
    """Give a saga that waits for two people; ada began it."""
    log = tell(AGREEING, PEOPLE)
    log.begin()
    log.reply("hold")
    return log


def test_a_saga_that_waits_for_people_says_for_whom_and_until_when(agreeing: Chronicle) -> None:
    """It is shown as awaiting, and asks nobody anything."""
    shown = view(agreeing.saga, seq=1, transitions=1)
    assert shown.status is TransactionStatus.AWAITING
    (awaited,) = shown.awaits
    assert (awaited.signal, awaited.step, awaited.needs) == ("approval", "agree", 2)
    assert awaited.allowed == ["grace", "lise", "ada"]
    assert awaited.until == agreeing.saga.steps["agree"].due_at
    assert taken(agreeing.approve("grace")).timers == ()


def test_as_many_different_people_as_needed_must_approve(agreeing: Chronicle) -> None:
    """The second of two has the next step asked; who they were is the answer of the step."""
    assert sent(agreeing.approve("grace")) == []
    assert why(agreeing.approve("grace")) is Why.STALE
    assert sent(agreeing.approve("lise")) == [("last", False)]
    assert agreeing.saga.steps["agree"].output == {"approved": True, "by": ["grace", "lise"]}


def test_nobody_else_may_approve(agreeing: Chronicle) -> None:
    """The refusal names who may, and nothing is recorded."""
    before = len(agreeing.entries)
    refused = refusal(agreeing.approve("mallory"))
    assert isinstance(refused, SignalNotAllowed)
    assert refused.because == "only grace, lise, ada may."
    assert len(agreeing.entries) == before


def test_whoever_began_it_may_not_approve(agreeing: Chronicle) -> None:
    """Two people means two others, also where the starter is among those named."""
    refused = refusal(agreeing.approve("ada"))
    assert isinstance(refused, SignalNotAllowed)
    assert "whoever began the process may not" in refused.because


def test_where_nobody_is_named_nobody_may(tell: Tell) -> None:
    """An empty list is not an open one."""
    log = tell(AGREEING, Begin(people=[]))
    log.begin()
    log.reply("hold")
    assert "only nobody may" in refusal(log.approve("grace")).detail


def test_a_denial_undoes_what_was_done(agreeing: Chronicle) -> None:
    """One no outweighs a yes, and the failure says whose it was."""
    agreeing.approve("grace")
    assert sent(agreeing.approve("lise", approved=False)) == [("hold", True)]
    agreeing.reply("hold")
    assert agreeing.status() is TransactionStatus.COMPENSATED
    assert agreeing.saga.failure is not None
    assert agreeing.saga.failure.code == "transaction.approval_denied"
    assert agreeing.saga.failure.data["by"] == "lise"


def test_a_denial_that_ends_nothing_is_read_by_later_steps(tell: Tell) -> None:
    """The saga goes on with what was said."""
    log = tell(ASKING)
    log.begin()
    assert sent(log.approve("grace", approved=False)) == [("last", False)]
    assert log.saga.steps["agree"].output == {"approved": False, "by": ["grace"]}


def test_an_approval_that_never_comes_undoes_what_was_done(agreeing: Chronicle) -> None:
    """After its days are over the saga turns back."""
    agreeing.approve("grace")
    assert sent(agreeing.due("agree")) == [("hold", True)]
    assert agreeing.saga.failure is not None
    assert agreeing.saga.failure.code == "transaction.signal_missing"
    assert why(agreeing.approve("lise")) is Why.REFUSED


def test_a_signal_that_is_not_awaited_is_refused(tell: Tell) -> None:
    """Before, after, and under another name; the refusal says what is awaited."""
    log = tell(AGREEING, PEOPLE)
    log.begin()
    assert isinstance(refusal(log.approve("grace")), SignalNotAwaited)
    log.reply("hold")
    refused = refusal(log.signal("looked", "grace"))
    assert isinstance(refused, SignalNotAwaited)
    assert refused.awaited == "approval"
    log.approve("grace")
    log.approve("lise")
    assert isinstance(refusal(log.approve("grace")), SignalNotAwaited)


def test_a_signal_is_read_by_later_steps_with_who_sent_it(tell: Tell) -> None:
    """What it holds is the answer of the step."""
    log = tell(LOOKING)
    log.begin()
    outcome = taken(log.signal("looked", "grace", **REVIEW))
    assert outcome.commands[0].data == {"lot": "L1", "decision": "release"}
    assert log.saga.steps["look"].output == {**REVIEW, "by": ["grace"]}


def test_a_signal_that_holds_nonsense_is_refused_field_by_field(tell: Tell) -> None:
    """Nothing is recorded that later steps could stumble on."""
    log = tell(LOOKING)
    log.begin()
    refused = refusal(log.signal("looked", "grace", lot="L1", decision="maybe", reviewers=[]))
    assert isinstance(refused, InvalidInput)
    assert [error.field for error in refused.errors] == ["data.decision", "data.volume_ul"]
    assert len(log.entries) == 1


def test_a_wait_with_retries_is_begun_again(tell: Tell) -> None:
    """Twice a day passes before it is given up."""
    log = tell(LOOKING)
    log.begin()
    log.due("look")
    log.due("look")
    assert log.statuses()["look"] is StepStatus.AWAITING
    log.due("look")
    assert log.status() is TransactionStatus.COMPENSATED


def test_a_denial_after_the_pivot_calls_a_person_and_undoes_nothing(tell: Tell) -> None:
    """Nothing before the point of no return can be undone any more."""
    log = tell(CLOSING)
    log.begin()
    log.reply("send")
    assert sent(log.approve("grace", approved=False)) == []
    assert log.status() is TransactionStatus.FAILED
    assert log.statuses()["close"] is StepStatus.STUCK
    log.reply("bill")
    assert log.statuses()["bill"] is StepStatus.DONE
    log.order(OrderKind.COMPLETE, output={"approved": True})
    assert log.status() is TransactionStatus.COMPLETED


def test_a_signal_is_taken_while_a_sibling_is_stuck(tell: Tell) -> None:
    """As the answer of a participant would be."""
    log = tell(CLOSING)
    log.begin()
    log.reply("send")
    log.reply("bill", refusal=REFUSED)
    assert log.status() is TransactionStatus.FAILED
    taken(log.approve("grace"))
    assert log.statuses()["close"] is StepStatus.DONE
    log.order(OrderKind.SKIP)
    assert log.status() is TransactionStatus.COMPLETED


def test_a_kind_is_what_a_wait_is_before_the_pivot() -> None:
    """Nothing is done by waiting, so nothing is to be undone."""
    assert {one.kind for one in AGREEING.steps if one.awaited} == {QUERY}
