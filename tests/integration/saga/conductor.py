"""One process that carries sagas on, put together from the real parts, and participants for it.

As the transaction service, but for its read model and its HTTP: so that sagas of tests, which the
laboratory does not have, run over a real broker.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from contracts import subjects
from contracts.entry import Entry
from contracts.notification import NotificationView, SendNotification, Template
from contracts.saga_orders import StartChild, UndoChild
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.bus.consumer import Consumers
from infra.bus.context import Context
from infra.bus.handler import handle
from infra.bus.server import Server
from infra.bus.streams import SAGA_LEASES, consumer
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.lease.leases import Leases
from infra.lease.table import Me
from infra.log.log import Log
from infra.telemetry import tracing
from sagas.engine.decision import start_with
from sagas.engine.definition import Definition
from sagas.engine.state import SagaState
from services.transaction.handlers import children
from services.transaction.handlers.inputs import Inputs
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.handlers.outbox import Outbox
from services.transaction.handlers.ownership import Ownership
from services.transaction.handlers.timers import Timers
from services.transaction.handlers.waiting import Waiting

WAIT_SECONDS = 60.0
MESSAGE = SendNotification(template=Template.SUBMISSION_STORED, values={"file": "a.csv"})


@dataclass
class Conductor:
    """A process under test."""

    connection: Connection
    bus: Bus
    orchestrator: Orchestrator
    ownership: Ownership
    leases: Leases

    async def begin(self, definition: Definition) -> UUID:
        """Begin a saga."""
        saga_id, cause = new_id(), str(new_id())
        given = context(cause)
        begin = start_with(
            MESSAGE,
            saga_id=saga_id,
            # The entry's own time: what is decided anew is decided at that.
            at=given.now,
            actor="ada",
            correlation=cause,
            cause=cause,
        )
        await self.orchestrator.advance(saga_id, begin, given, definition=definition)
        return saga_id

    async def state(self, saga_id: UUID) -> SagaState:
        """Give a saga as its log has it."""
        state = (await self.orchestrator.load(saga_id)).state
        assert state is not None
        return state

    async def entries(self, saga_id: UUID) -> list[Entry]:
        """Read the log of a saga."""
        return await self.orchestrator.of(saga_id).history(saga_id)

    async def until(self, saga_id: UUID, fact: Callable[[SagaState], bool]) -> SagaState:
        """Wait until a saga stands as it should."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not fact(state := await self.state(saga_id)):
                await SYSTEM.sleep(0.02)
        return state

    async def ended(self, saga_id: UUID) -> SagaState:
        """Wait until a saga has ended."""
        return await self.until(saga_id, lambda state: state.status.ended)


def context(message_id: str) -> Context:
    """Handle a message now."""
    return Context(message_id=message_id, actor="ada", correlation="c", now=SYSTEM.now())


@asynccontextmanager
async def conducting(url: str, instance: str = "a") -> AsyncGenerator[Conductor]:
    """Carry sagas on for as long as a `with` lasts."""
    connection = await Connection.connect(url, "transaction")
    timers = Timers(connection)
    leases = Leases(
        connection, "transaction", SAGA_LEASES, Me(instance, str(new_id())), life_seconds=10
    )
    ownership = Ownership(leases)
    bus = Bus(connection, source="transaction")
    outbox = Outbox(bus, timers)
    logs = [
        Log(
            connection,
            "transaction",
            stream=subjects.saga_stream(p),
            filter=subjects.saga_subjects(p, "log.>"),
        )
        for p in range(subjects.SAGA_PARTITIONS)
    ]
    orchestrator = Orchestrator(logs, outbox, timers, ownership, waiting=Waiting())
    inputs = Inputs(orchestrator, tracing.tracer_for("transaction"), SYSTEM)
    handlers = [
        handle(StartChild, partial(children.on_start_child, orchestrator=orchestrator)),
        handle(UndoChild, partial(children.on_undo_child, orchestrator=orchestrator)),
    ]
    server = Server(connection, "transaction", handlers)
    consumers = Consumers(url, "transaction", connection)
    consumers.add(consumer("transaction-commands"), server.on_command, on_dead=server.on_dead)
    for p in range(subjects.SAGA_PARTITIONS):
        consumers.add(consumer(subjects.replies_consumer(p)), inputs.on_reply, waits=True)
        consumers.add(consumer(subjects.due_consumer(p)), inputs.on_due, waits=True)

    async def begin(partition: int) -> None:
        consumers.begin(subjects.replies_consumer(partition))
        consumers.begin(subjects.due_consumer(partition))

    async def end(partition: int) -> None:
        await consumers.end(subjects.replies_consumer(partition))
        await consumers.end(subjects.due_consumer(partition))

    await consumers.start()
    await leases.start(begin, end)
    loops = [asyncio.create_task(loop()) for loop in (leases.run, leases.listen, timers.run)]
    try:
        yield Conductor(connection, bus, orchestrator, ownership, leases)
    finally:
        await leases.stop()
        await consumers.stop()
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        await connection.close()


Answer = Callable[[SendNotification, Context], Awaitable[NotificationView]]


@asynccontextmanager
async def participant(url: str, answer: Answer) -> AsyncGenerator[None]:
    """Serve the notification service's commands for as long as a `with` lasts."""
    connection = await Connection.connect(url, "notification")
    server = Server(connection, "notification", [handle(SendNotification, answer)])
    consumers = Consumers(url, "notification", connection)
    consumers.add(consumer("notification-commands"), server.on_command, on_dead=server.on_dead)
    await consumers.start()
    try:
        yield
    finally:
        await consumers.stop()
        await connection.close()
