"""What a fork takes over of the saga that it branches off."""

from typing import Any

import pytest

from contracts.errors import NotFound
from contracts.transaction import StepStatus
from sagas.engine.conditions import equals
from sagas.engine.decision import Reused
from sagas.engine.definition import QUERY
from sagas.engine.mapping import out, start
from sagas.engine.writing import parallel, saga, seconds, step
from sagas.replay.fork import CannotForkError, taken_over
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin, Do, Label, Review, Undo
from tests.sagas.conftest import Tell

REVIEW: dict[str, Any] = {"lot": "L9", "decision": "discard", "reviewers": [], "volume_ul": "1"}

# fmt: off
LABELLING = saga("labelling", version=1, starts_with=Begin)(
    step("look",  ask=Review, kind=QUERY, within=seconds(10)),
    step("burn",  ask=Do, undo=Undo,      within=seconds(10), when=equals(start("risky"), value=True)),  # noqa: E501 - one line per step
    parallel(
        step("label", ask=Label, undo=Undo, within=seconds(10), given={"decision": out("look.decision")}),  # noqa: E501 - one line per step
        step("box",   ask=Do, undo=Undo,  within=seconds(10)),
    ),
    step("last",  ask=Do, undo=Undo,      within=seconds(10)),
)
# fmt: on


@pytest.fixture
def boxing(tell: Tell) -> Chronicle:
    """Give a saga that waits for one of two steps asked at once."""
    log = tell(LABELLING)
    log.begin()
    log.reply("look", result=REVIEW)
    log.reply("label", result={})
    return log


def test_the_stages_before_are_taken_over_with_their_answers(boxing: Chronicle) -> None:
    """Also what was skipped; nothing of the stage that the fork begins with."""
    before = {
        "look": Reused(status=StepStatus.DONE, output=REVIEW),
        "burn": Reused(status=StepStatus.SKIPPED, output=None),
    }
    assert taken_over(LABELLING, boxing.saga, "label") == before
    assert taken_over(LABELLING, boxing.saga, "box") == before
    assert taken_over(LABELLING, boxing.saga, "look") == {}


def test_a_step_before_that_has_no_answer_cannot_be_taken_over(boxing: Chronicle) -> None:
    """The text names it, how it stands, and where a fork could begin."""
    with pytest.raises(CannotForkError, match="step box, which comes before it, is asked"):
        taken_over(LABELLING, boxing.saga, "last")


def test_what_was_undone_cannot_be_taken_over(boxing: Chronicle) -> None:
    """Its effect is gone, whatever it answered once."""
    boxing.reply("box", refusal=NotFound(what="box", key="B1"))
    boxing.reply("label", result={})
    assert boxing.saga.steps["label"].status is StepStatus.UNDONE
    with pytest.raises(CannotForkError, match="is undone"):
        taken_over(LABELLING, boxing.saga, "last")


def test_a_step_that_is_not_there_is_named_with_those_that_are(boxing: Chronicle) -> None:
    """Whoever mistyped sees what to type."""
    with pytest.raises(CannotForkError, match="no step 'lable'; there is: look, burn, label, box"):
        taken_over(LABELLING, boxing.saga, "lable")
