"""What people tell a saga to do."""

from dataclasses import replace
from datetime import timedelta

import pytest

from contracts.errors import NotFound
from contracts.saga_orders import OrderRefused
from contracts.transaction import OrderKind, StepStatus, TransactionOrdered, TransactionStatus
from sagas.engine.decision import Ignored, Transition, Why
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Retry
from sagas.engine.machine import DefinitionChangedError, decide
from sagas.engine.mapping import out
from sagas.engine.view import view
from sagas.engine.writing import approval, days, parallel, saga, seconds, step
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin, Do, Label, Review, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import refusal, sent, taken, why

REFUSED = NotFound(what="box", key="B01")

# fmt: off
LINES = (
    step("look",  ask=Review, kind=QUERY, within=seconds(10)),
    step("left",  ask=Do, undo=Undo,      within=seconds(10), undo_retry=Retry(1)),
    step("right", ask=Do, undo=Undo,      within=seconds(10)),
)
WHOLE = saga("whole", version=1, starts_with=Begin, within=days(1))(
    *LINES,
    step("send",  ask=Do, kind=PIVOT,     within=seconds(10), retry=Retry(1)),
    step("label", ask=Label, kind=RETRIABLE, within=seconds(10), retry=Retry(1), given={"decision": out("look.decision")}),  # noqa: E501 - one line per step
    step("last",  ask=Do, kind=RETRIABLE, within=seconds(10), retry=Retry(1), optional=True),
)
UNDOABLE = saga("undoable", version=1, starts_with=Begin)(*LINES)
AGREEING = saga("agreeing", version=1, starts_with=Begin)(
    step("do",   ask=Do, undo=Undo,       within=seconds(10)),
    approval("agree",                     within=days(7)),
    parallel(
        step("left",  ask=Do, undo=Undo,  within=seconds(10)),
        step("right", ask=Do, undo=Undo,  within=seconds(10)),
    ),
)
LONGER = saga("whole", version=2, starts_with=Begin, within=days(1))(
    *WHOLE.steps, step("more", ask=Do, kind=RETRIABLE, within=seconds(10))
)
# fmt: on
RELEASE = {"lot": "L1", "decision": "release"}


@pytest.fixture
def whole(tell: Tell) -> Chronicle:
    """Give a saga of every kind of step."""
    return tell(WHOLE)


def at_pivot(log: Chronicle) -> Chronicle:
    """Bring it to its point of no return."""
    log.begin()
    log.reply("look", result=RELEASE)
    log.reply("left")
    log.reply("right")
    return log


def because(outcome: Transition | Ignored) -> str:
    """Say why an order was refused."""
    found = refusal(outcome)
    assert isinstance(found, OrderRefused)
    return found.because


# Pause and resume


def test_a_paused_saga_takes_answers_and_asks_for_nothing(whole: Chronicle) -> None:
    """What came meanwhile is acted on when it goes on."""
    whole.begin()
    assert sent(whole.order(OrderKind.PAUSE)) == []
    assert whole.status() is TransactionStatus.PAUSED
    assert sent(whole.reply("look", result=RELEASE)) == []
    assert whole.statuses()["look"] is StepStatus.DONE
    assert sent(whole.order(OrderKind.RESUME)) == [("left", False)]


def test_the_clocks_of_a_paused_saga_stand_still(whole: Chronicle) -> None:
    """Each goes on with the time that it had left: the step's, and the saga's own."""
    whole.begin()
    left = {
        "look": whole.saga.steps["look"].due_at,
        "": whole.saga.deadline,
    }
    paused_at = whole.now
    whole.order(OrderKind.PAUSE)
    whole.now = paused_at + timedelta(days=3)
    resumed_at = whole.now
    outcome = taken(whole.order(OrderKind.RESUME))
    assert {timer.name for timer in outcome.timers} == {"look.2", ".2"}
    for name, due_at in left.items():
        (timer,) = [one for one in outcome.timers if one.name == f"{name}.2"]
        assert due_at is not None
        assert timer.due_at - resumed_at == due_at - paused_at


def test_the_timers_of_a_paused_saga_are_stale_for_good(whole: Chronicle) -> None:
    """Also when they fire after it went on: they have others by then."""
    whole.begin()
    before = whole.saga.steps["look"].timer
    whole.order(OrderKind.PAUSE)
    assert why(whole.due("look")) is Why.STALE
    assert why(whole.deadline()) is Why.STALE
    whole.order(OrderKind.RESUME)
    assert whole.saga.steps["look"].timer != before
    taken(whole.due("look"))


