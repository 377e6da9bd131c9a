"""Orders to sagas over a real broker: each is one transition, carried out once, or tried first."""

from collections.abc import AsyncGenerator

import pytest

import sagas.definitions
from contracts.errors import Refused
from contracts.saga_orders import (
    CancelTransaction,
    CompensateTransaction,
    CompleteStep,
    MigrateTransaction,
    OrderRefused,
    PauseTransaction,
    ResumeTransaction,
    RetryStep,
    SkipStep,
)
from contracts.saga_tools import NotReplayable, SagaTypeUnknown
from contracts.transaction import OrderKind, StepStatus, TransactionNotFound, TransactionStatus
from infra.bus.connection import Connection
from infra.ids import new_id
from services.transaction.handlers.outbox import Outbox
from tests.integration.saga.conductor import Conductor, conducting, participant
from tests.integration.saga.desk import ALL, LONGER, SENDING, Participants, give, heads, said


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sagas of these tests be known."""
    monkeypatch.setattr(sagas.definitions, "ALL", ALL)


@pytest.fixture
async def conductor(nats_url: str, provisioned: Connection) -> AsyncGenerator[Conductor]:
    """Give a process that carries sagas on."""
    assert provisioned.connected
    async with conducting(nats_url) as conductor:
        yield conductor


async def test_a_stuck_step_is_retried_by_order(conductor: Conductor, nats_url: str) -> None:
    """It failed behind the point of no return; asked again, it is done and the saga completes."""
    people = Participants(refuses={"bill"})
    async with participant(nats_url, people.answer):
        saga_id = await conductor.begin(SENDING)
        assert (await conductor.ended(saga_id)).status is TransactionStatus.FAILED
        people.refuses.clear()
        done = await give(conductor, RetryStep, saga_id)
        state = await conductor.until(
            saga_id, lambda one: one.status is TransactionStatus.COMPLETED
        )

    assert (done.order, done.before, done.after) == (
        OrderKind.RETRY,
        TransactionStatus.FAILED,
        TransactionStatus.RUNNING,
    )
    assert [(one.step, one.before, one.after) for one in done.steps] == [
        ("bill", StepStatus.STUCK, StepStatus.ASKED)
    ]
    assert done.asks == ["notification.send"]
    assert people.asked == ["hold", "send", "bill", "bill"]
    assert state.steps["bill"].status is StepStatus.DONE


async def test_a_stuck_step_is_skipped_or_completed_by_order(
    conductor: Conductor, nats_url: str
) -> None:
    """The saga completes without it, or with the answer that was given by hand; nobody is asked."""
    people = Participants(refuses={"bill"})
    async with participant(nats_url, people.answer):
        skipped, completed = await conductor.begin(SENDING), await conductor.begin(SENDING)
        await conductor.ended(skipped)
        await conductor.ended(completed)
    skip = await give(conductor, SkipStep, skipped, step="bill")
    complete = await give(conductor, CompleteStep, completed, output={"seq": 7})

    assert (skip.after, complete.after) == (TransactionStatus.COMPLETED,) * 2
    assert (skip.asks, complete.asks) == ([], [])
    assert (await conductor.state(skipped)).steps["bill"].status is StepStatus.SKIPPED
    assert (await conductor.state(completed)).output("bill") == {"seq": 7}
    assert [entry.actor for entry in await conductor.entries(completed)][-1] == "grace"


async def test_cancel_undoes_what_was_done(conductor: Conductor, nats_url: str) -> None:
    """What may have been done is undone; the saga ends as cancelled."""
    saga_id = await conductor.begin(SENDING)
    done = await give(conductor, CancelTransaction, saga_id)
    assert (done.before, done.after) == (
        TransactionStatus.RUNNING,
        TransactionStatus.COMPENSATING,
    )
    async with participant(nats_url, Participants().answer):
        state = await conductor.ended(saga_id)
    assert state.status is TransactionStatus.CANCELLED
    assert state.steps["hold"].status is StepStatus.UNDONE


async def test_behind_the_point_of_no_return_nothing_is_cancelled_or_compensated(
    conductor: Conductor, nats_url: str
) -> None:
    """The refusal names the step."""
    async with participant(nats_url, Participants(refuses={"bill"}).answer):
        saga_id = await conductor.begin(SENDING)
        await conductor.ended(saga_id)
    for order in (CancelTransaction, CompensateTransaction):
        with pytest.raises(Refused, match="step send is its point of no return") as refused:
            await give(conductor, order, saga_id)
        assert isinstance(refused.value.refusal, OrderRefused)


async def test_a_paused_saga_holds_an_answer_and_goes_on_with_it(
    conductor: Conductor, nats_url: str
) -> None:
    """The answer is recorded, and nothing is asked because of it until somebody says so."""
    saga_id = await conductor.begin(SENDING)
    paused = await give(conductor, PauseTransaction, saga_id)
    assert paused.after is TransactionStatus.PAUSED
    people = Participants()
    async with participant(nats_url, people.answer):
        state = await conductor.until(saga_id, lambda one: one.output("hold") is not None)
        assert state.status is TransactionStatus.PAUSED
        assert people.asked == ["hold"]

        resumed = await give(conductor, ResumeTransaction, saga_id)
        assert resumed.asks == ["notification.send"]
        state = await conductor.ended(saga_id)
    assert state.status is TransactionStatus.COMPLETED
    assert people.asked == ["hold", "send", "bill"]


async def test_an_order_that_comes_again_has_no_second_effect(conductor: Conductor) -> None:
    """It shows what the first one led to, and says that it was repeated."""
    saga_id, given = await conductor.begin(SENDING), said()
    first = await give(conductor, CancelTransaction, saga_id, given)
    before = await heads(conductor)
    again = await give(conductor, CancelTransaction, saga_id, given)

    assert await heads(conductor) == before
    assert again.repeated
    assert again == first.model_copy(update={"repeated": True})


async def test_what_an_order_asks_for_is_sent_by_its_repetition(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever carried it out first died before the undo was sent."""

    async def die(*_: object) -> None:
        raise ConnectionError("the process dies before anything is out")

    saga_id, given = await conductor.begin(SENDING), said()
    with monkeypatch.context() as patched:
        patched.setattr(Outbox, "send", die)
        with pytest.raises(ConnectionError):
            await give(conductor, CancelTransaction, saga_id, given)
    sent = (await heads(conductor))[-1]
    entries = len(await conductor.entries(saga_id))
    again = await give(conductor, CancelTransaction, saga_id, given)

    assert again.repeated
    assert (await heads(conductor))[-1] == sent + 1
    assert len(await conductor.entries(saga_id)) == entries


