"""Clocks and children of sagas over a real broker: nothing is lost, and nothing is done in vain."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

import sagas.definitions
from contracts import envelope as wire
from contracts import subjects
from contracts.errors import Refused
from contracts.notification import NotificationNotFound, NotificationView, SendNotification
from contracts.saga_events import StepAnswered
from contracts.saga_orders import StartChild
from contracts.transaction import OrderKind, StepStatus, TransactionStatus
from contracts.types import NotificationId
from infra.bus.connection import Connection
from infra.bus.context import Context, SagaStep
from infra.bus.dead import REASON
from infra.clock import SYSTEM
from infra.ids import new_id
from sagas.engine.decision import Ordered, Timer
from sagas.engine.definition import PIVOT, QUERY, Retry
from sagas.engine.family import child_id
from sagas.engine.writing import child, parallel, saga, seconds, step
from services.transaction.handlers.outbox import Asked, Outbox
from services.transaction.handlers.sweeper import Sweeper
from services.transaction.handlers.timers import Timers
from tests.integration.saga.conductor import Conductor, conducting, context, participant

SOON, LATE = seconds(1.5), seconds(600)

# One step per line, so that a saga reads as a table.
# fmt: off
TELL = saga("tell", version=1, starts_with=SendNotification)(
    step("tell", ask=SendNotification, kind=QUERY, within=LATE),
)
TELL_SOON = saga("tell_soon", version=1, starts_with=SendNotification)(
    step("tell", ask=SendNotification, kind=QUERY, within=SOON, retry=Retry(1)),
)
TELL_BOTH = saga("tell_both", version=1, starts_with=SendNotification)(
    parallel(
        step("one", ask=SendNotification, kind=QUERY, within=LATE),
        step("two", ask=SendNotification, kind=QUERY, within=LATE),
    ),
)
PARENT = saga("parent", version=1, starts_with=SendNotification)(
    child("inner", saga=TELL, within=LATE),
    step("last", ask=SendNotification, kind=PIVOT, within=LATE),
)
# fmt: on


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sagas of these tests be known."""
    monkeypatch.setattr(sagas.definitions, "ALL", (TELL, TELL_SOON, TELL_BOTH, PARENT))


@pytest.fixture
async def conductor(nats_url: str, provisioned: Connection) -> AsyncGenerator[Conductor]:
    """Give a process that carries sagas on."""
    assert provisioned.connected
    async with conducting(nats_url) as conductor:
        yield conductor


async def told(command: SendNotification, context: Context) -> NotificationView:
    """Do what is asked."""
    return NotificationView(
        notification_id=NotificationId(context.derive("notification")),
        template=command.template,
        title="title",
        message="message",
        deliveries=[],
        created_at=context.now,
        seq=1,
    )


async def refused(_command: SendNotification, context: Context) -> NotificationView:
    """Refuse what is asked."""
    notification_id = NotificationId(context.derive("notification"))
    raise Refused(NotificationNotFound(notification_id=notification_id))


async def armed(conductor: Conductor, saga_id: UUID) -> set[str]:
    """List the slots in which timers of a saga lie."""
    stream = subjects.saga_stream(subjects.saga_partition(saga_id))
    found = conductor.connection.read(stream, subjects.saga_timer(saga_id, ">"))
    return {raw.subject.rpartition(".")[2] async for raw in found}


# Timers


async def test_a_step_that_nobody_answers_ends_when_its_timer_fires(conductor: Conductor) -> None:
    """The schedule fires, its owner hears it, and the saga goes on."""
    saga_id = await conductor.begin(TELL_SOON)
    state = await conductor.ended(saga_id)

    assert state.status is TransactionStatus.COMPENSATED
    entries = await conductor.entries(saga_id)
    assert [e.effects["input"]["kind"] for e in entries] == ["start", "due"]


async def test_each_step_has_a_slot_and_the_end_empties_them(
    conductor: Conductor, nats_url: str
) -> None:
    """Two steps at once do not replace each other's timers; no timer outlives its saga."""
    saga_id = await conductor.begin(TELL_BOTH)
    assert await armed(conductor, saga_id) == {"one", "two"}
    async with participant(nats_url, told):
        state = await conductor.ended(saga_id)
    assert state.status is TransactionStatus.COMPLETED

    async with asyncio.timeout(60):
        while await armed(conductor, saga_id):
            await SYSTEM.sleep(0.02)


