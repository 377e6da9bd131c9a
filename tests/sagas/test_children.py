"""Sagas that are steps of others."""

from uuid import UUID

from contracts.errors import NotFound
from contracts.saga_events import ParentStep
from contracts.transaction import ChildUndone, OrderKind, StepStatus, TransactionStatus
from contracts.types import TransactionId
from sagas.engine.decision import Transition, Why
from sagas.engine.definition import PIVOT, Retry
from sagas.engine.family import child_id
from sagas.engine.mapping import out, start
from sagas.engine.writing import child, saga, seconds, step
from tests.sagas.chronicle import SAGA, Chronicle
from tests.sagas.commands import Begin, Do, Label, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import sent, taken, why

REFUSED = NotFound(what="box", key="B01")
PARENT = UUID("0198a000-0000-7000-8000-0000000000aa")
ASKED_BY = UUID("0198a000-0000-7000-8000-0000000000bb")
UNDO = UUID("0198a000-0000-7000-8000-0000000000cc")

# fmt: off
PACKING = saga("packing", version=3, starts_with=Begin)(
    step("fetch", ask=Do, undo=Undo, within=seconds(10)),
    step("wrap",  ask=Do, undo=Undo, within=seconds(10), undo_retry=Retry(1)),
)
SENDING = saga("sending", version=1, starts_with=Begin)(
    step("send",  ask=Do, kind=PIVOT, within=seconds(10)),
)
ORDERING = saga("ordering", version=1, starts_with=Begin)(
    child("pack",  saga=PACKING, within=seconds(60), given={"lot": start("lot")}),
    step("label",  ask=Label, undo=Undo, within=seconds(10), given={"decision": out("pack.transaction_id")}),  # noqa: E501 - one line per step
    child("send",  saga=SENDING, within=seconds(60)),
)
# fmt: on

STEP = ParentStep(
    transaction_id=TransactionId(PARENT), saga_type="ordering", step="pack", command_id=ASKED_BY
)


def begun(tell: Tell) -> Chronicle:
    """Give a saga that a step of another began."""
    log = tell(PACKING)
    log.begin(parent=STEP)
    return log


def done(tell: Tell) -> Chronicle:
    """Give one that completed."""
    log = begun(tell)
    log.reply("fetch", result={"box": "B1"})
    log.reply("wrap", result={"lot": "L1"})
    return log


def test_a_step_begins_a_saga_with_its_message(tell: Tell) -> None:
    """The command names the type, the version, and what the start message holds."""
    log = tell(ORDERING)
    (command,) = taken(log.begin()).commands
    assert command.type == "transaction.start_child"
    assert command.data == {
        "saga_type": "packing",
        "version": 3,
        "message": {"lot": "L1", "risky": False, "people": [], "amount": 0},
    }


def test_what_a_child_answered_is_read_by_later_steps(tell: Tell) -> None:
    """Its id, and what each of its steps answered."""
    log = tell(ORDERING)
    log.begin()
    answer = {"transaction_id": "0198a", "steps": {"fetch": {"box": "B1"}}}
    (command,) = taken(log.reply("pack", result=answer)).commands
    assert command.data["decision"] == "0198a"


def test_a_step_with_a_child_is_undone_by_undoing_that_saga(tell: Tell) -> None:
    """Which one follows from the command that began it, also where nobody answered."""
    log = tell(ORDERING)
    log.begin()
    asked = log.saga.steps["pack"].command_id
    assert asked is not None
    log.give_up("pack")
    command = log.entries[-1].effects["commands"][0]
    assert command["type"] == "transaction.undo_child"
    assert command["data"] == {"transaction_id": str(child_id(asked))}
    log.reply("pack")
    assert log.status() is TransactionStatus.COMPENSATED


def test_a_child_with_a_point_of_no_return_is_that_of_its_parent(tell: Tell) -> None:
    """It has no undo, and what came before is not undone after it."""
    assert ORDERING.by_name["send"].kind is PIVOT
    assert ORDERING.by_name["send"].undo is None
    log = tell(ORDERING)
    log.begin()
    log.reply("pack", result={"transaction_id": "0198a", "steps": {}})
    log.reply("label")
    log.reply("send")
    assert log.status() is TransactionStatus.COMPLETED


def test_a_child_that_completes_answers_its_parent(tell: Tell) -> None:
    """Once, with its last transition: its id and what its steps answered."""
    log = begun(tell)
    assert taken(log.reply("fetch", result={"box": "B1"})).replies == ()
    (reply,) = taken(log.reply("wrap", result={"lot": "L1"})).replies
    assert reply.parent == STEP
    assert reply.command_id == ASKED_BY
    assert reply.refusal is None
    assert reply.result == {
        "transaction_id": str(SAGA),
        "steps": {"fetch": {"box": "B1"}, "wrap": {"lot": "L1"}},
    }


