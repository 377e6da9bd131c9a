"""Every single and double fault at every message of a three-step saga."""

from collections import Counter
from collections.abc import Iterator

import pytest

from contracts.sample import MarkSamplesStored, RegisterSamples, WithdrawSamples
from contracts.storage import ConfirmPositions, ReleasePositions, ReservePositions
from contracts.transaction import SubmitManifest, TransactionStatus
from sagas.engine.definition import PIVOT, RETRIABLE, Definition, Retry
from sagas.engine.writing import saga, seconds, step
from tests.sagas.chronicle import ROWS
from tests.sagas.world import Fault, Guard, World

TWICE = Retry(2, backoff_seconds=1)

# fmt: off
UP_TO_THE_PIVOT = saga("up_to_the_pivot", version=1, starts_with=SubmitManifest)(
    step("register", ask=RegisterSamples,  undo=WithdrawSamples,  within=seconds(10), retry=TWICE, given={"rows": ROWS}, undo_given={"rows": ROWS}),  # noqa: E501 - one line per step
    step("reserve",  ask=ReservePositions, undo=ReleasePositions, within=seconds(10), retry=TWICE, given={"rows": ROWS}),  # noqa: E501 - one line per step
    step("store",    ask=ConfirmPositions, kind=PIVOT,            within=seconds(10), retry=TWICE),
)
PAST_THE_PIVOT = saga("past_the_pivot", version=1, starts_with=SubmitManifest)(
    step("reserve",  ask=ReservePositions,  undo=ReleasePositions, within=seconds(10), retry=TWICE, given={"rows": ROWS}),  # noqa: E501 - one line per step
    step("store",    ask=ConfirmPositions,  kind=PIVOT,            within=seconds(10), retry=TWICE),
    step("mark",     ask=MarkSamplesStored, kind=RETRIABLE,        within=seconds(10), retry=TWICE, given={"rows": ROWS}),  # noqa: E501 - one line per step
)
# fmt: on

Plan = dict[int, Fault]


def runs(definition: Definition, guard: Guard, faults: int) -> Iterator[tuple[Plan, World]]:
    """Run every plan with at most that many faults, each behind the one before."""
    waiting: list[Plan] = [{}]
    while waiting:
        plan = waiting.pop()
        world = World(definition, plan, guard)
        world.run()
        yield plan, world
        if len(plan) < faults:
            first = max(plan, default=-1) + 1
            hops = list(enumerate(world.possible))[first:]
            waiting += [{**plan, hop: fault} for hop, possible in hops for fault in possible]


@pytest.mark.parametrize("guard", Guard)
@pytest.mark.parametrize("definition", [UP_TO_THE_PIVOT, PAST_THE_PIVOT], ids=lambda d: d.saga_type)
def test_no_two_faults_leave_a_saga_open_or_a_step_half_done(
    definition: Definition, guard: Guard, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run ends; completed means each step once, compensated none, failed none twice."""
    ends: Counter[TransactionStatus] = Counter()
    for plan, world in runs(definition, guard, faults=2):
        status, effects = world.log.saga.status, world.participants.effects
        ends[status] += 1
        assert status.ended, plan
        allowed = {
            TransactionStatus.COMPLETED: {1},
            TransactionStatus.COMPENSATED: {0},
            TransactionStatus.FAILED: {0, 1},
        }[status]
        assert set(effects.values()) <= allowed, (plan, status, effects)
    with capsys.disabled():
        listed = ", ".join(f"{count} {status}" for status, count in sorted(ends.items()))
        print(f"\n{definition.saga_type}, {guard}: {ends.total()} runs: {listed}")  # noqa: T201 - the count is the result
    assert set(ends) == {
        TransactionStatus.COMPLETED,
        TransactionStatus.COMPENSATED,
        TransactionStatus.FAILED,
    }


@pytest.mark.parametrize("definition", [UP_TO_THE_PIVOT, PAST_THE_PIVOT], ids=lambda d: d.saga_type)
def test_the_log_of_every_faulty_run_gives_the_state_back(definition: Definition) -> None:
    """The bytes of the log alone rebuild the state that the decisions led to."""
    for plan, world in runs(definition, Guard.DEADLINE, faults=1):
        assert world.log.refold() == world.log.saga, plan
