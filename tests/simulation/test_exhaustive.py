"""Every single and double fault of three small sagas, enumerated."""

import pytest

from sagas.engine.definition import Definition
from tests.simulation.dice import Dice
from tests.simulation.exhaustive import FAULTS, SCOPES, cases, check_scope
from tests.simulation.faults import Faults, Planned
from tests.simulation.world import World

CASES = {"no_pivot": 10_760, "up_to_the_pivot": 10_259, "past_the_pivot": 9_701}
"""Another number says that an orchestrator or the engine has more, or fewer, places to fail at."""


@pytest.mark.parametrize("definition", SCOPES, ids=lambda one: one.saga_type)
def test_no_two_faults_leave_a_saga_open_or_a_step_half_done(
    definition: Definition, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every case ends; completed means each step once, compensated none, failed none twice."""
    report = check_scope(definition)
    with capsys.disabled():
        print(f"\n{report.in_words()}")  # noqa: T201 - the number of cases is the result
    assert report.broken == []
    assert report.cases == CASES[definition.saga_type]
    assert report.cases == report.ends.total() == report.by_faults.total()
    assert set(report.ends) == {"completed", "compensated", "failed"}


@pytest.mark.parametrize("definition", SCOPES, ids=lambda one: one.saga_type)
def test_every_fault_strikes_at_every_place_where_it_can(definition: Definition) -> None:
    """A run without faults tells the places; each single fault struck at one, and all did."""
    quiet = Planned({})

    def make(faults: Faults) -> World:
        return World(Dice("places"), faults, range(1), (definition,), peopled=False)

    make(quiet).run()
    places = [
        (c.point, fault) for c in quiet.chances for fault in c.possible.faults if fault in FAULTS
    ]
    struck = [struck for _, world in cases(make, 1) for struck in world.faults.struck.items()]
    assert sorted(struck) == sorted(places)
    assert len(set(places)) == len(places)
