"""What a saga does when nobody answers, or when a refusal may pass."""

from datetime import timedelta

import pytest

from contracts.errors import NotFound, Unavailable
from contracts.saga_events import StepPostponed
from contracts.transaction import StepStatus, TransactionStatus
from sagas.engine.decision import Ignored, Transition, Why
from sagas.engine.definition import PIVOT, RETRIABLE, Definition, Retry
from sagas.engine.mapping import out
from sagas.engine.writing import parallel, saga, seconds, step
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Ask, Begin, Do, Label, Review, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import sent, taken, why

REFUSED = NotFound(what="box", key="B01")
UNWELL = Unavailable(what="the freezer")
NOT_FOUND, UNAVAILABLE = "request.not_found", "service.unavailable"

# fmt: off
PROBED = saga("probed", version=1, starts_with=Begin)(
    step("look",  ask=Review, undo=Undo, within=seconds(10), idempotent=False, probe=Ask, retry=Retry(2)),  # noqa: E501 - one line per step
    step("label", ask=Label,  undo=Undo, within=seconds(10), given={"decision": out("look.decision")}),  # noqa: E501 - one line per step
)
ONCE = saga("once", version=1, starts_with=Begin)(
    step("do",    ask=Do, undo=Undo, within=seconds(10), idempotent=False, retry=Retry(3)),
)
FINAL = saga("final", version=1, starts_with=Begin)(
    step("do",    ask=Do, undo=Undo,  within=seconds(10)),
    step("send",  ask=Do, kind=PIVOT, within=seconds(10), idempotent=False, probe=Ask, retry=Retry(1)),  # noqa: E501 - one line per step
)
AFTER = saga("after", version=1, starts_with=Begin)(
    step("send",  ask=Do, kind=PIVOT, within=seconds(10)),
    parallel(
        step("bill", ask=Do, kind=RETRIABLE, within=seconds(10), probe=Ask),
        step("tell", ask=Do, kind=RETRIABLE, within=seconds(10)),
    ),
)
# fmt: on


def doing(retry: Retry) -> Definition:
    """Make a saga of one step that is retried like this."""
    return saga("doing", version=1, starts_with=Begin)(
        step("do", ask=Do, undo=Undo, within=seconds(10), retry=retry)
    )


def asked(tell: Tell, definition: Definition) -> Chronicle:
    """Give a saga whose first step was asked."""
    log = tell(definition)
    log.begin()
    return log


def types(outcome: Transition | Ignored) -> list[str]:
    """Name the commands that an outcome sends."""
    return [command.type for command in taken(outcome).commands]


def test_silence_is_answered_with_a_probe(tell: Tell) -> None:
    """Nobody knows whether the step was done, so its participant is asked what became of it."""
    log = asked(tell, PROBED)
    assert types(log.due("look")) == ["trial.ask"]
    assert log.statuses()["look"] is StepStatus.ASKED


def test_a_step_that_the_probe_finds_done_is_done(tell: Tell) -> None:
    """With the result that the probe tells, which later steps read."""
    log = asked(tell, PROBED)
    log.due("look")
    outcome = log.probed("look", done=True, result={"lot": "L9", "decision": "release"})
    assert taken(outcome).commands[0].data == {"lot": "L9", "decision": "release"}
    assert log.saga.steps["look"].output == {"lot": "L9", "decision": "release"}


def test_a_step_that_the_probe_finds_undone_is_asked_again(tell: Tell) -> None:
    """That is safe also where the participant could not tell a repetition."""
    log = asked(tell, PROBED)
    log.due("look")
    assert sent(log.probed("look", done=False)) == []
    assert types(log.due("look")) == ["trial.review"]
    assert log.saga.steps["look"].attempts == 2


def test_a_probe_that_fails_leaves_the_outcome_unknown(tell: Tell) -> None:
    """What must not be asked twice is given up, and undone in case it was done."""
    log = asked(tell, PROBED)
    log.due("look")
    assert sent(log.probed("look", done=None)) == [("look", True)]


