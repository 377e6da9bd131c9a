"""Sagas by the hundred thousand, all open: memory, and how soon a service that starts decides."""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from bench.report import Report
from bench.scale.parts import (
    ACTOR,
    CORRELATION,
    BenchError,
    Broker,
    beginning,
    broker_on,
    decided,
    next_entry,
    resident_mb,
    say,
    scratch,
)
from contracts import envelope as wire
from contracts import subjects
from contracts.aggregate import Loaded
from contracts.errors import NotFound
from contracts.transaction import ListTransactions
from infra.bus.bus import Bus
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection
from infra.bus.context import Context
from infra.bus.outcomes import Outcome
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.supervisor import Child, DocumentStore
from infra.supervisor.ports import free_port
from infra.supervisor.service import service_program
from sagas.engine.decision import StepCommand
from sagas.engine.state import SagaState
from services.transaction.handlers.timers import Timers

SAGAS = 200_000
BATCH = 500
CARRIED_ON = 2_000
"""Sagas that go on while the memory of the service is looked at."""
PROJECTED_WITHIN_SECONDS = 300.0
"""The list may take so long to show them all; then the rest goes on beside it."""
DECIDED_WITHIN_SECONDS = 60.0
DAY = timedelta(days=1)
REFUSED: Final = Outcome(refusal=NotFound(what="file", key="bench")).to_bytes()


