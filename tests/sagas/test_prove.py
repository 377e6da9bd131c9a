"""Whether a saga would stand where it stands under another version of its table."""

from sagas.engine.definition import PIVOT, QUERY, Definition
from sagas.engine.mapping import start
from sagas.engine.writing import saga, seconds, step
from sagas.replay.prove import first_difference
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin, Do, Label, Review, Undo
from tests.sagas.conftest import Tell

# fmt: off
FIRST = saga("lot", version=1, starts_with=Begin)(
    step("do",    ask=Do, undo=Undo,     within=seconds(10)),
    step("store", ask=Do, undo=Undo,     within=seconds(10)),
)
LONGER = saga("lot", version=2, starts_with=Begin)(
    step("do",    ask=Do, undo=Undo,     within=seconds(10)),
    step("store", ask=Do, undo=Undo,     within=seconds(10)),
    step("label", ask=Label, kind=PIVOT, within=seconds(10), given={"decision": start("lot")}),
)
LOOKING = saga("lot", version=3, starts_with=Begin)(
    step("do",    ask=Do, undo=Undo,     within=seconds(10)),
    step("look",  ask=Review, kind=QUERY, within=seconds(10)),
    step("store", ask=Do, undo=Undo,     within=seconds(10)),
)
SLOWER = saga("lot", version=4, starts_with=Begin)(
    step("do",    ask=Do, undo=Undo,     within=seconds(20)),
    step("store", ask=Do, undo=Undo,     within=seconds(10)),
)
FOUND = saga("lot", version=5, starts_with=Begin, attributes={"lot": start("lot")})(
    step("do",    ask=Do, undo=Undo,     within=seconds(10)),
    step("store", ask=Do, undo=Undo,     within=seconds(10)),
)
# fmt: on


def differs_at(log: Chronicle, definition: Definition) -> int | None:
    """Give the number of the first entry that the other version decides otherwise."""
    found = first_difference(log.entries, definition)
    return None if found is None else found.seq


def test_steps_that_have_not_come_yet_may_differ(tell: Tell) -> None:
    """The list of steps is recorded when a saga starts, and only those that came count."""
    log = tell(FIRST)
    log.begin()
    assert differs_at(log, LONGER) is None
    assert differs_at(log, LOOKING) is None


def test_a_step_that_would_have_come_before_parts_the_ways(tell: Tell) -> None:
    """What was asked next is another: the difference names the step's file and line."""
    log = tell(FIRST)
    log.run_to("store")
    assert differs_at(log, LONGER) is None
    found = first_difference(log.entries, LOOKING)
    assert found is not None
    assert found.seq == 2
    assert found.line == LOOKING.by_name["look"].place.line
    assert found.file == "tests/sagas/test_prove.py"


def test_what_is_asked_and_armed_must_be_the_same(tell: Tell) -> None:
    """Another deadline of a step that was asked is another timer."""
    log = tell(FIRST)
    log.begin()
    assert differs_at(log, SLOWER) == 1


def test_what_it_can_be_found_by_must_be_the_same(tell: Tell) -> None:
    """A saga that began without an attribute would not get it."""
    log = tell(FIRST)
    log.begin()
    assert differs_at(log, FOUND) == 1


def test_a_saga_that_was_migrated_is_proved_over_its_whole_way(tell: Tell) -> None:
    """Also a second time, for an order to migrate that comes again; and back again."""
    log = tell(FIRST)
    log.run_to("store")
    log.migrate(LONGER)
    assert differs_at(log, LONGER) is None
    assert differs_at(log, FIRST) is None

    log.reply("store")
    assert differs_at(log, LONGER) is None
    assert differs_at(log, FIRST) == 4
