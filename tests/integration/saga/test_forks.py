"""Forks over a real broker: begun anew from a step, with the answers of those before."""

from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

import sagas.definitions
from contracts.errors import Refused
from contracts.saga_tools import CannotFork, SagaTypeUnknown
from contracts.transaction import TransactionNotFound, TransactionStatus
from infra.bus.connection import Connection
from infra.ids import new_id
from tests.integration.saga.conductor import Conductor, conducting, participant
from tests.integration.saga.desk import AGREEING, ALL, SENDING, Participants, fork, heads, said


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sagas of these tests be known."""
    monkeypatch.setattr(sagas.definitions, "ALL", ALL)


@pytest.fixture
def people() -> Participants:
    """Give those who are asked: the last step is refused."""
    return Participants(refuses={"bill"})


@pytest.fixture
async def conductor(
    nats_url: str, provisioned: Connection, people: Participants
) -> AsyncGenerator[Conductor]:
    """Give a process that carries sagas on, and its participants."""
    assert provisioned.connected
    async with conducting(nats_url) as conductor, participant(nats_url, people.answer):
        yield conductor


@pytest.fixture
async def failed(conductor: Conductor) -> UUID:
    """Give a saga that failed at its last step."""
    saga_id = await conductor.begin(SENDING)
    assert (await conductor.ended(saga_id)).status is TransactionStatus.FAILED
    return saga_id


async def test_a_fork_asks_from_its_step_on(
    conductor: Conductor, failed: UUID, people: Participants
) -> None:
    """What was answered before is taken over; lineage and actor are kept."""
    people.refuses.clear()
    people.asked.clear()
    begun = await fork(conductor, failed, "send")
    state = await conductor.ended(begun.transaction_id)

    assert (begun.forked_from, begun.reused, begun.asks) == (
        failed,
        ["hold"],
        ["notification.send"],
    )
    assert state.status is TransactionStatus.COMPLETED
    assert people.asked == ["send", "bill"]
    assert state.forked_from is not None
    assert (state.forked_from.transaction_id, state.forked_from.step) == (failed, "send")
    assert state.actor == "grace"
    original = await conductor.state(failed)
    assert state.output("hold") == original.output("hold")
    assert original.status is TransactionStatus.FAILED


async def test_a_fork_may_go_by_another_version(
    conductor: Conductor, failed: UUID, people: Participants
) -> None:
    """The version is named; its new step is asked too."""
    people.refuses.clear()
    people.asked.clear()
    begun = await fork(conductor, failed, "bill", version=2)
    state = await conductor.ended(begun.transaction_id)
    assert (state.version, people.asked) == (2, ["bill", "file"])


async def test_the_same_order_forks_once(conductor: Conductor, failed: UUID) -> None:
    """Its repetition names the same fork."""
    given = said()
    first = await fork(conductor, failed, "bill", given)
    await conductor.ended(first.transaction_id)
    before = await heads(conductor)
    assert await fork(conductor, failed, "bill", given) == first
    assert await heads(conductor) == before


async def test_a_fork_that_is_only_tried_changes_nothing(
    conductor: Conductor, failed: UUID
) -> None:
    """It shows what would be taken over and asked."""
    before = await heads(conductor)
    shown = await fork(conductor, failed, "bill", dry_run=True)
    assert (shown.dry_run, shown.reused) == (True, ["hold", "send"])
    assert await heads(conductor) == before


async def test_what_cannot_be_forked_is_refused(conductor: Conductor, failed: UUID) -> None:
    """No such step, an earlier one unsettled, no such version or transaction; one under way."""
    for at, version, expected in (
        ("nowhere", 1, CannotFork),
        ("file", 2, CannotFork),
        ("bill", 9, SagaTypeUnknown),
    ):
        with pytest.raises(Refused) as refused:
            await fork(conductor, failed, at, version=version)
        assert isinstance(refused.value.refusal, expected)
    waiting = await conductor.begin(AGREEING)
    with pytest.raises(Refused, match="done twice"):
        await fork(conductor, waiting, "hold")
    with pytest.raises(Refused) as unknown:
        await fork(conductor, new_id(), "bill")
    assert isinstance(unknown.value.refusal, TransactionNotFound)