def test_a_child_that_undid_itself_refuses(tell: Tell) -> None:
    """Its parent learns why, and turns back itself."""
    log = begun(tell)
    log.reply("fetch")
    assert taken(log.reply("wrap", refusal=REFUSED)).replies == ()
    (reply,) = taken(log.reply("fetch")).replies
    assert reply.command_id == ASKED_BY
    assert reply.refusal == ChildUndone(
        transaction_id=TransactionId(SAGA),
        ended=TransactionStatus.COMPENSATED,
        because=REFUSED.detail,
    )


def test_a_child_that_was_cancelled_refuses(tell: Tell) -> None:
    """A person ended it, and the reason is passed on."""
    log = begun(tell)
    log.order(OrderKind.CANCEL)
    (reply,) = taken(log.reply("fetch")).replies
    assert reply.refusal is not None
    assert reply.refusal.ended is TransactionStatus.CANCELLED
    assert "said by hand" in reply.refusal.because


def test_a_child_that_failed_says_nothing_until_a_person_decided(tell: Tell) -> None:
    """Neither outcome would be true yet."""
    log = begun(tell)
    log.reply("fetch")
    log.reply("wrap", refusal=REFUSED)
    stuck: Transition | None = None
    for _ in range(20):
        stuck = taken(log.reply("fetch", refusal=REFUSED))
        if log.status() is TransactionStatus.FAILED:
            break
        log.due("fetch")
    assert stuck is not None
    assert log.statuses()["fetch"] is StepStatus.STUCK
    assert stuck.replies == ()
    (reply,) = taken(log.order(OrderKind.COMPLETE)).replies
    assert reply.refusal is not None


def test_a_completed_child_is_undone_when_its_parent_says_so(tell: Tell) -> None:
    """The answer goes to the command that asked for it."""
    log = done(tell)
    assert sent(log.order(OrderKind.COMPENSATE, command_id=UNDO)) == [("wrap", True)]
    assert sent(log.reply("wrap")) == [("fetch", True)]
    (reply,) = taken(log.reply("fetch")).replies
    assert (reply.command_id, reply.result, reply.refusal) == (UNDO, {}, None)
    assert log.status() is TransactionStatus.COMPENSATED


def test_a_running_child_is_undone_when_its_parent_says_so(tell: Tell) -> None:
    """The parent gave up waiting; what the child did is undone where it stands."""
    log = begun(tell)
    log.reply("fetch")
    assert sent(log.order(OrderKind.COMPENSATE, command_id=UNDO)) == [("wrap", True)]
    log.reply("wrap")
    (reply,) = taken(log.reply("fetch")).replies
    assert reply.command_id == UNDO


def test_a_child_that_goes_back_already_answers_the_undo_at_its_end(tell: Tell) -> None:
    """Nothing is asked twice."""
    log = begun(tell)
    log.reply("fetch")
    log.reply("wrap", refusal=REFUSED)
    assert sent(log.order(OrderKind.COMPENSATE, command_id=UNDO)) == []
    (reply,) = taken(log.reply("fetch")).replies
    assert (reply.command_id, reply.result) == (UNDO, {})


def test_a_child_that_was_undone_before_answers_the_undo_at_once(tell: Tell) -> None:
    """Its parent gave up just then."""
    log = begun(tell)
    log.reply("fetch", refusal=REFUSED)
    assert log.status() is TransactionStatus.COMPENSATED
    (reply,) = taken(log.order(OrderKind.COMPENSATE, command_id=UNDO)).replies
    assert (reply.command_id, reply.result) == (UNDO, {})


def test_a_paused_child_is_undone_when_its_parent_says_so(tell: Tell) -> None:
    """Its parent cannot wait for it any more; standing still is over."""
    log = begun(tell)
    log.reply("fetch")
    log.order(OrderKind.PAUSE)
    assert sent(log.order(OrderKind.COMPENSATE, command_id=UNDO)) == [("wrap", True)]
    assert log.saga.paused_at is None
    log.reply("wrap")
    (reply,) = taken(log.reply("fetch")).replies
    assert reply.command_id == UNDO


def test_a_child_past_its_point_of_no_return_is_not_undone(tell: Tell) -> None:
    """The order is refused, and the saga stands."""
    log = tell(SENDING)
    log.begin(parent=STEP)
    log.reply("send")
    assert why(log.order(OrderKind.COMPENSATE, command_id=UNDO)) is Why.REFUSED
    assert log.status() is TransactionStatus.COMPLETED
