"""Signals to sagas over a real broker: from whom they are taken, and that each is taken once."""

from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

import sagas.definitions
from contracts.errors import InvalidInput, Refused
from contracts.saga_orders import SignalNotAllowed, SignalNotAwaited
from contracts.transaction import TransactionStatus
from infra.bus.connection import Connection
from sagas.engine.view import shown_status
from tests.integration.saga.conductor import Conductor, conducting, participant
from tests.integration.saga.desk import AGREEING, ALL, Participants, heads, said, signal

AWAITING = TransactionStatus.AWAITING


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sagas of these tests be known."""
    monkeypatch.setattr(sagas.definitions, "ALL", ALL)


@pytest.fixture
async def conductor(nats_url: str, provisioned: Connection) -> AsyncGenerator[Conductor]:
    """Give a process that carries sagas on, and participants that do what they are asked."""
    assert provisioned.connected
    async with conducting(nats_url) as conductor, participant(nats_url, Participants().answer):
        yield conductor


@pytest.fixture
async def waiting(conductor: Conductor) -> UUID:
    """Give a saga that waits for two people; ada began it."""
    saga_id = await conductor.begin(AGREEING)
    await conductor.until(saga_id, lambda state: shown_status(state) is AWAITING)
    return saga_id


async def test_enough_approvals_let_a_saga_go_on(conductor: Conductor, waiting: UUID) -> None:
    """The first of two only counts; the second asks the next step."""
    first = await signal(conductor, waiting, said("grace"))
    second = await signal(conductor, waiting, said("lise"))
    state = await conductor.ended(waiting)

    assert (first.order, first.before, first.after, first.asks) == (None, AWAITING, AWAITING, [])
    assert (second.after, second.asks) == (TransactionStatus.RUNNING, ["notification.send"])
    assert state.status is TransactionStatus.COMPLETED
    assert state.output("agree") == {"approved": True, "by": ["grace", "lise"]}


async def test_a_denial_undoes_what_was_done(conductor: Conductor, waiting: UUID) -> None:
    """One is enough; the failure says who, and why."""
    await signal(conductor, waiting, data={"approved": False, "comment": "wrong lot"})
    state = await conductor.ended(waiting)

    assert state.status is TransactionStatus.COMPENSATED
    assert state.failure is not None
    assert "grace denied step agree (wrong lot)" in state.failure.detail


async def test_the_same_person_counts_once(conductor: Conductor, waiting: UUID) -> None:
    """Neither the same message nor another one of the same person counts again."""
    given = said("grace")
    await signal(conductor, waiting, given)
    before = await heads(conductor)
    assert (await signal(conductor, waiting, given)).repeated
    assert (await signal(conductor, waiting, said("grace"))).repeated
    assert await heads(conductor) == before


async def test_who_may_not_say_it_is_refused(conductor: Conductor, waiting: UUID) -> None:
    """Whoever began the saga may not approve it; nothing is recorded, tried or not."""
    before = await heads(conductor)
    for dry_run in (True, False):
        with pytest.raises(Refused) as refused:
            await signal(conductor, waiting, said("ada"), dry_run=dry_run)
        assert isinstance(refused.value.refusal, SignalNotAllowed)
    assert await heads(conductor) == before


async def test_what_is_not_awaited_or_does_not_fit_is_refused(
    conductor: Conductor, waiting: UUID
) -> None:
    """The refusal names what is awaited, or the field."""
    with pytest.raises(Refused) as refused:
        await signal(conductor, waiting, signal="arrival")
    assert isinstance(refused.value.refusal, SignalNotAwaited)
    assert refused.value.refusal.awaited == "approval"
    with pytest.raises(Refused) as unfit:
        await signal(conductor, waiting, data={"approved": "perhaps"})
    assert isinstance(unfit.value.refusal, InvalidInput)
    assert unfit.value.refusal.errors[0].field == "data.approved"


async def test_a_signal_that_is_only_tried_changes_nothing(
    conductor: Conductor, waiting: UUID
) -> None:
    """It shows where the saga would stand."""
    await signal(conductor, waiting, said("grace"))
    before = await heads(conductor)
    shown = await signal(conductor, waiting, said("lise"), dry_run=True)

    assert shown.dry_run
    assert shown.after is TransactionStatus.RUNNING
    assert await heads(conductor) == before
