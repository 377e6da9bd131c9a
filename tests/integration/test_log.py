"""The log over the real broker: compare-and-set, all or nothing, time travel, snapshots, chain."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import subjects
from contracts.aggregate import Aggregate, Decision
from contracts.entry import BrokenChainError, Entry, verify_chain
from contracts.errors import NotFound, Refused
from contracts.message import Event
from contracts.sample import BarcodeClaimed, SampleStatus, SampleStatusChanged
from contracts.types import SampleId, View
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.bus.errors import BrokerUnavailable
from infra.ids import new_id
from infra.log.log import Change, Log
from infra.log.snapshots import SNAPSHOT_EVERY, Snapshots
from tests.fixtures.nats_proxy import Fate, Rule, Way, nats_proxy
from tests.fixtures.servers import Broker

START = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
SAMPLE = SampleId(new_id())


class Count(View):
    """How often something happened."""

    times: int


def evolve(count: Count | None, event: Event, entry: Entry) -> Count:
    """Count every event."""
    del event, entry
    return Count(times=(count.times if count else 0) + 1)


COUNTS = Aggregate("sample", "count", Count, evolve)


def happened(times: int = 1) -> Callable[[Count | None], Decision]:
    """Decide that it happens, whatever was before."""
    event = BarcodeClaimed(barcode="LAB-1", sample_id=SAMPLE)
    return lambda _: [event] * times


def refuse(_: Count | None) -> Decision:
    """Decide that it may not happen."""
    return NotFound(what="reason", key="to do that")


def context(number: int = 0, *, delivered: int = 1, message_id: str = "") -> Context:
    """Make the circumstances of a command, a minute after the one before."""
    return Context(
        message_id=message_id or str(new_id()),
        actor="anna",
        correlation="c-1",
        now=START + timedelta(minutes=number),
        delivered=delivered,
    )


@pytest.fixture
def log(provisioned: Connection) -> Log:
    """Give a log of one process."""
    return Log(provisioned, "sample")


@pytest.fixture
def other(provisioned: Connection) -> Log:
    """Give the same log as another process has it."""
    return Log(provisioned, "sample")


async def test_what_is_appended_is_loaded_by_everyone(log: Log, other: Log) -> None:
    """State, place and number are the same for whoever appended and for whoever reads."""
    appended = await log.of(COUNTS).execute("a", happened(), context())
    assert await other.of(COUNTS).get("a") == appended
    assert appended.state == Count(times=1)
    assert (appended.number, appended.seq) == (1, await log.head())


async def test_an_aggregate_without_entries_has_no_state(log: Log) -> None:
    """Nothing is made by asking."""
    loaded = await log.of(COUNTS).get("a")
    assert (loaded.state, loaded.seq, loaded.number) == (None, 0, 0)


async def test_a_remembered_state_is_never_older_than_the_log(log: Log, other: Log) -> None:
    """What another process appended is seen at the next load."""
    await log.of(COUNTS).execute("a", happened(), context())
    await other.of(COUNTS).execute("a", happened(), context())
    assert (await log.of(COUNTS).get("a")).state == Count(times=2)


async def test_two_processes_that_decide_at_once_both_count(log: Log, other: Log) -> None:
    """The loser of the race loads and decides again: nothing is overwritten."""
    each = [
        process.of(COUNTS).execute("a", happened(), context())
        for _ in range(8)
        for process in (log, other)
    ]
    await asyncio.gather(*each)
    assert (await log.of(COUNTS).get("a")).state == Count(times=16)
    assert verify_chain(await log.bodies(COUNTS, "a")) == 16


async def test_of_two_that_must_be_first_one_is(log: Log, other: Log) -> None:
    """The other decides again on what it finds, here to refuse."""

    def first(count: Count | None) -> Decision:
        return refuse(count) if count else happened()(count)

    results = await asyncio.gather(
        *(p.of(COUNTS).execute("a", first, context(), new=True) for p in (log, other)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Loaded", "Refused"]
    assert len(await log.entries(COUNTS, "a")) == 1


async def test_a_refusal_appends_nothing(log: Log) -> None:
    """Not even the part of a transaction that was not refused."""
    changes: Sequence[Change[Count]] = [
        Change(COUNTS, "a", happened()),
        Change(COUNTS, "b", refuse),
    ]
    with pytest.raises(Refused):
        await log.transact(changes, context())
    assert await log.head() == 0


async def test_a_refusal_on_a_remembered_state_is_asked_of_the_log_first(
    log: Log, other: Log
) -> None:
    """Only the log may say no, and only it may say that there is nothing to do."""

    def odd_refuses(count: Count | None) -> Decision:
        return refuse(count) if count and count.times % 2 else happened()(count)

    def odd_is_enough(count: Count | None) -> Decision:
        return [] if count and count.times % 2 else happened()(count)

    await log.of(COUNTS).execute("a", happened(), context())
    await other.of(COUNTS).execute("a", happened(), context())
    assert (await log.of(COUNTS).execute("a", odd_refuses, context())).number == 3
    await other.of(COUNTS).execute("a", happened(), context())
    assert (await log.of(COUNTS).execute("a", odd_is_enough, context())).number == 5


@pytest.mark.parametrize("many", [1, 2, 5])
async def test_a_command_that_is_in_the_log_has_no_second_effect(
    log: Log, other: Log, many: int
) -> None:
    """Whichever process it comes to, and however long ago it was appended."""
    once = context()
    changes = [Change(COUNTS, str(n), happened()) for n in range(many)]
    await log.transact(changes, once)
    for process in (log, other):
        again = await process.transact(changes, replace(once, delivered=2))
        assert [loaded.number for loaded in again] == [1] * many
    for n in range(40):
        await log.of(COUNTS).execute("0", happened(), context(n))
    for process in (log, Log(log.connection, "sample")):
        await process.transact(changes, replace(once, delivered=3))
    assert (await log.of(COUNTS).get("0")).number == 41


async def test_parts_of_one_command_are_told_apart_by_their_names(log: Log) -> None:
    """Each part counts once, however often all of them come."""
    for delivered in (1, 2):
        for part in ("one", "two"):
            named = context(delivered=delivered, message_id="m").part(part)
            await log.of(COUNTS).execute("a", happened(), named)
    assert [entry.cause for entry in await log.entries(COUNTS, "a")] == ["m:one", "m:two"]


async def test_one_transaction_changes_an_aggregate_once(log: Log) -> None:
    """Two changes of the same one are a mistake that is told, and never half of it done."""
    twice = [Change(COUNTS, "a", happened()), Change(COUNTS, "a", happened())]
    with pytest.raises(ValueError, match="changed twice at once"):
        await log.transact(twice, context())


async def test_more_entries_than_a_batch_holds_are_refused(log: Log) -> None:
    """All or nothing has a bound, and it is told before anything is sent."""
    changes = [Change(COUNTS, str(n), happened(), new=True) for n in range(1_001)]
    with pytest.raises(ValueError, match="1001 entries at once"):
        await log.transact(changes, context())
    assert await log.head() == 0


async def test_a_thousand_entries_are_one_step(log: Log) -> None:
    """They lie side by side; one that is expected otherwise keeps all of them out."""
    changes = [Change(COUNTS, str(n), happened(), new=True) for n in range(1_000)]
    loaded = await log.transact(changes, context())
    assert [one.seq for one in loaded] == list(range(1, 1_001))


@pytest.mark.parametrize("many", [1, 20])
async def test_an_append_whose_acknowledgement_was_lost_is_found_in_the_log(
    broker: Broker, provisioned: Connection, many: int
) -> None:
    """One entry or a batch: whoever appended learns that it is there, and where."""
    lost = Rule(Way.TO_CLIENT, lambda frame: b'"stream":"LOG_SAMPLE"' in frame.data, Fate.CUT)
    async with nats_proxy(broker.url, [lost]) as proxy:
        connection = await Connection.connect(proxy.url, "sample")
        changes = [Change(COUNTS, str(n), happened(), new=True) for n in range(many)]
        loaded = await Log(connection, "sample").transact(changes, context())
        assert lost.met
        assert [one.seq for one in loaded] == list(range(1, many + 1))
        await connection.close()
    assert await provisioned.head(subjects.log_stream("sample")) == many


async def test_an_append_that_was_lost_itself_is_no_append(
    broker: Broker, provisioned: Connection
) -> None:
    """It is told as an unwell broker, never as done."""
    lost = Rule(Way.TO_BROKER, lambda frame: frame.subject == COUNTS.subject("a"), Fate.CUT)
    async with nats_proxy(broker.url, [lost]) as proxy:
        connection = await Connection.connect(proxy.url, "sample")
        log = Log(connection, "sample")
        with pytest.raises(BrokerUnavailable):
            await log.of(COUNTS).execute("a", happened(), context())
        assert await provisioned.head(log.stream) == 0
        await log.of(COUNTS).execute("a", happened(), context(delivered=2))
        assert await provisioned.head(log.stream) == 1
        await connection.close()


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(plan=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), max_size=12))
async def test_any_order_of_appends_by_two_processes_is_one_chain(
    provisioned: Connection, plan: list[tuple[int, int]]
) -> None:
    """Whoever appends what after whom: numbers without gaps, hashes that follow each other."""
    prefix = new_id().hex
    processes = [Log(provisioned, "sample"), Log(provisioned, "sample")]
    for key, process in plan:
        await processes[process].of(COUNTS).execute(f"{prefix}.{key}", happened(), context())
    for key in range(4):
        expected = sum(1 for one, _ in plan if one == key)
        bodies = await processes[0].bodies(COUNTS, f"{prefix}.{key}")
        assert verify_chain(bodies) == expected


async def test_an_aggregate_is_shown_as_it_was(log: Log) -> None:
    """At each moment the state is what its entries up to then made of it."""
    for number in range(5):
        await log.of(COUNTS).execute("a", happened(), context(number))
    shown = [
        await log.of(COUNTS).at("a", START + timedelta(minutes=minute, seconds=30))
        for minute in range(-1, 6)
    ]
    assert [loaded.state.times if loaded.state else None for loaded in shown] == [
        None,
        1,
        2,
        3,
        4,
        5,
        5,
    ]


async def test_a_snapshot_and_the_entries_since_are_the_whole_log(
    log: Log, other: Log, provisioned: Connection
) -> None:
    """After 200 entries a snapshot is kept; loading from it gives what folding everything gives."""
    for number in range(SNAPSHOT_EVERY + 5):
        await log.of(COUNTS).execute("a.b", happened(), context(number))
    snapshot = await Snapshots(provisioned).get(COUNTS, "a.b")
    assert snapshot is not None
    assert snapshot.number == SNAPSHOT_EVERY
    full = await log.of(COUNTS).at("a.b", START + timedelta(days=1))
    loaded = await other.of(COUNTS).get("a.b")
    assert loaded == full
    assert loaded.state == Count(times=SNAPSHOT_EVERY + 5)


async def test_a_snapshot_of_another_meaning_is_not_used(log: Log, provisioned: Connection) -> None:
    """Code that reads old events otherwise starts from the log."""
    for number in range(SNAPSHOT_EVERY):
        await log.of(COUNTS).execute("a", happened(), context(number))

    def evolve_twice(count: Count | None, event: Event, entry: Entry) -> Count:
        return evolve(evolve(count, event, entry), event, entry)

    doubled = replace(COUNTS, evolve=evolve_twice, meaning=2)
    assert await Snapshots(provisioned).get(doubled, "a") is None
    loaded = await Log(provisioned, "sample").of(doubled).get("a")
    assert loaded.state == Count(times=2 * SNAPSHOT_EVERY)


async def test_a_long_log_without_a_snapshot_gets_one_when_it_is_loaded(
    log: Log, other: Log, provisioned: Connection
) -> None:
    """Reading all of it is done once: the next process reads what came since."""
    for number in range(SNAPSHOT_EVERY + 5):
        await log.of(COUNTS).execute("a", happened(), context(number))
    changed = replace(COUNTS, meaning=2)
    assert await Snapshots(provisioned).get(changed, "a") is None
    loaded = await other.of(changed).get("a")
    assert await Snapshots(provisioned).get(changed, "a") == loaded


async def test_the_entry_that_a_message_led_to_is_found_however_deep(log: Log, other: Log) -> None:
    """Whoever sends again what an entry asked for reads that entry, and no other."""
    causes = [context(number) for number in range(50)]
    for cause in causes:
        await log.of(COUNTS).execute("a", happened(), cause)
    for process in (log, other):
        loaded = await process.load(COUNTS, "a")
        for number in (0, 17, 18, 49):
            entry = await process.caused_by(COUNTS, loaded, causes[number].message_id)
            assert entry is not None
            assert entry.number == number + 1
        assert await process.caused_by(COUNTS, loaded, "nobody") is None


async def test_no_more_is_remembered_than_was_allowed(provisioned: Connection) -> None:
    """The least used goes first; it is read again when it is needed."""
    log = Log(provisioned, "sample", remembers=3)
    for key in "abcd":
        await log.of(COUNTS).execute(key, happened(), context())
    assert [log.remembered(COUNTS, key) is not None for key in "abcd"] == [False, True, True, True]
    assert (await log.of(COUNTS).get("a")).number == 1


@pytest.fixture
async def damaged(log: Log, provisioned: Connection) -> Log:
    """Give a log in whose stream an entry was forged behind the service's back."""
    await log.of(COUNTS).execute("a", happened(), context())
    body = (await log.bodies(COUNTS, "a"))[0].replace(b'"number":1', b'"number":2')
    await provisioned.publish(subjects.log_of("sample", "count", "a"), body)
    return log