def test_a_probe_that_nobody_answers_leaves_the_outcome_unknown(tell: Tell) -> None:
    """As if there were none."""
    log = asked(tell, PROBED)
    log.due("look")
    assert sent(log.due("look")) == [("look", True)]


def test_an_answer_that_overtakes_the_probe_counts(tell: Tell) -> None:
    """The probe's own answer is stale then."""
    log = asked(tell, PROBED)
    log.due("look")
    probe = log.saga.steps["look"].probe_id
    assert sent(log.reply("look", result={"decision": "release"})) == [("label", False)]
    assert why(log.reply("look", command_id=probe, result={"done": False})) is Why.STALE


def test_an_unclear_pivot_goes_on_where_the_probe_finds_it_done(tell: Tell) -> None:
    """No person is needed for what the participant knows."""
    log = asked(tell, FINAL)
    log.reply("do")
    log.due("send")
    log.probed("send", done=True)
    assert log.status() is TransactionStatus.COMPLETED


def test_a_step_that_may_not_be_repeated_is_not_asked_again_in_the_dark(tell: Tell) -> None:
    """Nobody answered, or its participant was unwell: it is given up at once."""
    log = asked(tell, ONCE)
    assert sent(log.due("do")) == [("do", True)]
    other = asked(tell, ONCE)
    assert sent(other.reply("do", refusal=UNWELL)) == [("do", True)]


def test_a_probe_is_answered_while_the_sibling_of_its_step_is_stuck(tell: Tell) -> None:
    """A saga that waits for a person still learns what became of its other steps."""
    log = asked(tell, AFTER)
    log.reply("send")
    log.due("bill")
    log.reply("tell", refusal=REFUSED)
    assert log.status() is TransactionStatus.FAILED
    log.probed("bill", done=True)
    assert log.statuses()["bill"] is StepStatus.DONE


@pytest.mark.parametrize(
    ("retry", "refused", "again"),
    [
        (Retry(3), REFUSED, False),
        (Retry(3, also=(NOT_FOUND,)), REFUSED, True),
        (Retry(3), UNWELL, True),
        (Retry(3, never=(UNAVAILABLE,)), UNWELL, False),
        (Retry(1, also=(NOT_FOUND,)), REFUSED, False),
    ],
    ids=["refused", "refused, also", "unwell", "unwell, never", "refused, also, once"],
)
def test_which_failures_are_asked_again_after_is_said_by_their_codes(
    tell: Tell,
    retry: Retry,
    refused: NotFound | Unavailable,
    again: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """`also` adds refusals that may pass, `never` takes failures out that will not."""
    log = asked(tell, doing(retry))
    log.reply("do", refusal=refused)
    assert log.saga.steps["do"].postponed is again
    assert log.saga.back is not again


def test_a_refusal_that_does_not_pass_ends_the_attempts(tell: Tell) -> None:
    """The last refusal is the saga's failure."""
    log = asked(tell, doing(Retry(2, also=(NOT_FOUND,))))
    log.reply("do", refusal=REFUSED)
    log.due("do")
    log.reply("do", refusal=REFUSED)
    assert log.saga.failure is not None
    assert log.saga.failure.code == NOT_FOUND


def test_the_pause_before_the_next_attempt_differs_from_saga_to_saga(tell: Tell) -> None:
    """By at most its jitter, and the same saga decided on again pauses as long."""
    log = asked(tell, doing(Retry(3, backoff_seconds=10, jitter=0.5)))
    outcome = taken(log.reply("do", refusal=UNWELL))
    (postponed,) = [event for event in outcome.events if isinstance(event, StepPostponed)]
    pause = postponed.until - outcome.input.at
    assert timedelta(seconds=5) <= pause <= timedelta(seconds=15)
    assert pause != timedelta(seconds=10)
