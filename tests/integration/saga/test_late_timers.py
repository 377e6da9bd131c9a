"""Timers that are far away reach the broker a moment later, and only where they are needed yet."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from contracts import subjects
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from infra.ids import new_id
from sagas.engine.decision import Timer
from services.transaction.handlers.arming import WAIT_SECONDS
from services.transaction.handlers.timers import Timers
from tests.integration.saga.conductor import context


@asynccontextmanager
async def _arming(connection: Connection) -> AsyncGenerator[Timers]:
    """Give timers that may wait, and stop them as a service does."""
    timers = Timers(connection, waits=lambda _: True)
    running = asyncio.create_task(timers.run_late())
    # A task that is cancelled before its first step never begins.
    await SYSTEM.sleep(0)
    yield timers
    running.cancel()
    await asyncio.wait({running})


async def _stopped(timers: Timers) -> None:
    """Begin to arm, and stop at once."""
    running = asyncio.create_task(timers.run_late())
    await SYSTEM.sleep(0)
    running.cancel()
    await asyncio.wait({running})


def _far(name: str) -> Timer:
    return Timer(name=name, due_at=SYSTEM.now() + timedelta(seconds=60))


async def _lie(connection: Connection, saga_id: UUID) -> list[str]:
    """Name the slots in which timers of a saga lie."""
    stream = subjects.saga_stream(subjects.saga_partition(saga_id))
    found = connection.read(stream, subjects.saga_timer(saga_id, ">"))
    return [raw.subject.rpartition(".")[2] async for raw in found]


async def test_a_step_that_is_not_answered_soon_gets_its_timer(provisioned: Connection) -> None:
    """One that is answered never has one at the broker, nor does the other lose its own."""
    saga_id = new_id()
    async with _arming(provisioned) as timers:
        await timers.arm(saga_id, _far("first.1"), context("m1"))
        timers.keep(saga_id, {"second.1"})
        await timers.arm(saga_id, _far("second.1"), context("m2"))
        assert await _lie(provisioned, saga_id) == []

        async with asyncio.timeout(WAIT_SECONDS + 60):
            while not await _lie(provisioned, saga_id):
                await SYSTEM.sleep(0.05)

    assert await _lie(provisioned, saga_id) == ["second"]


async def test_a_process_that_stops_arms_what_still_waits(provisioned: Connection) -> None:
    """Whoever goes on with the saga has no need to know of it."""
    saga_id = new_id()
    async with _arming(provisioned) as timers:
        await timers.arm(saga_id, _far("first.1"), context("m1"))

    assert await _lie(provisioned, saga_id) == ["first"]


async def test_a_newer_timer_of_another_owner_stays(provisioned: Connection) -> None:
    """Whoever lost the saga arms what it still has only where that step has none."""
    saga_id, owns = new_id(), True
    timers, other = Timers(provisioned, waits=lambda _: owns), Timers(provisioned)
    await timers.arm(saga_id, _far("first.1"), context("m1"))
    owns = False
    await other.arm(saga_id, _far("first.2"), context("m2"))
    await _stopped(timers)

    stream = subjects.saga_stream(subjects.saga_partition(saga_id))
    newest = await provisioned.last(stream, subjects.saga_timer(saga_id, "first"))
    assert newest is not None
    assert b'"first.2"' in newest.body


async def test_a_saga_that_ended_leaves_no_timer_behind(provisioned: Connection) -> None:
    """Neither one that waits is armed, nor one that was armed is left."""
    quick, slow = new_id(), new_id()
    async with _arming(provisioned) as timers:
        deleting = asyncio.create_task(timers.run())
        for saga_id in (quick, slow):
            timers.begin(saga_id)
            await timers.arm(saga_id, _far("first.1"), context(f"m{saga_id}"))
        near = Timer(name="second.1", due_at=SYSTEM.now() + timedelta(seconds=8))
        await timers.arm(slow, near, context("m3"))
        assert await _lie(provisioned, slow) == ["second"]

        for saga_id in (quick, slow):
            partition = subjects.saga_stream(subjects.saga_partition(saga_id))
            timers.cancel(saga_id, await provisioned.head(partition) + 1)
        async with asyncio.timeout(60):
            while await _lie(provisioned, slow):
                await SYSTEM.sleep(0.05)
        deleting.cancel()

    assert await _lie(provisioned, quick) == []
    assert await _lie(provisioned, slow) == []
