"""The forwarder over the real broker: each public event told once and in log order."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import subjects
from contracts.aggregate import Aggregate, Decision
from contracts.entry import Entry
from contracts.message import Event
from contracts.sample import BarcodeClaimed, SampleStatus, SampleStatusChanged
from contracts.types import SampleId, View
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.clock import SYSTEM, SystemClock
from infra.ids import new_id
from infra.log.forwarder import Forwarder
from infra.log.log import Change, Log
from tests.fixtures.nats_proxy import Fate, Rule, Way, nats_proxy
from tests.fixtures.sample_house import events
from tests.fixtures.servers import Broker

SAMPLE = SampleId(new_id())
POSITION = f"$KV.snapshots.forwarder.{subjects.log_stream('sample')}"


class Anything(View):
    """A state that nobody looks at."""


def evolve(state: Anything | None, event: Event, entry: Entry) -> Anything:
    """Become anything."""
    del state, event, entry
    return Anything()


THINGS = Aggregate("sample", "thing", Anything, evolve)


def told(reason: str) -> Event:
    """Make an event for everyone."""
    return SampleStatusChanged(
        sample_id=SAMPLE,
        barcode="LAB-1",
        old_status=SampleStatus.PENDING,
        new_status=SampleStatus.VALIDATED,
        reason=reason,
    )


KEPT = BarcodeClaimed(barcode="LAB-1", sample_id=SAMPLE)
"""An event that is nobody else's affair."""


async def append(connection: Connection, *decisions: Sequence[Event], key: str = "a.b") -> None:
    """Append one entry for each decision, in as few batches as may be."""
    log = Log(connection, "sample")
    for start in range(0, len(decisions), 1_000):
        part = decisions[start : start + 1_000]
        changes = [
            Change(THINGS, key if len(part) == 1 else f"{key}{start + n}", _always(events_))
            for n, events_ in enumerate(part)
        ]
        context = Context(
            message_id=str(new_id()), actor="anna", correlation="c-1", now=SYSTEM.now()
        )
        await log.transact(changes, context)


def _always(decided: Sequence[Event]) -> "_Always":
    return _Always(decided)


class _Always:
    def __init__(self, decided: Sequence[Event]) -> None:
        self._decided = decided

    def __call__(self, _: Anything | None) -> Decision:
        return self._decided


