"""Sagas that branch off another: what was done is taken over, and never undone."""

from uuid import UUID

import pytest

from contracts.errors import NotFound
from contracts.saga_events import ForkPoint, StepReused
from contracts.transaction import StepStatus, TransactionStatus
from contracts.types import TransactionId
from sagas.engine.conditions import equals
from sagas.engine.decision import Reused
from sagas.engine.definition import QUERY
from sagas.engine.mapping import out, start
from sagas.engine.view import view
from sagas.engine.writing import parallel, saga, seconds, step
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin, Do, Label, Review, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import sent, taken

REFUSED = NotFound(what="box", key="B01")
OTHER = TransactionId(UUID("0198a000-0000-7000-8000-0000000000aa"))
POINT = ForkPoint(transaction_id=OTHER, seq=17, step="label")
DONE = StepStatus.DONE

# fmt: off
LABELLING = saga("labelling", version=1, starts_with=Begin)(
    step("look",  ask=Review, kind=QUERY,  within=seconds(10)),
    step("do",    ask=Do, undo=Undo,       within=seconds(10)),
    step("burn",  ask=Do, undo=Undo,       within=seconds(10), when=equals(start("risky"), value=True)),  # noqa: E501 - one line per step
    parallel(
        step("label", ask=Label, undo=Undo, within=seconds(10), given={"decision": out("look.decision")}),  # noqa: E501 - one line per step
        step("box",   ask=Do, undo=Undo,   within=seconds(10)),
    ),
)
# fmt: on
REUSED = {
    "look": Reused(status=DONE, output={"lot": "L9", "decision": "discard"}),
    "do": Reused(status=DONE, output={}),
    "burn": Reused(status=StepStatus.SKIPPED, output=None),
}


@pytest.fixture
def fork(tell: Tell) -> Chronicle:
    """Give a saga that has not begun."""
    return tell(LABELLING)


def test_a_fork_begins_at_its_step_with_the_answers_of_those_before(fork: Chronicle) -> None:
    """Nothing is asked again that it took over."""
    outcome = taken(fork.begin(forked_from=POINT, reused=REUSED))
    assert sent(outcome) == [("label", False), ("box", False)]
    assert outcome.commands[0].data == {"lot": "L9", "decision": "discard"}
    assert [event.step for event in outcome.events if isinstance(event, StepReused)] == [
        "look",
        "do",
        "burn",
    ]


def test_a_fork_says_what_it_branched_off(fork: Chronicle) -> None:
    """Its lineage is kept."""
    fork.begin(forked_from=POINT, reused=REUSED)
    assert fork.saga.forked_from == POINT
    assert view(fork.saga, seq=1, transitions=1).forked_from == OTHER


def test_a_fork_undoes_only_what_it_did_itself(fork: Chronicle) -> None:
    """The steps that it took over belong to the saga that it branched off."""
    fork.begin(forked_from=POINT, reused=REUSED)
    fork.reply("box")
    assert sent(fork.reply("label", refusal=REFUSED)) == [("box", True)]
    assert sent(fork.reply("box")) == []
    assert fork.status() is TransactionStatus.COMPENSATED
    assert fork.statuses()["do"] is DONE


def test_a_fork_within_a_group_takes_over_what_was_done_of_it(fork: Chronicle) -> None:
    """Only the rest of the group is asked."""
    reused = {**REUSED, "box": Reused(status=DONE, output={})}
    assert sent(fork.begin(forked_from=POINT, reused=reused)) == [("label", False)]
    fork.reply("label")
    assert fork.status() is TransactionStatus.COMPLETED


def test_a_fork_of_which_everything_was_done_is_completed_at_once(fork: Chronicle) -> None:
    """There is nothing left to ask."""
    rest = {name: Reused(status=DONE, output={}) for name in ("label", "box")}
    assert sent(fork.begin(forked_from=POINT, reused=REUSED | rest)) == []
    assert fork.status() is TransactionStatus.COMPLETED
