"""Recorded sagas through another version of their table, with the answers that they really got."""

import pytest

from contracts.errors import NotFound
from contracts.transaction import OrderKind, TransactionStatus
from sagas.engine.definition import PIVOT, RETRIABLE, Definition, Retry
from sagas.engine.writing import approval, days, saga, seconds, step
from sagas.replay.what_if import UNANSWERED, Course, run_again
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Ask, Begin, Do, Review, Undo
from tests.sagas.conftest import Tell

REFUSED = NotFound(what="box", key="B01")


def table(
    *, version: int = 1, retry: int = 3, optional: bool = False, looks: bool = False
) -> Definition:
    """Write the table of these tests, with what its versions differ in."""
    look = [step("look", ask=Review, undo=Undo, within=seconds(10))] if looks else []
    return saga("lot", version=version, starts_with=Begin, within=days(30))(
        step("do", ask=Do, undo=Undo, within=seconds(10), retry=Retry(retry)),
        *look,
        approval("agree", within=days(7)),
        step("store", ask=Do, kind=PIVOT, within=seconds(10)),
        step("tell", ask=Do, kind=RETRIABLE, optional=optional, within=seconds(10), retry=Retry(2)),
    )


def under(log: Chronicle, definition: Definition) -> Course:
    """Run what was recorded through another version."""
    course = run_again(log.entries, definition)
    assert course is not None
    assert course.recorded is log.saga.status
    return course


@pytest.fixture
def log(tell: Tell) -> Chronicle:
    """Give a saga that has begun."""
    log = tell(table())
    log.begin()
    return log


def finish(log: Chronicle) -> None:
    """Let everything that is left be done."""
    log.approve("grace")
    log.reply("store")
    log.reply("tell")
    assert log.saga.status is TransactionStatus.COMPLETED


def test_a_change_that_does_not_matter_changes_no_outcome(log: Chronicle) -> None:
    """Asked less often, and answered at once all the same."""
    log.reply("do")
    finish(log)
    course = under(log, table(version=2, retry=1, optional=True))
    assert course.same
    assert course.under is TransactionStatus.COMPLETED


def test_who_asks_only_once_meets_the_silence_alone(log: Chronicle) -> None:
    """Nobody answered at first; the recorded saga asked again, the other version would not."""
    log.due("do")
    log.due("do")
    log.reply("do")
    finish(log)
    assert under(log, table(version=2, retry=2)).same
    course = under(log, table(version=2, retry=1))
    assert not course.same
    assert course.under == UNANSWERED
    assert course.at_step == "do"


def test_a_step_that_is_optional_would_not_have_failed(log: Chronicle) -> None:
    """The recorded saga needs a person, and today's would complete."""
    log.reply("do")
    log.approve("grace")
    log.reply("store")
    log.reply("tell", refusal=REFUSED)
    assert log.saga.status is TransactionStatus.FAILED
    course = under(log, table(version=2, optional=True))
    assert not course.same
    assert course.under is TransactionStatus.COMPLETED


def test_a_step_that_was_never_asked_stands_unanswered(log: Chronicle) -> None:
    """Nothing is made up for it."""
    log.reply("do")
    finish(log)
    course = under(log, table(version=2, looks=True))
    assert course.under == UNANSWERED
    assert course.at_step == "look"


def test_what_people_ordered_is_no_change_where_all_is_decided_alike(log: Chronicle) -> None:
    """A cancelled saga is cancelled under a version that differs behind the order."""
    log.reply("do")
    log.order(OrderKind.CANCEL)
    log.reply("do")
    assert log.saga.status is TransactionStatus.CANCELLED
    assert under(log, table(version=2, optional=True)).same
    assert under(log, table(version=2, looks=True)).under == UNANSWERED


def test_clocks_run_out_again_that_ran_out(log: Chronicle) -> None:
    """An approval that never came, under a version that differs before and behind it."""
    log.reply("do")
    log.due("agree")
    log.reply("do")
    assert log.saga.status is TransactionStatus.COMPENSATED
    course = under(log, table(version=2, retry=1, optional=True))
    assert course.same
    assert course.at_step == "agree"


def test_the_deadline_of_a_saga_passes_again(log: Chronicle) -> None:
    """With another pause between attempts the ways part, and the end is the same."""
    log.reply("do")
    log.deadline()
    log.reply("do")
    assert log.saga.status is TransactionStatus.COMPENSATED
    changed = saga("lot", version=2, starts_with=Begin, within=days(29))(*table().steps)
    course = under(log, changed)
    assert course.same
    assert course.at_step is None


def test_a_probes_answer_is_told_to_the_probe_alone(tell: Tell) -> None:
    """It says what became of a step, and is no answer of the step itself."""

    def probing(*, version: int, longer: bool) -> Definition:
        last = [step("last", ask=Do, kind=PIVOT, within=seconds(10))] if longer else []
        return saga("probing", version=version, starts_with=Begin)(
            step("do", ask=Do, undo=Undo, within=seconds(10), probe=Ask), *last
        )

    log = tell(probing(version=1, longer=False))
    log.begin()
    log.due("do")
    log.probed("do", done=True)
    assert log.saga.status is TransactionStatus.COMPLETED
    course = under(log, probing(version=2, longer=True))
    assert course.under == UNANSWERED
    assert course.at_step == "last"


def test_what_has_not_ended_is_left_out(log: Chronicle) -> None:
    """Nobody knows yet how it will go under its own version."""
    assert run_again(log.entries, table(version=2)) is None
    assert run_again([], table(version=2)) is None