@asynccontextmanager
async def forwarding(connection: Connection, *, forwarders: int = 1) -> AsyncGenerator[None]:
    """Forward for as long as a `with` lasts."""
    tasks = [
        asyncio.create_task(Forwarder(Log(connection, "sample")).run()) for _ in range(forwarders)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def reasons(connection: Connection, count: int) -> list[str]:
    """Wait until so many events were told, and a moment for one too many; give what they say."""
    async with asyncio.timeout(60):
        while len(await events(connection)) < count:
            await SYSTEM.sleep(0.02)
    await SYSTEM.sleep(0.1)
    return [
        SampleStatusChanged.model_validate_json(raw.body).reason for raw in await events(connection)
    ]


def named(start: int, end: int) -> list[str]:
    """Name events."""
    return [f"event {number}" for number in range(start, end)]


async def test_public_events_are_told_in_log_order_and_others_are_not(
    provisioned: Connection,
) -> None:
    """Several of one entry keep their order; who caused them and what they are about comes too."""
    await append(provisioned, [told("event 0"), KEPT, told("event 1")])
    async with forwarding(provisioned):
        await append(provisioned, [KEPT], key="c")
        await append(provisioned, [told("event 2")], key="d")
        assert await reasons(provisioned, 3) == named(0, 3)
    first, second, _ = await events(provisioned)
    assert first.headers["ce-subject"] == "a.b"
    assert first.headers["tracseq-actor"] == "anna"
    assert [raw.headers["Nats-Msg-Id"] for raw in (first, second)] == [
        "LOG_SAMPLE:1:0",
        "LOG_SAMPLE:1:2",
    ]


@pytest.mark.parametrize("keep", ["the position", "no position"])
async def test_a_forwarder_that_starts_again_tells_nothing_twice(
    provisioned: Connection, keep: str
) -> None:
    """Also where its position was lost, and where the broker's own memory of ids is over."""
    await append(provisioned, *([told(reason)] for reason in named(0, 700)))
    async with forwarding(provisioned):
        await reasons(provisioned, 700)
    if keep == "no position":
        await provisioned.api("STREAM.PURGE.KV_snapshots")
    await provisioned.js.update_stream(
        (await provisioned.js.stream_info(subjects.EVENTS)).config.evolve(duplicate_window=0.1)
    )
    await SYSTEM.sleep(0.3)
    async with forwarding(provisioned):
        await append(provisioned, [told("event 700")], key="last")
        assert await reasons(provisioned, 701) == named(0, 701)


class Leaping(SystemClock):
    """The machine's own time, which leaps once it is told to."""

    leap = timedelta(0)

    def now(self) -> datetime:
        """Give the time."""
        return super().now() + self.leap


async def test_a_forwarder_that_slept_looks_what_others_told_meanwhile(
    provisioned: Connection,
) -> None:
    """Longer than the broker recognises an event: another process may have told what it has not."""
    clock = Leaping()
    log = Log(provisioned, "sample")
    task = asyncio.create_task(Forwarder(log, clock=clock).run())
    await append(provisioned, [told("event 0")])
    assert await reasons(provisioned, 1) == named(0, 1)
    await provisioned.js.update_stream(
        (await provisioned.js.stream_info(subjects.EVENTS)).config.evolve(duplicate_window=0.1)
    )
    by_another = {"Nats-Msg-Id": "LOG_SAMPLE:2:0", "ce-type": "sample.status_changed"}
    event = told("event 1")
    await provisioned.publish(
        subjects.of(event.contract), event.model_dump_json().encode(), by_another
    )
    await SYSTEM.sleep(0.3)
    clock.leap = timedelta(minutes=6)
    await append(provisioned, [event], key="c")
    await append(provisioned, [told("event 2")], key="d")
    assert await reasons(provisioned, 3) == named(0, 3)
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize(
    "mark", [b'"stream":"EVENTS"', b'"stream":"KV_snapshots"'], ids=["event", "position"]
)
async def test_a_lost_acknowledgement_loses_and_doubles_nothing(
    broker: Broker, provisioned: Connection, batch: int, mark: bytes
) -> None:
    """Of an event, of a batch of them, or of the position that is kept afterwards."""
    rule = Rule(Way.TO_CLIENT, lambda frame: mark in frame.data, Fate.CUT)
    async with nats_proxy(broker.url, [rule]) as proxy:
        connection = await Connection.connect(proxy.url, "forwarder")
        await append(provisioned, *([told(reason)] for reason in named(0, batch)))
        async with forwarding(connection):
            assert await reasons(provisioned, batch) == named(0, batch)
            await append(provisioned, [told(f"event {batch}")], key="last")
            assert await reasons(provisioned, batch + 1) == named(0, batch + 1)
        assert rule.met
        await connection.close()


async def test_forwarders_of_several_processes_tell_each_event_once(
    provisioned: Connection,
) -> None:
    """Whoever is first tells it; the others find it told, and the order is the log's."""
    async with forwarding(provisioned, forwarders=3):
        for number in range(40):
            await append(provisioned, [told(f"event {number}")], key=str(number))
        assert await reasons(provisioned, 40) == named(0, 40)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    plan=st.lists(st.one_of(st.integers(1, 12), st.sampled_from(["restart", "forget"])), max_size=8)
)
async def test_any_order_of_appends_and_restarts_tells_each_event_once(
    provisioned: Connection, plan: list[int | str]
) -> None:
    """Entries come in batches of any size, while the forwarder is stopped at any moment."""
    before = len(await events(provisioned))
    count = 0
    stack = forwarding(provisioned)
    await stack.__aenter__()
    for step in plan:
        if isinstance(step, int):
            fresh = [[told(f"event {count + n}")] for n in range(step)]
            await append(provisioned, *fresh, key=new_id().hex)
            count += step
            continue
        await stack.__aexit__(None, None, None)
        if step == "forget":
            await provisioned.publish(POSITION, b"")
        stack = forwarding(provisioned)
        await stack.__aenter__()
    found = await reasons(provisioned, before + count)
    await stack.__aexit__(None, None, None)
    assert found[before:] == named(0, count)