class _Opened:
    """The sagas that were begun, and what each waits for."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, StepCommand]] = []
        """Id and command, of as many as are carried on later."""


async def open_sagas(report: Report, scale: float) -> None:
    """Begin them, look at what they weigh, kill what carries them on, and see it decide again."""
    count = max(5_000, int(SAGAS * scale))
    async with scratch() as folder:
        async with broker_on(folder / "nats", "dev") as (_, connection):
            opened = await _begin(connection, count)
        began = time.perf_counter()
        async with broker_on(folder / "nats", "safe") as (broker, connection):
            report.row(what="broker with open sagas, again", seconds=time.perf_counter() - began)
            async with _house(folder, broker) as service:
                await _project(report, broker, count)
                await _carry_on(report, connection, opened)
                _weigh(report, broker, service, count)
                await _start_cold(report, connection, service, opened)
                _weigh(report, broker, service, count, again=True)


async def _begin(connection: Connection, count: int) -> _Opened:
    """Write the first transition of each saga, and arm its timer.

    They begin a day from now, so that none of them runs into its deadline meanwhile.
    """
    opened, timers, began = _Opened(), Timers(connection), time.perf_counter()
    context = Context(message_id="bench", actor=ACTOR, correlation=CORRELATION, now=SYSTEM.now())
    for start in range(0, count, BATCH):
        at = SYSTEM.now() + DAY
        by_partition: dict[int, list[tuple[str, bytes, dict[str, str]]]] = {}
        arms: list[Coroutine[None, None, None]] = []
        for _ in range(min(BATCH, count - start)):
            saga_id = new_id()
            transition = decided(None, beginning(saga_id, at))
            loaded: Loaded[SagaState] = Loaded(str(saga_id), None)
            _, body = next_entry(loaded, transition)
            message = (subjects.saga_log(saga_id), body, {EXPECTED_LAST_SUBJECT_SEQ: "0"})
            by_partition.setdefault(subjects.saga_partition(saga_id), []).append(message)
            arms += [timers.arm(saga_id, timer, context) for timer in transition.timers]
            if len(opened.waiting) < CARRIED_ON + 10:
                opened.waiting.append((str(saga_id), transition.commands[0]))
        batches = [
            connection.publish_batch(messages, batch_id=new_id().hex)
            for messages in by_partition.values()
        ]
        await asyncio.gather(*batches, *arms)
        if (start + BATCH) % 20_000 == 0:
            say(f"open sagas: {start + BATCH:,} begun")
    say(f"open sagas: {count:,} begun in {time.perf_counter() - began:.1f} s")
    return opened


@asynccontextmanager
async def _house(folder: Path, broker: Broker) -> AsyncGenerator[Child]:
    """Run the transaction service with a store, each a process of its own."""
    store = DocumentStore(folder / "store")
    store_child = Child(store.program())
    await store_child.start()
    port = free_port()
    told: Mapping[str, str] = {
        "TRACSEQ_NATS_URL": broker.server.url,
        "TRACSEQ_MONGO_URL": store.url,
        "TRACSEQ_PROFILE": "safe",
        "TRACSEQ_LOG_LEVEL": "warning",
        "TRACSEQ_TRANSACTION_HTTP_PORT": str(port),
    }
    service = Child(
        service_program(
            "transaction",
            module="services.transaction",
            port=port,
            env=told,
            log_file=folder / "transaction.log",
        )
    )
    try:
        await service.start()
        yield service
    finally:
        await service.stop()
        await store_child.stop()


async def _project(report: Report, broker: Broker, count: int) -> None:
    """Wait until the list shows every saga: what is measured afterwards is not catching up."""
    began = time.perf_counter()
    bus = await Bus.open(broker.server.url, source="bench")
    try:
        shown = 0
        while shown < count and time.perf_counter() - began < PROJECTED_WITHIN_SECONDS:
            await SYSTEM.sleep(2)
            shown = (await bus.ask(ListTransactions(page_size=1))).total
            say(f"open sagas: the list shows {shown:,}")
    finally:
        await bus.close()
    seconds = time.perf_counter() - began
    report.row(what="list of open sagas", shown=shown, seconds=seconds, per_second=shown / seconds)


async def _carry_on(report: Report, connection: Connection, opened: _Opened) -> None:
    """Answer the first step of some of them, and wait until each was decided on."""
    chosen = [opened.waiting.pop() for _ in range(min(CARRIED_ON, len(opened.waiting) - 5))]
    began = time.perf_counter()
    await asyncio.gather(*(_answer(connection, saga, command) for saga, command in chosen))
    for saga, _ in chosen:
        await _until_decided(connection, saga)
    seconds = time.perf_counter() - began
    report.row(what="carried on among open sagas", sagas=len(chosen), seconds=seconds)


def _weigh(
    report: Report, broker: Broker, service: Child, count: int, *, again: bool = False
) -> None:
    broker_mb, service_mb = broker.resident_mb, resident_mb(service.pid)
    what = "open sagas, after the cold start" if again else "open sagas"
    report.row(what=what, sagas=count, broker_mb=broker_mb, orchestrator_mb=service_mb)
    if not again:
        report.at_most("open sagas, broker resident", broker_mb, 1_024, "MB")
        report.at_most("open sagas, orchestrator resident", service_mb, 300, "MB")


async def _start_cold(
    report: Report, connection: Connection, service: Child, opened: _Opened
) -> None:
    """Kill the service, have an answer wait, start it: how long until that is decided on."""
    service.kill()
    while service.pid is not None:
        await SYSTEM.sleep(0.01)
    saga, command = opened.waiting.pop()
    await _answer(connection, saga, command)
    began = time.perf_counter()
    starting = asyncio.create_task(service.start())
    await _until_decided(connection, saga)
    seconds = time.perf_counter() - began
    await starting
    ready = time.perf_counter() - began
    report.row(what="cold start", first_decision_seconds=seconds, ready_seconds=ready)
    report.at_most("open sagas, cold start to first decision", seconds, 10, "s")


async def _answer(connection: Connection, saga: str, command: StepCommand) -> None:
    """Refuse a step, as a participant would answer it: the saga then ends, undone."""
    saga_type = "sample_intake"
    message_id = f"{command.command_id}:reply"
    headers = {
        wire.MESSAGE_ID: message_id,
        "ce-specversion": wire.SPEC_VERSION,
        "ce-id": message_id,
        "ce-type": f"{command.type}.answered",
        "ce-source": "tracseq/bench",
        "ce-time": SYSTEM.now().isoformat(),
        wire.CORRELATION: CORRELATION,
        wire.CAUSATION: str(command.command_id),
        wire.ACTOR: "bench",
        wire.SAGA_ID: saga,
        wire.SAGA_TYPE: saga_type,
        wire.SAGA_STEP: command.step,
    }
    await connection.publish(
        subjects.reply(saga_type, UUID(saga)), REFUSED, headers, stream=subjects.REPLIES
    )


async def _until_decided(connection: Connection, saga: str) -> None:
    """Wait until a saga has its second transition."""
    stream = subjects.saga_stream(subjects.saga_partition(UUID(saga)))
    deadline = SYSTEM.monotonic() + DECIDED_WITHIN_SECONDS
    while SYSTEM.monotonic() < deadline:
        newest = await connection.last(stream, subjects.saga_log(UUID(saga)))
        if newest is not None and not newest.body.startswith(b'{"number":1,'):
            return
        await SYSTEM.sleep(0.01)
    raise BenchError(f"saga {saga} was not decided on within {DECIDED_WITHIN_SECONDS:g} s")