async def test_a_cancelled_timer_does_not_fire_and_a_later_one_stays(
    provisioned: Connection,
) -> None:
    """Deleted is what was armed before the end; a saga that was reopened keeps its new timer."""
    timers, saga_id = Timers(provisioned), UUID(int=8)
    soon = SYSTEM.now() + timedelta(seconds=1.5)
    await timers.arm(saga_id, Timer(name="a.1", due_at=soon), context("m1"))
    end = await provisioned.publish(subjects.saga_log(saga_id), b"{}")
    await timers.arm(saga_id, Timer(name="b.1", due_at=soon), context("m2"))
    timers.cancel(saga_id, end.seq)
    running = asyncio.create_task(timers.run())
    stream = subjects.saga_stream(0)
    async with asyncio.timeout(60):
        while await provisioned.last(stream, subjects.saga_due(saga_id, "b")) is None:
            await SYSTEM.sleep(0.02)
    running.cancel()
    # Both were due at the same time: what fires after it would have fired by now.
    assert await provisioned.last(stream, subjects.saga_due(saga_id, "a")) is None


async def test_the_sweeper_carries_on_what_its_lost_timer_would_have(
    conductor: Conductor,
) -> None:
    """Found by the list, checked in the log, handed in once; other sagas are left alone."""
    lost, waits = await conductor.begin(TELL_SOON), await conductor.begin(TELL)
    for saga_id in (lost, waits):
        stream = subjects.saga_stream(subjects.saga_partition(saga_id))
        await conductor.connection.purge(stream, subjects.saga_timer(saga_id, ">"))

    async def overdue(_before: datetime, _limit: int) -> list[UUID]:
        return [new_id(), lost, waits]

    sweeper = Sweeper(
        overdue,
        conductor.orchestrator,
        conductor.ownership,
        SYSTEM,
        every_seconds=0.2,
        grace_seconds=0.5,
    )
    assert await sweeper.sweep() == 0
    running = asyncio.create_task(sweeper.run())
    state = await conductor.ended(lost)
    running.cancel()

    assert state.status is TransactionStatus.COMPENSATED
    assert len(await conductor.entries(lost)) == 2
    assert (await conductor.state(waits)).status is TransactionStatus.RUNNING
    assert await sweeper.sweep() == 0


async def test_another_owners_sagas_are_not_swept(conductor: Conductor) -> None:
    """Whoever does not own a partition hands nothing in there."""
    saga_id = await conductor.begin(TELL_SOON)
    await conductor.leases.stop()
    await SYSTEM.sleep(SOON.total_seconds())

    async def overdue(_before: datetime, _limit: int) -> list[UUID]:
        return [saga_id]

    sweeper = Sweeper(
        overdue,
        conductor.orchestrator,
        conductor.ownership,
        SYSTEM,
        every_seconds=60,
        grace_seconds=0,
    )
    assert await sweeper.sweep() == 0
    assert len(await conductor.entries(saga_id)) == 1


# Children


async def test_the_end_of_a_child_answers_its_parent(conductor: Conductor, nats_url: str) -> None:
    """With what its steps answered, and once: that it was begun is no answer."""
    async with participant(nats_url, told):
        parent_id = await conductor.begin(PARENT)
        state = await conductor.ended(parent_id)
    assert state.status is TransactionStatus.COMPLETED

    entries = await conductor.entries(parent_id)
    answers = [
        event
        for entry in entries
        for event in entry.events
        if isinstance(event, StepAnswered) and event.step == "inner"
    ]
    assert len(answers) == 1
    child_of = child_id(answers[0].command_id)
    assert answers[0].output is not None
    assert answers[0].output["transaction_id"] == str(child_of)
    assert list(answers[0].output["steps"]) == ["tell"]
    inner = await conductor.state(child_of)
    assert inner.parent is not None
    assert inner.parent.transaction_id == parent_id
    assert await conductor.connection.head(subjects.DEAD) == 0


async def test_a_child_that_undoes_itself_refuses_its_parents_step(
    conductor: Conductor, nats_url: str
) -> None:
    """The parent turns back, and says why."""
    async with participant(nats_url, refused):
        parent_id = await conductor.begin(PARENT)
        state = await conductor.ended(parent_id)

    assert state.status is TransactionStatus.COMPENSATED
    assert state.failure is not None
    assert state.failure.code == "transaction.child_undone"


