"""The walk over every course of a saga."""

from datetime import timedelta

from contracts.transaction import TransactionStatus
from sagas.engine.definition import PIVOT, RETRIABLE, Definition, Retry
from sagas.engine.validate_flow import Walk, flow_faults, models_of
from sagas.engine.writing import approval, days, parallel, saga, seconds, step
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Ask, Begin, Do, Undo

# fmt: off
MIXED = saga("mixed", version=1, starts_with=Begin, within=timedelta(days=9))(
    step("do",    ask=Do, undo=Undo, within=seconds(10)),
    parallel(
        step("left",  ask=Do, undo=Undo, within=seconds(10), probe=Ask),
        step("right", ask=Do, undo=Undo, within=seconds(10), idempotent=False, retry=Retry(1)),
    ),
    approval("agree", needs=3, within=days(1)),
    step("send",  ask=Do, kind=PIVOT, within=seconds(10)),
    parallel(
        step("bill", ask=Do, kind=RETRIABLE),
        step("tell", ask=Do, kind=RETRIABLE, optional=True),
    ),
)
# fmt: on


def walked(definition: Definition, *, by_hand: bool = False) -> Walk:
    """Walk every course."""
    walk = Walk(definition, models_of(definition, set()))
    walk.go(by_hand=False)
    if by_hand:
        walk.go(by_hand=True)
    return walk


def lines(number: int) -> Definition:
    """Make a saga of so many steps."""
    return saga("long", version=1, starts_with=Begin)(
        *(step(f"do_{n}", ask=Do, undo=Undo, within=seconds(10)) for n in range(number))
    )


def test_every_step_is_asked_and_every_end_is_come_to() -> None:
    """Completed, undone, and stuck where a person is needed."""
    walk = walked(MIXED)
    assert walk.asked == set(MIXED.by_name)
    assert {state.status for state in walk.reached.values() if state.status.ended} == {
        TransactionStatus.COMPLETED,
        TransactionStatus.COMPENSATED,
        TransactionStatus.FAILED,
    }
    assert list(flow_faults(MIXED)) == []


def test_from_every_stand_an_end_is_reached() -> None:
    """Also after a person completed what was stuck."""
    walk = walked(MIXED, by_hand=True)
    assert list(walk.endless()) == []
    assert any(state.overdue for state in walk.reached.values())


def test_a_course_that_goes_round_is_found() -> None:
    """From the first two stands only each other is reached; from the third, an end."""
    log = Chronicle(MIXED, Begin())
    log.begin()
    running = log.saga
    ended = running._replace(status=TransactionStatus.COMPLETED)
    walk = Walk(MIXED, ())
    walk.reached = {("a",): running, ("b",): running, ("c",): running, ("end",): ended}
    walk.leads_to = {("a",): {("b",)}, ("b",): {("a",)}, ("c",): {("a",), ("end",)}}
    assert set(walk.endless()) == {("a",), ("b",)}


def test_the_work_grows_with_the_number_of_steps_and_not_of_courses() -> None:
    """Ten times the steps, about ten times the stands."""
    few, many = (len(walked(lines(number)).reached) for number in (10, 100))
    assert many <= 11 * few
    assert many <= 2_000


def test_a_group_of_twelve_is_walked_too() -> None:
    """Three to the power of twelve courses, and some hundred stands."""
    group = saga("wide", version=1, starts_with=Begin)(
        parallel(*(step(f"do_{n}", ask=Do, undo=Undo, within=seconds(10)) for n in range(12)))
    )
    walk = walked(group, by_hand=True)
    assert len(walk.reached) <= 500
    assert list(walk.endless()) == []
