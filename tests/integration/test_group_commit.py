"""Group commit over the real broker: what waits together is stored together, and nothing else."""

import asyncio
from dataclasses import replace

from nats.js.api import StreamConfig

from contracts import subjects
from contracts.errors import Conflict
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection, NotSent
from infra.clock import SYSTEM
from infra.log.gathering import BATCH_FROM, BATCH_MAX, Gathering, Message
from infra.log.log import Change, Log
from tests.fixtures.nats_proxy import Fate, Rule, Way, nats_proxy
from tests.fixtures.servers import Broker
from tests.integration.test_log import COUNTS, context, happened

MANY = 200
STREAM = "LOG_SAMPLE"


def append(number: int, *, expected: int = 0) -> Message:
    """Make an append to a log of its own."""
    subject = COUNTS.subject(str(number))
    return subject, b"%d" % number, {EXPECTED_LAST_SUBJECT_SEQ: str(expected)}


async def batches(connection: Connection, stream: str = STREAM) -> list[str | None]:
    """Give the batch that each message of a stream came with, in order; None where alone."""
    everything = connection.read(stream, subjects.log_subjects("sample"))
    return [raw.headers.get("Nats-Batch-Id") async for raw in everything]


async def test_alone_an_append_waits_for_nobody(provisioned: Connection) -> None:
    """Without others beside it, it is no batch."""
    gathering = Gathering(provisioned)
    assert [await gathering.append(append(number)) for number in range(20)] == list(range(1, 21))
    assert await batches(provisioned) == [None] * 20


async def test_what_waits_together_is_stored_together(provisioned: Connection) -> None:
    """Each learns its own sequence, and most of them share a few batches."""
    gathering = Gathering(provisioned)
    seqs = await asyncio.gather(*(gathering.append(append(n)) for n in range(MANY)))
    assert sorted(seqs) == list(range(1, MANY + 1))
    stored = [raw.body async for raw in provisioned.read(STREAM, subjects.log_subjects("sample"))]
    assert [stored[seq - 1] for seq in seqs] == [b"%d" % n for n in range(MANY)]
    named = [batch for batch in await batches(provisioned) if batch is not None]
    assert len(named) > MANY / 2
    assert len(set(named)) <= 3


async def test_a_batch_has_a_bound(provisioned: Connection) -> None:
    """More than a batch may hold is stored in several."""
    gathering = Gathering(provisioned)
    await asyncio.gather(*(gathering.append(append(n)) for n in range(BATCH_MAX + 100)))
    named = [batch for batch in await batches(provisioned) if batch is not None]
    assert max(named.count(batch) for batch in set(named)) <= BATCH_MAX


async def test_whoever_loses_a_race_takes_nobody_along(provisioned: Connection) -> None:
    """Of a batch with wrong expectations in it, all the others are stored."""
    gathering = Gathering(provisioned)
    wrong = {7, 50, 51, MANY - 1}
    results = await asyncio.gather(
        *(gathering.append(append(n, expected=99 if n in wrong else 0)) for n in range(MANY)),
        return_exceptions=True,
    )
    lost = {n for n, result in enumerate(results) if isinstance(result, Conflict)}
    assert lost == wrong
    assert sorted(r for r in results if isinstance(r, int)) == list(range(1, MANY - 3))


async def test_a_stream_that_takes_no_batches_takes_them_one_by_one(broker: Broker) -> None:
    """An older stream costs time and loses nothing."""
    connection = await Connection.connect(broker.url, "test")
    await connection.js.add_stream(
        StreamConfig(name=STREAM, subjects=[subjects.log_subjects("sample")], allow_direct=True)
    )
    gathering = Gathering(connection)
    seqs = await asyncio.gather(*(gathering.append(append(n)) for n in range(40)))
    assert sorted(seqs) == list(range(1, 41))
    assert await batches(connection) == [None] * 40
    await connection.close()


async def test_a_batch_whose_acknowledgement_was_lost_is_found_by_each_of_its_entries(
    broker: Broker, provisioned: Connection
) -> None:
    """Nothing is appended twice, and everyone learns where their entry lies."""
    lost = Rule(
        Way.TO_CLIENT,
        lambda frame: b'"batch"' in frame.data and b'"stream":"LOG_SAMPLE"' in frame.data,
        Fate.CUT,
    )
    async with nats_proxy(broker.url, [lost]) as proxy:
        connection = await Connection.connect(proxy.url, "sample")
        log = Log(connection, "sample", gathers=True)
        contexts = [context() for _ in range(60)]

        async def once(number: int, *, delivered: int) -> int:
            changes = [Change(COUNTS, str(number), happened(), new=True)]
            given = replace(contexts[number], delivered=delivered)
            return (await log.transact(changes, given))[0].seq

        first = await asyncio.gather(
            *(once(n, delivered=1) for n in range(60)), return_exceptions=True
        )
        assert lost.met
        there = {n: seq for n, seq in enumerate(first) if isinstance(seq, int)}
        assert len(there) >= BATCH_FROM
        # What had not left when the connection was lost says so, and is handed in again.
        assert all(isinstance(one, int | NotSent) for one in first)
        again = [await once(n, delivered=2) for n in range(60)]
        assert sorted(again) == list(range(1, 61))
        assert all(again[n] == seq for n, seq in there.items())
        await connection.close()
    assert await provisioned.head(STREAM) == 60


async def test_two_processes_that_gather_lose_no_decision(provisioned: Connection) -> None:
    """Both decide on the same aggregates at once; each decision counts once."""
    processes = [Log(provisioned, "sample", gathers=True) for _ in range(2)]
    await asyncio.gather(
        *(
            process.transact([Change(COUNTS, str(n), happened())], context())
            for n in range(40)
            for process in processes
        )
    )
    loaded = [await processes[0].load(COUNTS, str(n)) for n in range(40)]
    assert [one.number for one in loaded] == [2] * 40


async def test_whoever_stops_waiting_keeps_nobody_else(provisioned: Connection) -> None:
    """A cancelled append may or may not be stored; the others are."""
    gathering = Gathering(provisioned)
    tasks = [asyncio.ensure_future(gathering.append(append(n))) for n in range(MANY)]
    await SYSTEM.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, int) for result in results[1::2])
    assert await gathering.append(append(MANY)) == await provisioned.head(STREAM)