async def test_a_log_that_does_not_hold_together_is_not_decided_on(damaged: Log) -> None:
    """The forged entry is found in the stream by the chain, and by whoever would build on it."""
    with pytest.raises(BrokenChainError):
        verify_chain(await damaged.bodies(COUNTS, "a"))
    with pytest.raises(BrokenChainError, match="does not follow"):
        await Log(damaged.connection, "sample").of(COUNTS).execute("a", happened(), context())


async def test_keys_that_look_like_subjects_are_only_keys(log: Log) -> None:
    """Dots, wildcards and spaces in a key select nothing but the aggregate itself."""
    keys = ["a.b", "a", "*", ">", "a b", "ä", "%2E"]
    for key in keys:
        await log.of(COUNTS).execute(key, happened(), context())
    assert [(await log.of(COUNTS).get(key)).number for key in keys] == [1] * len(keys)
    subjects_there = [COUNTS.subject(key) for key in keys]
    assert [COUNTS.key_of(subject) for subject in subjects_there] == keys


async def test_an_entry_holds_every_event_of_its_decision(log: Log) -> None:
    """Several events of one decision are one entry, in their order."""
    changed = SampleStatusChanged(
        sample_id=SAMPLE,
        barcode="LAB-1",
        old_status=SampleStatus.PENDING,
        new_status=SampleStatus.VALIDATED,
        reason="looks good",
    )

    def both(count: Count | None) -> Decision:
        decided = happened()(count)
        assert isinstance(decided, list)
        return [*decided, changed]

    loaded = await log.of(COUNTS).execute("a", both, context())
    (entry,) = await log.entries(COUNTS, "a")
    assert loaded.state == Count(times=2)
    assert entry.events[1] == changed