async def test_dry_runs_show_the_same_and_change_nothing(
    conductor: Conductor, nats_url: str
) -> None:
    """Every order that makes sense is shown as it would be, and the logs stand where they stood."""
    running = await conductor.begin(SENDING)
    async with participant(nats_url, Participants(refuses={"bill"}).answer):
        stuck = await conductor.begin(SENDING)
        await conductor.ended(stuck)
        await conductor.until(running, lambda one: one.status.ended)
    waiting = await conductor.begin(SENDING)
    before = await heads(conductor)
    shown = [
        await give(conductor, PauseTransaction, waiting, dry_run=True),
        await give(conductor, CancelTransaction, waiting, dry_run=True),
        await give(conductor, MigrateTransaction, waiting, version=2, dry_run=True),
        await give(conductor, RetryStep, stuck, dry_run=True),
        await give(conductor, SkipStep, stuck, dry_run=True),
        await give(conductor, CompleteStep, stuck, dry_run=True),
    ]
    with pytest.raises(Refused, match="not paused"):
        await give(conductor, ResumeTransaction, waiting, dry_run=True)

    assert await heads(conductor) == before
    assert all(one.dry_run and not one.repeated for one in shown)
    assert [one.after for one in shown] == [
        TransactionStatus.PAUSED,
        TransactionStatus.COMPENSATING,
        TransactionStatus.RUNNING,
        TransactionStatus.RUNNING,
        TransactionStatus.COMPLETED,
        TransactionStatus.COMPLETED,
    ]
    assert [len(one.asks) for one in shown] == [0, 1, 0, 1, 0, 0]


async def test_a_saga_goes_on_under_a_version_that_led_there_too(
    conductor: Conductor, nats_url: str
) -> None:
    """The new last step is asked; an order that comes again changes nothing."""
    saga_id, given = await conductor.begin(SENDING), said()
    await give(conductor, MigrateTransaction, saga_id, given, version=2)
    assert (await give(conductor, MigrateTransaction, saga_id, given, version=2)).repeated
    people = Participants()
    async with participant(nats_url, people.answer):
        state = await conductor.ended(saga_id)
    assert (state.version, state.status) == (2, TransactionStatus.COMPLETED)
    assert people.asked == ["hold", "send", "bill", "file"]


async def test_a_saga_does_not_go_on_under_a_version_that_led_elsewhere(
    conductor: Conductor,
) -> None:
    """The refusal says from which entry on, and where in the table."""
    saga_id = await conductor.begin(SENDING)
    with pytest.raises(Refused) as refused:
        await give(conductor, MigrateTransaction, saga_id, version=3)
    refusal = refused.value.refusal
    assert isinstance(refusal, NotReplayable)
    assert refusal.seq == (await conductor.entries(saga_id))[0].seq
    assert refusal.place.startswith("tests/integration/saga/desk.py:")
    with pytest.raises(Refused) as unknown:
        await give(conductor, MigrateTransaction, saga_id, version=9)
    assert isinstance(unknown.value.refusal, SagaTypeUnknown)


async def test_orders_to_what_is_not_there_are_refused(conductor: Conductor) -> None:
    """An unknown transaction is not found, also where only tried."""
    for dry_run in (False, True):
        for ask in (
            give(conductor, PauseTransaction, new_id(), dry_run=dry_run),
            give(conductor, MigrateTransaction, new_id(), dry_run=dry_run, version=2),
        ):
            with pytest.raises(Refused) as refused:
                await ask
            assert isinstance(refused.value.refusal, TransactionNotFound)


async def test_nothing_is_ordered_of_a_saga_whose_table_was_changed(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what to do: give the change a version of its own, and bring the old back."""
    saga_id = await conductor.begin(SENDING)
    monkeypatch.setattr(sagas.definitions, "ALL", (LONGER.known_as(1, LONGER.hash),))
    before = await heads(conductor)
    for dry_run in (True, False):
        with pytest.raises(Refused, match="new version and keep the old one") as refused:
            await give(conductor, PauseTransaction, saga_id, dry_run=dry_run)
        assert isinstance(refused.value.refusal, OrderRefused)
    assert await heads(conductor) == before
