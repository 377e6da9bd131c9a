"""One saga with 100,000 transitions: what an append to it costs, and what loading it takes."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

from bench.report import Report, percentile
from bench.scale.parts import (
    ACTOR,
    CORRELATION,
    after,
    beginning,
    broker_on,
    change,
    decided,
    next_entry,
    partition_log,
    say,
    scratch,
)
from contracts import subjects
from contracts.aggregate import Loaded
from contracts.entry import verify_chain
from contracts.transaction import OrderKind
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.clock import SYSTEM
from infra.ids import new_id
from sagas.engine.decision import Ordered
from sagas.engine.state import SagaState
from services.transaction import domain

TRANSITIONS = 100_000
MEASURED = 1_990
"""No multiple of what lies between two snapshots: a load has nearly the longest tail to fold."""
LEFT = 2_000
"""Of the history, for the appends that are measured."""
LOADS = 20
WINDOW = 1_000
"""Appends under way at once while the history is written; they arrive in order."""


async def long_history(report: Report, scale: float) -> None:
    """Write the history, then measure on it with the broker that syncs every append."""
    transitions = max(4_000, int(TRANSITIONS * scale))
    saga_id = new_id()
    async with scratch() as folder:
        async with broker_on(folder, "dev") as (_, connection):
            await _write(connection, saga_id, transitions - LEFT)
        async with broker_on(folder, "safe") as (broker, connection):
            await _measure(report, connection, saga_id)
            report.row(what="long history", broker_resident_mb=broker.resident_mb)


async def _write(connection: Connection, saga_id: UUID, transitions: int) -> None:
    """Write the history; no sequence is read back, since nobody else writes."""
    subject = subjects.saga_log(saga_id)
    at = SYSTEM.now()
    loaded: Loaded[SagaState] = Loaded(str(saga_id), None)
    under_way: list[asyncio.Task[object]] = []
    began = time.perf_counter()
    for number in range(transitions):
        at += timedelta(milliseconds=1)
        given = beginning(saga_id, at) if number == 0 else _order(number)
        entry, body = next_entry(loaded, decided(loaded.state, given))
        loaded = after(loaded, entry, body, number + 1)
        under_way.append(asyncio.create_task(connection.publish(subject, body)))
        if len(under_way) == WINDOW:
            await asyncio.gather(*under_way)
            under_way = []
            if (number + 1) % 20_000 == 0:
                say(f"long history: {number + 1:,} transitions")
    await asyncio.gather(*under_way)
    say(f"long history: {transitions:,} transitions in {time.perf_counter() - began:.1f} s")


def _order(number: int) -> Ordered:
    """Pause and resume in turn: two transitions that a saga may have without end."""
    return Ordered(
        order=OrderKind.PAUSE if number % 2 else OrderKind.RESUME,
        reason="because it is measured",
        by=ACTOR,
        at=SYSTEM.now(),
        cause=str(new_id()),
    )


async def _measure(report: Report, connection: Connection, saga_id: UUID) -> None:
    number = subjects.saga_partition(saga_id)
    log = partition_log(connection, number, gathers=True)
    began = time.perf_counter()
    loaded = await log.load(domain.SAGA, saga_id)
    report.row(what="first load, without a snapshot", seconds=time.perf_counter() - began)
    appends: list[float] = []
    for step in range(MEASURED):
        given = _order(loaded.number + step)
        context = Context(
            message_id=given.cause, actor=ACTOR, correlation=CORRELATION, now=given.at
        )
        began = time.perf_counter()
        await log.transact([change(given, saga_id)], context)
        appends.append(time.perf_counter() - began)
    loads: list[float] = []
    for _ in range(LOADS):
        fresh = partition_log(connection, number)
        began = time.perf_counter()
        found = await fresh.load(domain.SAGA, saga_id)
        loads.append(time.perf_counter() - began)
        assert found.number == loaded.number + MEASURED  # noqa: S101 - else the figure is of another thing
    p50, p99 = (percentile(appends, share) * 1e3 for share in (0.5, 0.99))
    report.row(what="append to it", transitions=loaded.number + MEASURED, p50_ms=p50, p99_ms=p99)
    report.row(what="load it", p50_ms=percentile(loads, 0.5) * 1e3, max_ms=max(loads) * 1e3)
    began = time.perf_counter()
    chain = verify_chain(await log.bodies(domain.SAGA, saga_id))
    report.row(what="verify it whole", entries=chain, seconds=time.perf_counter() - began)
    report.at_most("long history, append p99", p99, 10, "ms")
    report.at_most("long history, load", max(loads) * 1e3, 200, "ms")