async def test_a_childs_answer_is_sent_again_with_the_input_that_ended_it(
    conductor: Conductor, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appended and not sent: its input comes again, finds it there, and the parent is answered."""
    failed = asyncio.Event()
    send = Outbox.send

    async def fail_once(self: Outbox, state: object, asked: Asked, context: Context) -> None:
        if asked.replies and not failed.is_set():
            failed.set()
            raise ConnectionError("the process dies before the answer is out")
        await send(self, state, asked, context)  # type: ignore[arg-type] # as it was given

    monkeypatch.setattr(Outbox, "send", fail_once)
    async with participant(nats_url, told):
        parent_id = await conductor.begin(PARENT)
        state = await conductor.ended(parent_id)

    assert failed.is_set()
    assert state.status is TransactionStatus.COMPLETED


async def test_a_parent_that_goes_back_undoes_its_child(
    conductor: Conductor, nats_url: str
) -> None:
    """The child's own end, undone, is what the parent's undo waits for."""
    asked: list[Context] = []

    async def tell_once(command: SendNotification, context: Context) -> NotificationView:
        asked.append(context)
        if context.saga is not None and context.saga.step == "last":
            return await refused(command, context)
        return await told(command, context)

    async with participant(nats_url, tell_once):
        parent_id = await conductor.begin(PARENT)
        state = await conductor.ended(parent_id)

    assert state.status is TransactionStatus.COMPENSATED
    assert state.steps["inner"].status is StepStatus.UNDONE
    inner = await conductor.state(child_id(state.steps["inner"].asked[0]))
    assert inner.status is TransactionStatus.COMPENSATED


async def test_a_child_is_not_begun_for_a_parent_that_waits_no_more(
    conductor: Conductor, provisioned: Connection
) -> None:
    """Its command is done with, and answered by nobody."""
    parent_id = await conductor.begin(TELL)
    orphan = str(new_id())
    command = StartChild(saga_type="tell", version=1, message={})
    await conductor.bus.send(
        StartChild.contract,
        command.model_dump_json().encode(),
        message_id=orphan,
        actor="ada",
        correlation="c",
        causation="c",
        saga=SagaStep(saga_id=parent_id, saga_type="tell", step="tell"),
        attempt_key=orphan,
    )
    async with asyncio.timeout(60):
        while (await provisioned.api("STREAM.INFO.COMMANDS"))["state"]["messages"] > 1:
            await SYSTEM.sleep(0.02)
    assert await provisioned.head(subjects.REPLIES) == 0
    loaded = await conductor.orchestrator.load(child_id(UUID(orphan)))
    assert loaded.state is None


# Inputs that nobody waits for


async def test_answers_that_nobody_waits_for_become_dead_letters(
    conductor: Conductor, nats_url: str
) -> None:
    """Of an unknown saga, of an unknown step, of a command never sent; each with its reason."""
    async with participant(nats_url, told):
        ended = await conductor.begin(TELL)
        await conductor.ended(ended)
    for number, (saga_id, step_) in enumerate(
        [(new_id(), "tell"), (ended, "nowhere"), (ended, "tell")], start=1
    ):
        reply = f"{new_id()}:reply"
        headers = {
            wire.MESSAGE_ID: reply,
            "ce-specversion": wire.SPEC_VERSION,
            "ce-id": reply,
            "ce-type": "notification.send.answered",
            "ce-source": "tracseq/test",
            "ce-time": SYSTEM.now().isoformat(),
            wire.CORRELATION: "c",
            wire.CAUSATION: str(new_id()),
            wire.ACTOR: "test",
            wire.SAGA_ID: str(saga_id),
            wire.SAGA_TYPE: "tell",
            wire.SAGA_STEP: step_,
        }
        await conductor.connection.publish(
            subjects.reply("tell", saga_id), b'{"result":{}}', headers
        )
        async with asyncio.timeout(60):
            while await conductor.connection.head(subjects.DEAD) < number:
                await SYSTEM.sleep(0.05)
    letters = [
        raw.headers[REASON]
        async for raw in conductor.connection.read(subjects.DEAD, subjects.every("dlq"))
    ]
    assert ["no such saga" in one for one in letters] == [True, False, False]
    assert "no step 'nowhere'" in letters[1]
    assert "does not wait for" in letters[2]


async def test_an_order_that_makes_no_sense_is_refused(conductor: Conductor) -> None:
    """It is no dead letter: whoever gave it is told."""
    saga_id = await conductor.begin(TELL)
    given = Ordered(
        order=OrderKind.RESUME, reason="because", by="ada", at=SYSTEM.now(), cause="order-1"
    )
    with pytest.raises(Refused, match="not paused"):
        await conductor.orchestrator.advance(saga_id, given, context("order-1"))


# Epochs


async def test_every_transition_says_under_which_epoch_it_was_decided(
    conductor: Conductor, nats_url: str
) -> None:
    """The epoch of the partition's lease, whoever decided."""
    async with participant(nats_url, told):
        saga_id = await conductor.begin(TELL)
        await conductor.ended(saga_id)

    epoch = conductor.leases.require(subjects.saga_partition(saga_id))
    assert [e.effects["epoch"] for e in await conductor.entries(saga_id)] == [epoch, epoch]
