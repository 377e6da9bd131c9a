"""Timers outlive the broker: some thousand are armed, it is killed, and each is acted upon once."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

import sagas.definitions
from contracts import subjects
from contracts.errors import Retryable
from contracts.notification import SendNotification
from contracts.transaction import TransactionStatus
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from sagas.engine.decision import Timer
from sagas.engine.definition import QUERY, Retry
from sagas.engine.writing import saga, seconds, step
from services.transaction.handlers.timers import Timers
from tests.fixtures.servers import Broker
from tests.integration.saga.conductor import Conductor, conducting, context, participant
from tests.integration.saga.test_timers_and_children import told

ARMED = 2_000
STALE = 200
AT_ONCE = 50
FIRE_SECONDS_MAX = 120.0
STALE_SECONDS = 1.0

# fmt: off
OVERDUE = saga("overdue", version=1, starts_with=SendNotification)(
    step("tell", ask=SendNotification, kind=QUERY, within=seconds(6), retry=Retry(1)),
)
ANSWERED = saga("answered", version=1, starts_with=SendNotification)(
    step("tell", ask=SendNotification, kind=QUERY, within=seconds(600)),
)
# fmt: on


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sagas of these tests be known."""
    monkeypatch.setattr(sagas.definitions, "ALL", (OVERDUE, ANSWERED))


@pytest.mark.timeout(300)
async def test_every_timer_fires_once_although_the_broker_is_killed(
    broker: Broker, provisioned: Connection
) -> None:
    """Thousands are armed, the broker dies while the first fire, and each ends its saga once."""
    assert provisioned.connected
    async with conducting(broker.url) as conductor:
        begun: list[UUID] = []
        while len(begun) < ARMED:
            begun += await asyncio.gather(*(conductor.begin(OVERDUE) for _ in range(AT_ONCE)))
        await conductor.ended(begun[0])
        await _kill(broker, conductor.connection, provisioned)

        async with asyncio.timeout(FIRE_SECONDS_MAX):
            for saga_id in begun:
                state = await conductor.ended(saga_id)
                assert state.status is TransactionStatus.COMPENSATED
        # What fires twice is heard, and ignored: nothing more is in any log.
        for saga_id in begun:
            inputs = [entry.effects["input"]["kind"] for entry in await conductor.entries(saga_id)]
            assert inputs == ["start", "due"]
    assert await provisioned.head(subjects.DEAD) == 0


async def test_stale_timers_fire_in_vain(broker: Broker, provisioned: Connection) -> None:
    """Timers of steps that were answered long ago survive the broker too, and change nothing."""
    timers = Timers(provisioned)
    async with conducting(broker.url) as conductor, participant(broker.url, told):
        begun = await asyncio.gather(*(conductor.begin(ANSWERED) for _ in range(STALE)))
        for saga_id in begun:
            await conductor.ended(saga_id)
        before = await _lengths(conductor, begun)
        due_at = SYSTEM.now() + timedelta(seconds=STALE_SECONDS)
        stale = Timer(name="tell.1", due_at=due_at)
        # Under an id of their own: those of the sagas may lie there yet.
        await asyncio.gather(
            *(timers.arm(saga_id, stale, context("stale"), again=True) for saga_id in begun)
        )
        await _kill(broker, conductor.connection, provisioned)

        async with asyncio.timeout(FIRE_SECONDS_MAX):
            for saga_id in begun:
                stream = subjects.saga_stream(subjects.saga_partition(saga_id))
                due = subjects.saga_due(saga_id, "tell")
                while await provisioned.last(stream, due) is None:
                    await SYSTEM.sleep(0.02)
            for partition in range(subjects.SAGA_PARTITIONS):
                await _heard(provisioned, partition)
        assert await _lengths(conductor, begun) == before
    assert await provisioned.head(subjects.DEAD) == 0


async def _kill(broker: Broker, *connections: Connection) -> None:
    """Kill the broker, start it again, and wait until all its streams answer over each way."""
    broker.child.kill()
    await broker.child.exited()
    await broker.child.start()
    async with asyncio.timeout(FIRE_SECONDS_MAX):
        for connection in connections:
            for partition in range(subjects.SAGA_PARTITIONS):
                await _until_answered(connection, subjects.saga_stream(partition))


async def _until_answered(connection: Connection, stream: str) -> None:
    while True:
        try:
            await connection.head(stream)
        except Retryable:
            await SYSTEM.sleep(0.05)
        else:
            return


async def _lengths(conductor: Conductor, saga_ids: list[UUID]) -> list[int]:
    return [len(await conductor.entries(saga_id)) for saga_id in saga_ids]


async def _heard(connection: Connection, partition: int) -> None:
    """Wait until every timer of a partition that fired was acknowledged."""
    stream, name = subjects.saga_stream(partition), subjects.due_consumer(partition)
    while True:
        info = await connection.js.consumer_info(stream, name)
        if not info.num_pending and not info.num_ack_pending:
            return
        await SYSTEM.sleep(0.05)
