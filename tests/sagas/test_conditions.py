"""Steps that are not always needed."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from contracts.errors import NotFound
from contracts.transaction import StepStatus, TransactionStatus
from sagas.engine.conditions import (
    Condition,
    all_of,
    any_of,
    equals,
    exceeds,
    exists,
    no,
    one_of,
)
from sagas.engine.definition import QUERY
from sagas.engine.mapping import out, start
from sagas.engine.writing import parallel, saga, seconds, step
from tests.sagas.chronicle import SAGA
from tests.sagas.commands import Begin, Do, Review, Undo
from tests.sagas.conftest import Tell
from tests.sagas.outcome import sent

REFUSED = NotFound(what="box", key="B01")
RELEASED = equals(out("review.decision"), "release")

# fmt: off
REVIEWING = saga("reviewing", version=1, starts_with=Begin)(
    step("review", ask=Review, kind=QUERY, within=seconds(10)),
    step("free",   ask=Do, undo=Undo,      within=seconds(10), when=RELEASED),
    parallel(
        step("burn", ask=Do, undo=Undo,    within=seconds(10), when=no(RELEASED)),
        step("ship", ask=Do, undo=Undo,    within=seconds(10), when=RELEASED),
    ),
    step("last",   ask=Do, undo=Undo,      within=seconds(10)),
)
# fmt: on


@dataclass
class Told:
    """What is known of a saga whose review said this."""

    review: dict[str, Any]
    saga_id: UUID = SAGA
    message: dict[str, Any] = field(default_factory=lambda: {"risky": True, "amount": 3})

    def output(self, step: str) -> dict[str, Any] | None:
        """Give the answer of the review."""
        return self.review if step == "review" else None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (RELEASED, True),
        (equals(start("risky"), value=True), True),
        (equals(start("risky"), value=False), False),
        (one_of(out("review.decision"), "discard", "release"), True),
        (one_of(out("review.decision"), "discard"), False),
        (equals(out("review.absent"), None), False),
        (exists(out("review.decision")), True),
        (exists(out("review.absent")), False),
        (exists(out("review.empty")), False),
        (exists(out("later.decision")), False),
        (exceeds(out("review.volume_ul"), 12), True),
        (exceeds(out("review.volume_ul"), 12.5), False),
        (exceeds(start("amount"), 2), True),
        (exceeds(out("review.decision"), 0), False),
        (exceeds(out("review.absent"), 0), False),
        (no(RELEASED), False),
        (all_of(RELEASED, exists(start("risky"))), True),
        (all_of(RELEASED, no(RELEASED)), False),
        (any_of(no(RELEASED), RELEASED), True),
        (any_of(no(RELEASED)), False),
    ],
    ids=str,
)
def test_a_condition_holds_for_what_is_known(
    condition: Condition,
    expected: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """What is not known makes every comparison false; quantities that travel as text are read."""
    known = Told({"decision": "release", "volume_ul": "12.5", "empty": []})
    assert condition.holds(known) is expected


def test_two_conditions_that_mean_something_else_are_described_otherwise() -> None:
    """The description goes into the definition's hash."""
    conditions = [
        RELEASED,
        no(RELEASED),
        one_of(out("review.decision"), "release", "discard"),
        equals(out("review.lot"), "release"),
        exists(out("review.decision")),
        exceeds(out("review.decision"), 1),
        exceeds(out("review.decision"), 2),
        all_of(RELEASED),
        any_of(RELEASED),
    ]
    assert len({str(condition.describe()) for condition in conditions}) == len(conditions)


def test_a_step_that_is_not_needed_is_skipped_and_says_why(tell: Tell) -> None:
    """Its condition is looked at when its turn comes; of a group only what is needed is asked."""
    log = tell(REVIEWING)
    log.begin()
    assert sent(log.reply("review", result={"decision": "discard"})) == [("burn", False)]
    assert log.statuses()["free"] is StepStatus.SKIPPED
    assert log.statuses()["ship"] is StepStatus.SKIPPED
    assert log.saga.steps["free"].detail == (
        "not needed, as this does not hold: review.decision is 'release'"
    )
    log.reply("burn")
    log.reply("last")
    assert log.status() is TransactionStatus.COMPLETED


def test_a_step_that_is_needed_is_asked(tell: Tell) -> None:
    """The same table goes the other way."""
    log = tell(REVIEWING)
    log.begin()
    assert sent(log.reply("review", result={"decision": "release"})) == [("free", False)]
    assert sent(log.reply("free")) == [("ship", False)]
    assert log.statuses()["burn"] is StepStatus.SKIPPED


def test_a_skipped_step_is_not_undone(tell: Tell) -> None:
    """Nothing was done there."""
    log = tell(REVIEWING)
    log.begin()
    log.reply("review", result={"decision": "discard"})
    log.reply("burn")
    assert sent(log.reply("last", refusal=REFUSED)) == [("burn", True)]
    assert sent(log.reply("burn")) == []
    assert log.status() is TransactionStatus.COMPENSATED
    assert log.statuses()["free"] is StepStatus.SKIPPED


def test_a_saga_of_which_nothing_is_needed_is_completed_at_once(tell: Tell) -> None:
    """It begins and ends in one transition."""
    idle = saga("idle", version=1, starts_with=Begin)(
        step("do", ask=Do, undo=Undo, within=seconds(10), when=equals(start("risky"), value=True))
    )
    log = tell(idle)
    assert sent(log.begin()) == []
    assert log.status() is TransactionStatus.COMPLETED