def test_a_failure_during_the_pause_is_acted_on_afterwards(whole: Chronicle) -> None:
    """The step is asked again, and fails again if it must; nothing turns back meanwhile."""
    whole.begin()
    whole.reply("look", result=RELEASE)
    whole.order(OrderKind.PAUSE)
    assert sent(whole.reply("left", refusal=REFUSED)) == []
    assert whole.status() is TransactionStatus.PAUSED
    whole.order(OrderKind.RESUME)
    assert sent(whole.due("left")) == [("left", False)]


def test_a_saga_is_paused_on_its_way_back_too(whole: Chronicle) -> None:
    """The next undo waits until it goes on."""
    at_pivot(whole).reply("send", refusal=REFUSED)
    whole.order(OrderKind.PAUSE)
    assert sent(whole.reply("right")) == []
    assert sent(whole.order(OrderKind.RESUME)) == [("left", True)]
    assert whole.status() is TransactionStatus.COMPENSATING


def test_a_paused_approval_waits_until_it_goes_on(tell: Tell) -> None:
    """Meanwhile signals are refused, with the remedy."""
    log = tell(AGREEING)
    log.begin()
    log.reply("do")
    log.order(OrderKind.PAUSE)
    assert "resume it first" in refusal(log.approve("grace")).detail
    assert view(log.saga, seq=1, transitions=1).status is TransactionStatus.PAUSED
    log.order(OrderKind.RESUME)
    assert sent(log.approve("grace")) == [("left", False), ("right", False)]


def test_one_answer_of_a_group_during_the_pause_leaves_the_other_awaited(tell: Tell) -> None:
    """Going on asks for nothing that is under way."""
    log = tell(AGREEING)
    log.begin()
    log.reply("do")
    log.approve("grace")
    log.order(OrderKind.PAUSE)
    log.reply("left")
    assert sent(log.order(OrderKind.RESUME)) == []
    log.reply("right")
    assert log.status() is TransactionStatus.COMPLETED


@pytest.mark.parametrize("order", [OrderKind.RESUME, OrderKind.RETRY, OrderKind.SKIP])
def test_an_order_that_makes_no_sense_is_refused_and_changes_nothing(
    whole: Chronicle, order: OrderKind
) -> None:
    """Nothing is appended, and the reason is said."""
    whole.begin()
    assert "it is running" in because(whole.order(order))
    assert len(whole.entries) == 1


def test_a_saga_that_stands_still_or_ended_cannot_be_paused(whole: Chronicle) -> None:
    """There is nothing to be paused."""
    whole.begin()
    whole.order(OrderKind.PAUSE)
    assert "it is paused" in because(whole.order(OrderKind.PAUSE))
    whole.order(OrderKind.CANCEL)
    assert whole.status() is TransactionStatus.CANCELLED
    assert "it is cancelled" in because(whole.order(OrderKind.PAUSE))


