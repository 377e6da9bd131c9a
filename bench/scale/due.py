"""Clocks by the hundred thousand: how late they fire, and whether a killed broker forgets one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from bench.report import Report, percentile
from bench.scale.parts import ACTOR, CORRELATION, Broker, broker_on, say, scratch
from contracts import subjects
from infra.bus.connection import Connection
from infra.bus.consumer import Consumers
from infra.bus.context import Context
from infra.bus.delivery import Delivery
from infra.bus.streams import consumer
from infra.clock import SYSTEM
from infra.ids import new_id
from sagas.engine.decision import Timer
from services.transaction.handlers.timers import Timers

ARMED = 100_000
DUE_PER_SECOND = 1_000
SECONDS = 20
AT_ONCE = 256
LATER = timedelta(hours=6)
ARM_PER_SECOND = 1_500
"""Assumed while arming: due times must lie beyond it."""
WAIT_SECONDS = 60.0
"""For what is due and did not come, before it is called lost."""


class _Heard:
    """Which clocks fired, and how late each was heard first."""

    def __init__(self) -> None:
        self.due_at: dict[str, datetime] = {}
        self.late_seconds: dict[str, float] = {}

    async def on_due(self, delivery: Delivery) -> None:
        """Note one; a repetition changes nothing."""
        timer = delivery.envelope.id
        if timer not in self.late_seconds and timer in self.due_at:
            self.late_seconds[timer] = (SYSTEM.now() - self.due_at[timer]).total_seconds()

    def missing(self, timers: list[str]) -> int:
        """Count those not heard yet."""
        return sum(1 for timer in timers if timer not in self.late_seconds)


async def due_timers(report: Report, scale: float) -> None:
    """Arm them all, hear those that are due, and once more over a broker that is killed."""
    armed = max(10_000, int(ARMED * scale))
    async with scratch() as folder, broker_on(folder, "safe") as (broker, connection):
        timers, heard = Timers(connection), _Heard()
        began = SYSTEM.monotonic()
        await _arm(timers, heard, [SYSTEM.now() + LATER] * armed)
        seconds = SYSTEM.monotonic() - began
        report.row(
            what="timers armed",
            timers=armed,
            per_second=armed / seconds,
            broker_resident_mb=broker.resident_mb,
        )
        async with _listening(broker, heard):
            await _in_time(report, timers, heard)
            await _over_a_kill(report, broker, timers, heard)


async def _in_time(report: Report, timers: Timers, heard: _Heard) -> None:
    due = await _arm_soon(timers, heard)
    await _until_heard(heard, due)
    late = [heard.late_seconds[timer] for timer in due if timer in heard.late_seconds]
    p50, p99 = (percentile(late, share) * 1e3 for share in (0.5, 0.99))
    lost = heard.missing(due)
    report.row(what="timers due", due=len(due), p50_ms=p50, p99_ms=p99, early=min(late) < 0)
    report.at_most("timers at 1,000 due/s, lateness p99", p99, 500, "ms")
    report.at_most("timers lost", lost, 0, "")


async def _over_a_kill(report: Report, broker: Broker, timers: Timers, heard: _Heard) -> None:
    due = await _arm_soon(timers, heard)
    middle = heard.due_at[due[len(due) // 2]]
    await SYSTEM.sleep(max(0.0, (middle - SYSTEM.now()).total_seconds()))
    broker.child.kill()
    await SYSTEM.sleep(1)
    began = SYSTEM.monotonic()
    await broker.child.start()
    back_seconds = SYSTEM.monotonic() - began
    await _until_heard(heard, due)
    lost = heard.missing(due)
    report.row(
        what="timers over kill -9", due=len(due), lost=lost, broker_back_seconds=back_seconds
    )
    report.at_most("timers lost over kill -9 of the broker", lost, 0, "")


async def _arm_soon(timers: Timers, heard: _Heard) -> list[str]:
    """Arm so many for each of the next seconds; give them in the order in which they are due."""
    count = DUE_PER_SECOND * SECONDS
    first = SYSTEM.now() + timedelta(seconds=2 + count / ARM_PER_SECOND)
    pause = timedelta(seconds=1 / DUE_PER_SECOND)
    due = await _arm(timers, heard, [first + pause * number for number in range(count)])
    if SYSTEM.now() > first:
        say("timers: armed later than the first was due: its lateness counts that")
    return due


async def _arm(timers: Timers, heard: _Heard, due_at: list[datetime]) -> list[str]:
    armed: list[str] = []
    context = Context(message_id="bench", actor=ACTOR, correlation=CORRELATION, now=SYSTEM.now())

    async def arm(saga_id: UUID, at: datetime) -> None:
        await timers.arm(saga_id, Timer(name="validate.1", due_at=at), context)

    for start in range(0, len(due_at), AT_ONCE):
        part = [(new_id(), at) for at in due_at[start : start + AT_ONCE]]
        for saga_id, at in part:
            armed.append(f"{saga_id}:validate.1")
            heard.due_at[armed[-1]] = at
        await asyncio.gather(*(arm(saga_id, at) for saga_id, at in part))
        if (start // AT_ONCE + 1) % 100 == 0:
            say(f"timers: {start + AT_ONCE:,} armed")
    return armed


async def _until_heard(heard: _Heard, due: list[str]) -> None:
    last = max(heard.due_at[timer] for timer in due)
    await SYSTEM.sleep(max(0.0, (last - SYSTEM.now()).total_seconds()))
    deadline = SYSTEM.monotonic() + WAIT_SECONDS
    while heard.missing(due) and SYSTEM.monotonic() < deadline:
        await SYSTEM.sleep(0.1)


@asynccontextmanager
async def _listening(broker: Broker, heard: _Heard) -> AsyncGenerator[None]:
    """Take due timers as the transaction service does."""
    connection = await Connection.connect(broker.server.url, "transaction")
    consumers = Consumers(broker.server.url, "transaction", connection)
    for number in range(subjects.SAGA_PARTITIONS):
        consumers.add(consumer(subjects.due_consumer(number)), heard.on_due)
    await consumers.start()
    try:
        yield
    finally:
        await consumers.stop()
        await connection.close()
