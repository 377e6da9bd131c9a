"""Steps that are asked at once."""

import pytest

from contracts.errors import NotFound, Unavailable
from contracts.transaction import OrderKind, StepStatus, TransactionStatus
from sagas.engine.decision import Why
from sagas.engine.definition import PIVOT, RETRIABLE, Retry
from sagas.engine.writing import parallel, saga, seconds, step
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin, Do, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import sent, why

REFUSED = NotFound(what="box", key="B01")
TWICE = Retry(2, backoff_seconds=1)

# fmt: off
PACKING = saga("packing", version=1, starts_with=Begin)(
    step("first",  ask=Do, undo=Undo, within=seconds(10)),
    parallel(
        step("left",  ask=Do, undo=Undo, within=seconds(10), retry=TWICE),
        step("right", ask=Do, undo=Undo, within=seconds(10), retry=TWICE),
    ),
    step("last",   ask=Do, undo=Undo, within=seconds(10)),
)
SENDING = saga("sending", version=1, starts_with=Begin)(
    step("send", ask=Do, kind=PIVOT, within=seconds(10)),
    parallel(
        step("bill", ask=Do, kind=RETRIABLE, within=seconds(10), retry=TWICE),
        step("tell", ask=Do, kind=RETRIABLE, within=seconds(10), retry=TWICE),
    ),
    step("file", ask=Do, kind=RETRIABLE, within=seconds(10), retry=TWICE),
)
# fmt: on


@pytest.fixture
def packing(tell: Tell) -> Chronicle:
    """Give a saga whose group was asked."""
    log = tell(PACKING)
    log.begin()
    log.reply("first")
    return log


@pytest.fixture
def sending(tell: Tell) -> Chronicle:
    """Give a saga whose group after the pivot was asked."""
    log = tell(SENDING)
    log.begin()
    log.reply("send")
    return log


def test_the_steps_of_a_group_are_asked_at_once_each_with_a_timer(tell: Tell) -> None:
    """One transition asks both."""
    log = tell(PACKING)
    log.begin()
    assert sent(log.reply("first")) == [("left", False), ("right", False)]
    assert {log.saga.steps[name].timer for name in ("left", "right")} == {"left.1", "right.1"}


@pytest.mark.parametrize(("one", "other"), [("left", "right"), ("right", "left")])
def test_a_group_is_done_when_all_of_it_is(packing: Chronicle, one: str, other: str) -> None:
    """Whichever answers last has the next step asked."""
    assert sent(packing.reply(one)) == []
    assert sent(packing.reply(other)) == [("last", False)]
    packing.reply("last")
    assert packing.status() is TransactionStatus.COMPLETED


def test_a_refused_step_has_its_done_sibling_undone(packing: Chronicle) -> None:
    """Then what came before the group is undone."""
    packing.reply("left")
    assert sent(packing.reply("right", refusal=REFUSED)) == [("left", True)]
    assert sent(packing.reply("left")) == [("first", True)]
    packing.reply("first")
    assert packing.status() is TransactionStatus.COMPENSATED
    assert packing.statuses() == {
        "first": StepStatus.UNDONE,
        "left": StepStatus.UNDONE,
        "right": StepStatus.REFUSED,
        "last": StepStatus.WAITING,
    }


def test_a_refused_step_has_its_sibling_undone_that_has_not_answered(packing: Chronicle) -> None:
    """It may be done yet: it is undone in its turn, and again when its answer comes late."""
    late = packing.saga.steps["right"].command_id
    assert sent(packing.reply("left", refusal=REFUSED)) == [("right", True)]
    assert sent(packing.reply("right", command_id=late)) == [("right", True)]
    assert sent(packing.reply("right")) == [("first", True)]
    packing.reply("first")
    assert packing.status() is TransactionStatus.COMPENSATED


def test_the_timer_of_a_sibling_is_stale_once_the_saga_turned_back(packing: Chronicle) -> None:
    """Its undo has another one."""
    packing.reply("left", refusal=REFUSED)
    assert packing.saga.steps["right"].timer == "right.2"


def test_each_step_of_a_group_is_retried_by_itself(packing: Chronicle) -> None:
    """An unwell participant of one does not keep the other."""
    assert sent(packing.reply("left", refusal=Unavailable(what="the freezer"))) == []
    assert sent(packing.reply("right")) == []
    assert sent(packing.due("left")) == [("left", False)]
    assert sent(packing.reply("left")) == [("last", False)]


def test_a_stuck_step_after_the_pivot_fails_the_saga_while_its_sibling_goes_on(
    sending: Chronicle,
) -> None:
    """The answer of the other is taken although the saga waits for a person."""
    sending.reply("bill", refusal=REFUSED)
    assert sending.status() is TransactionStatus.FAILED
    assert sent(sending.reply("tell")) == []
    assert sending.statuses()["tell"] is StepStatus.DONE
    assert sending.status() is TransactionStatus.FAILED
    assert sent(sending.order(OrderKind.SKIP)) == [("file", False)]


def test_the_sibling_of_a_stuck_step_is_retried_while_a_person_is_waited_for(
    sending: Chronicle,
) -> None:
    """Its clock goes on, so that it is neither forgotten nor left without a timer."""
    sending.reply("bill", refusal=REFUSED)
    assert sent(sending.due("tell")) == []
    assert sent(sending.due("tell")) == [("tell", False)]
    sending.reply("tell")
    assert sent(sending.order(OrderKind.COMPLETE)) == [("file", False)]


def test_several_stuck_steps_are_freed_one_by_one(sending: Chronicle) -> None:
    """An order names the one that is meant; the saga goes on when none is stuck."""
    sending.reply("bill", refusal=REFUSED)
    sending.reply("tell", refusal=REFUSED)
    assert why(sending.order(OrderKind.RETRY)) is Why.REFUSED
    assert sent(sending.order(OrderKind.RETRY, step="tell")) == [("tell", False)]
    assert sent(sending.reply("tell")) == []
    assert sending.status() is TransactionStatus.FAILED
    assert sent(sending.order(OrderKind.COMPLETE)) == [("file", False)]
    sending.reply("file")
    assert sending.status() is TransactionStatus.COMPLETED