# Cancel and compensate


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
@pytest.mark.parametrize(
    ("answered", "undone"),
    [(0, []), (1, ["left"]), (2, ["right", "left"])],
    ids=["at look", "at left", "at right"],
)
def test_a_cancelled_saga_undoes_what_was_or_may_have_been_done(
    whole: Chronicle,
    answered: int,
    undone: list[str],
    paused: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """At every point before that of no return, newest first; then it is cancelled."""
    whole.begin()
    for name in ("look", "left")[:answered]:
        whole.reply(name, result=RELEASE)
    if paused:
        whole.order(OrderKind.PAUSE)
    whole.order(OrderKind.CANCEL)
    for name in undone:
        assert whole.statuses()[name] is StepStatus.UNDOING
        whole.reply(name)
    assert whole.status() is TransactionStatus.CANCELLED
    assert whole.saga.failure is not None
    assert whole.saga.failure.code == "transaction.cancelled"
    assert whole.saga.failure.detail.startswith("grace ended the process (said by hand).")


def test_a_query_that_answers_after_the_end_left_nothing_to_see(tell: Tell) -> None:
    """It changed nothing, so nobody needs to look."""
    log = tell(WHOLE)
    log.begin()
    asked = log.saga.steps["look"].command_id
    log.order(OrderKind.CANCEL)
    assert log.status() is TransactionStatus.CANCELLED
    outcome = log.reply("look", command_id=asked)
    assert isinstance(outcome, Ignored)
    assert outcome.why is Why.STALE


def test_a_cancelled_wait_is_skipped(tell: Tell) -> None:
    """Nobody needs to agree any more."""
    log = tell(AGREEING)
    log.begin()
    log.reply("do")
    assert sent(log.order(OrderKind.CANCEL)) == [("do", True)]
    assert log.statuses()["agree"] is StepStatus.SKIPPED


def test_a_saga_is_not_cancelled_from_its_point_of_no_return_on(whole: Chronicle) -> None:
    """Neither while that is under way, nor after, nor when it is completed."""
    at_pivot(whole)
    assert "step send is its point of no return" in because(whole.order(OrderKind.CANCEL))
    whole.reply("send")
    assert "the saga goes forward only" in because(whole.order(OrderKind.CANCEL))
    whole.reply("label")
    whole.reply("last")
    assert "it is completed already" in because(whole.order(OrderKind.CANCEL))


def test_a_saga_is_cancelled_once(whole: Chronicle) -> None:
    """It goes back already."""
    at_pivot(whole).reply("send", refusal=REFUSED)
    assert "it is being undone already" in because(whole.order(OrderKind.CANCEL))
    assert "wait for it" in because(whole.order(OrderKind.COMPENSATE))


def test_a_completed_saga_without_a_point_of_no_return_is_undone_by_order(tell: Tell) -> None:
    """As long afterwards as anybody likes."""
    log = tell(UNDOABLE)
    log.begin()
    for name in ("look", "left"):
        log.reply(name)
    assert "cancel it instead" in because(log.order(OrderKind.COMPENSATE))
    log.reply("right")
    assert log.status() is TransactionStatus.COMPLETED
    assert sent(log.order(OrderKind.COMPENSATE)) == [("right", True)]
    assert log.status() is TransactionStatus.COMPENSATING
    log.reply("right")
    log.reply("left")
    assert log.status() is TransactionStatus.COMPENSATED


def test_a_completed_saga_with_a_point_of_no_return_is_not_undone(whole: Chronicle) -> None:
    """What it did is undone by orders of their own."""
    at_pivot(whole)
    for name in ("send", "label", "last"):
        whole.reply(name)
    assert "Undo its effects by an order" in because(whole.order(OrderKind.COMPENSATE))


# Stuck steps


def unclear(log: Chronicle) -> Chronicle:
    """Let nobody answer the point of no return."""
    at_pivot(log).due("send")
    assert log.status() is TransactionStatus.FAILED
    return log


def test_an_unclear_point_of_no_return_is_not_cancelled_nor_skipped(whole: Chronicle) -> None:
    """A person looks first, and then says what is true."""
    unclear(whole)
    for order in (OrderKind.CANCEL, OrderKind.SKIP):
        assert "`complete` (it was) or `compensate` (it was not)" in because(whole.order(order))


def test_an_unclear_point_of_no_return_that_was_passed_is_completed(whole: Chronicle) -> None:
    """The saga goes on behind it."""
    assert sent(unclear(whole).order(OrderKind.COMPLETE)) == [("label", False)]
    assert whole.status() is TransactionStatus.RUNNING


def test_an_unclear_point_of_no_return_that_was_not_passed_is_turned_back_from(
    whole: Chronicle,
) -> None:
    """What came before is undone; the failure stays the one that it had."""
    assert sent(unclear(whole).order(OrderKind.COMPENSATE)) == [("right", True)]
    whole.reply("right")
    whole.reply("left")
    assert whole.status() is TransactionStatus.COMPENSATED
    assert whole.statuses()["send"] is StepStatus.REFUSED
    assert whole.saga.failure is not None
    assert whole.saga.failure.code == "transaction.step_unanswered"


def test_an_unclear_point_of_no_return_is_asked_again(whole: Chronicle) -> None:
    """Under the old id, as it may have been done under it, and with a clock of its own."""
    unclear(whole)
    before = whole.saga.steps["send"]
    assert sent(whole.order(OrderKind.RETRY)) == [("send", False)]
    again = whole.saga.steps["send"]
    assert again.asked == before.asked
    assert again.timers == before.timers + 1
    assert sent(whole.reply("send")) == [("label", False)]


def test_the_answer_that_a_step_was_stuck_for_lets_the_saga_go_on(whole: Chronicle) -> None:
    """Nobody needs to say any more whether the point of no return was passed."""
    unclear(whole)
    assert sent(whole.reply("send")) == [("label", False)]
    assert whole.status() is TransactionStatus.RUNNING


def test_a_late_refusal_of_a_stuck_step_leaves_it_to_a_person(whole: Chronicle) -> None:
    """It is known then that nothing was done, and not what should be."""
    unclear(whole)
    outcome = whole.reply("send", refusal=REFUSED)
    assert isinstance(outcome, Ignored)
    assert whole.status() is TransactionStatus.FAILED


def test_a_stuck_step_after_the_pivot_is_retried_skipped_or_completed(tell: Tell) -> None:
    """Each brings the saga to its end."""
    for order in (OrderKind.RETRY, OrderKind.SKIP, OrderKind.COMPLETE):
        log = at_pivot(tell(WHOLE))
        log.reply("send")
        log.reply("label", refusal=REFUSED)
        assert log.status() is TransactionStatus.FAILED
        log.order(order, step="label")
        if order is OrderKind.RETRY:
            log.reply("label")
        log.reply("last")
        assert log.status() is TransactionStatus.COMPLETED
        assert log.statuses()["label"] is (
            StepStatus.SKIPPED if order is OrderKind.SKIP else StepStatus.DONE
        )


def test_what_a_person_says_a_step_answered_is_read_by_later_ones(tell: Tell) -> None:
    """As if its participant had said it."""
    table = saga("asking", version=1, starts_with=Begin)(
        step("look", ask=Review, kind=PIVOT, within=seconds(10), retry=Retry(1)),
        step(
            "label",
            ask=Label,
            kind=RETRIABLE,
            within=seconds(10),
            given={"decision": out("look.decision")},
        ),
    )
    log = tell(table)
    log.begin()
    log.due("look")
    (command,) = taken(log.order(OrderKind.COMPLETE, output=RELEASE)).commands
    assert command.data == {"lot": "L1", "decision": "release"}


@pytest.mark.parametrize(
    ("order", "status"),
    [
        (OrderKind.SKIP, StepStatus.LEFT),
        (OrderKind.COMPLETE, StepStatus.UNDONE),
        (OrderKind.RETRY, StepStatus.UNDONE),
    ],
)
def test_a_stuck_undo_is_left_done_by_hand_or_asked_again(
    whole: Chronicle, order: OrderKind, status: StepStatus
) -> None:
    """Then the way back goes on."""
    at_pivot(whole).reply("send", refusal=REFUSED)
    whole.reply("right")
    whole.reply("left", refusal=REFUSED)
    assert whole.status() is TransactionStatus.FAILED
    assert "retry, skip or complete" in because(whole.order(OrderKind.COMPENSATE))
    whole.order(order)
    if order is OrderKind.RETRY:
        whole.reply("left")
    assert whole.status() is TransactionStatus.COMPENSATED
    assert whole.statuses()["left"] is status


def test_an_order_for_a_step_that_is_not_stuck_names_those_that_are(whole: Chronicle) -> None:
    """So that the next order is right."""
    unclear(whole)
    assert because(whole.order(OrderKind.RETRY, step="left")) == (
        "step 'left' is not stuck; stuck is: send."
    )


def test_every_order_is_recorded_with_its_reason(whole: Chronicle) -> None:
    """It is the first event of its transition, and the input says who gave it."""
    whole.begin()
    outcome = taken(whole.order(OrderKind.PAUSE))
    first = outcome.events[0]
    assert isinstance(first, TransactionOrdered)
    assert (first.order, first.reason) == (OrderKind.PAUSE, "said by hand")
    assert whole.entries[-1].effects["input"] == {
        "kind": "ordered",
        "order": "pause",
        "by": "grace",
    }


def test_an_order_is_carried_out_once(whole: Chronicle) -> None:
    """A redelivered one is told by its cause."""
    whole.begin()
    outcome = taken(whole.order(OrderKind.PAUSE))
    assert why(whole.decide(outcome.input)) is Why.DUPLICATE


def test_an_order_to_no_saga_is_unknown(whole: Chronicle) -> None:
    """As every input is."""
    whole.begin()
    given = taken(whole.order(OrderKind.PAUSE)).input
    assert why(decide(WHOLE, None, given)) is Why.UNKNOWN


# Migrate


def test_a_migrated_saga_goes_on_under_the_other_version(whole: Chronicle) -> None:
    """It asks the steps that the new table adds, and the old one does not take it any more."""
    at_pivot(whole)
    taken(whole.migrate(LONGER))
    assert (whole.saga.version, whole.saga.definition_hash) == (2, LONGER.hash)
    assert whole.statuses()["more"] is StepStatus.WAITING
    for name in ("send", "label", "last"):
        whole.reply(name)
    assert whole.status() is TransactionStatus.RUNNING
    whole.reply("more")
    assert whole.status() is TransactionStatus.COMPLETED


def test_a_migrated_saga_does_not_go_on_under_its_old_table(whole: Chronicle) -> None:
    """Its hash is the new one's."""
    whole.begin()
    whole.migrate(LONGER)
    given = replace(taken(whole.order(OrderKind.PAUSE)).input, cause="another")
    with pytest.raises(DefinitionChangedError):
        decide(WHOLE, whole.state, given)


def test_a_saga_that_ended_or_has_the_version_is_not_migrated(whole: Chronicle) -> None:
    """It keeps the version that it ended under."""
    whole.begin()
    assert "under version 1 already" in because(whole.migrate(WHOLE))
    whole.order(OrderKind.CANCEL)
    assert "keeps the version that it ended under" in because(whole.migrate(LONGER))
    assert "no version to go on under" in because(whole.order(OrderKind.MIGRATE))
