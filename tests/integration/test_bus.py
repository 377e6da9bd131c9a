"""Asking, sending and publishing over the real broker, whatever becomes of the broker meanwhile."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from nats.aio.msg import Msg
from structlog.testing import capture_logs

from contracts import subjects
from contracts.errors import Conflict, NotFound, Refused, Unavailable
from contracts.sample import ChangeSampleStatus, GetSample, RegisterSample, SampleStatus
from contracts.types import SampleId
from infra.bus import provision as provisioning
from infra.bus.bus import Bus, Pending
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection
from infra.bus.errors import BrokerUnavailable, MissingStream, NotSent
from infra.bus.files import FILE_BYTES_MAX
from infra.bus.provision import ProvisionError, provision
from infra.bus.pushes import Pushes
from infra.clock import SYSTEM
from infra.ids import new_id
from tests.fixtures.nats_proxy import Fate, Rule, Way, nats_proxy
from tests.fixtures.sample_house import House, details, entries, sample_house, settled
from tests.fixtures.servers import Broker

UNKNOWN = SampleId(new_id())


@pytest.fixture
async def bus(nats_url: str, provisioned: Connection) -> AsyncGenerator[Bus]:
    """Give a bus to a broker that was provisioned."""
    del provisioned
    bus = await Bus.open(nats_url, source="asker")
    yield bus
    await bus.close()


@pytest.fixture
async def house(nats_url: str, provisioned: Connection) -> AsyncGenerator[House]:
    """Run the sample service."""
    del provisioned
    async with sample_house(nats_url) as running:
        yield running


async def test_an_answer_has_the_type_that_the_contract_says(bus: Bus, house: House) -> None:
    """A command is answered by its view, a query by its own, a refusal by an exception."""
    del house
    view = await bus.ask(RegisterSample(details=details("LAB-1")), actor="anna")
    assert view.registered_by == "anna"
    assert await bus.ask(GetSample(sample_id=view.sample_id)) == view
    with pytest.raises(Refused, match="There is no sample"):
        await bus.ask(GetSample(sample_id=UNKNOWN))


async def test_the_same_id_asked_twice_is_one_command_with_one_answer(
    bus: Bus, house: House
) -> None:
    """At once, in one process, and later: everyone who asks hears what the first one heard."""
    command = RegisterSample(details=details("LAB-1"))
    asked = [bus.ask(command, message_id="key-1") for _ in range(5)]
    async with asyncio.timeout(60):
        views = await asyncio.gather(*asked)
        views.append(await bus.ask(command, message_id="key-1"))
    assert len({view.sample_id for view in views}) == 1
    assert len(await entries(house.connection)) == 2


async def test_ids_that_look_like_subjects_are_only_ids(bus: Bus, house: House) -> None:
    """A client's own id may hold anything; it selects its own outcome and no other."""
    del house
    await bus.ask(RegisterSample(details=details("LAB-1")), message_id="plain")
    for key in (">", "*", "a.b", "ä b"):
        assert await bus.outcome(key) is None
    view = await bus.ask(RegisterSample(details=details("LAB-2")), message_id=">")
    assert view.details.barcode == "LAB-2"
    recorded = await bus.outcome(">")
    assert recorded is not None
    assert recorded.result == view.model_dump_json().encode()


async def test_a_command_that_nobody_takes_yet_is_pending_and_done_later(
    bus: Bus, nats_url: str
) -> None:
    """Stored before anything else: the service that starts later does it."""
    with pytest.raises(Pending) as pending:
        await bus.ask(RegisterSample(details=details("LAB-1")), timeout_seconds=0.1)
    assert await bus.outcome(pending.value.operation_id) is None
    async with sample_house(nats_url) as running:
        await settled(running.connection)
    recorded = await bus.outcome(pending.value.operation_id)
    assert recorded is not None
    assert recorded.refusal is None


async def test_whoever_stops_waiting_stops_at_once(bus: Bus) -> None:
    """A cancelled asker is cancelled; it is not told that its command is pending."""
    asking = asyncio.create_task(bus.ask(RegisterSample(details=details("LAB-1"))))
    await SYSTEM.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_whoever_waits_when_the_bus_closes_hears_that_it_is_pending(bus: Bus) -> None:
    """The command is stored: it will be done, and its outcome can be asked for."""
    asking = asyncio.create_task(bus.ask(RegisterSample(details=details("LAB-1"))))
    await SYSTEM.sleep(0.2)
    await bus.close()
    with pytest.raises(Pending):
        await asking


async def test_without_a_broker_a_command_is_refused_and_not_kept(bus: Bus, broker: Broker) -> None:
    """What left nobody's process is not pending: whoever asks may ask again."""
    await broker.child.stop()
    with pytest.raises(Refused) as refused:
        await bus.ask(RegisterSample(details=details("LAB-1")), timeout_seconds=0.5)
    assert isinstance(refused.value.refusal, Unavailable)
    with pytest.raises(Refused, match="The message broker"):
        await bus.ask(GetSample(sample_id=UNKNOWN), timeout_seconds=0.5)
    await broker.child.start()
    await _reconnected(bus.connection)
    info = await bus.connection.api(f"STREAM.INFO.{subjects.COMMANDS}")
    assert info["state"]["messages"] == 0


async def test_asking_goes_on_over_a_restart_of_the_broker(
    bus: Bus, house: House, broker: Broker
) -> None:
    """A command that is asked while the broker is away is done when it is back, once."""
    await bus.ask(RegisterSample(details=details("LAB-1")))
    await broker.child.stop()
    asking = asyncio.create_task(bus.ask(RegisterSample(details=details("LAB-2"))))
    await broker.child.start()
    view = await asking
    assert view.details.barcode == "LAB-2"
    await settled(house.connection)
    assert len(await entries(house.connection)) == 4


async def test_a_copy_that_comes_after_the_broker_forgot_it_is_recognised(
    bus: Bus, house: House, broker: Broker
) -> None:
    """A work queue forgets the ids of what was done when it is started anew; the outcome does not.

    Without it the second change would find another state, and be done again.
    """
    view = await bus.ask(RegisterSample(details=details("LAB-1")))
    sample_id, message_id = view.sample_id, str(new_id())

    def change(status: SampleStatus) -> ChangeSampleStatus:
        return ChangeSampleStatus(sample_id=sample_id, status=status, reason="looks good")

    await bus.ask(change(SampleStatus.VALIDATED), message_id=message_id)
    for status in [SampleStatus.PENDING, SampleStatus.VALIDATED] * 20:
        await bus.ask(change(status))
    await bus.ask(change(SampleStatus.PENDING))
    await settled(house.connection)
    await broker.child.stop()
    await broker.child.start()
    await _reconnected(bus.connection)
    await _reconnected(house.connection)
    await bus.ask(change(SampleStatus.VALIDATED), message_id=message_id)
    assert (await bus.ask(GetSample(sample_id=sample_id))).status is SampleStatus.PENDING


async def _reconnected(connection: Connection) -> None:
    async with asyncio.timeout(60):
        while not connection.connected:
            await SYSTEM.sleep(0.02)


async def test_a_message_that_was_not_sent_never_leaves_later(
    broker: Broker, provisioned: Connection
) -> None:
    """What the client could not write yet when the connection was lost is gone with it.

    It would send it after the next connect, when its sender was told long ago that it was not sent.
    """
    async with nats_proxy(broker.url) as proxy:
        connection = await Connection.connect(proxy.url, "publisher")
        proxy.flowing.clear()
        for _ in range(20):
            await connection.send("nobody.listens", bytes(1_000_000))
        publishing = asyncio.create_task(
            connection.publish(subjects.of(RegisterSample.contract), b"{}")
        )
        await SYSTEM.sleep(0.1)
        proxy.cut()
        proxy.flowing.set()
        with pytest.raises(BrokerUnavailable):
            await publishing
        await _reconnected(connection)
        await connection.api("INFO")
        assert await provisioned.head(subjects.COMMANDS) == 0
        await connection.close()


async def test_publishing_says_what_became_of_a_message(provisioned: Connection) -> None:
    """Stored, a duplicate, a conflict, no stream, too large: each is its own answer."""
    subject, headers = subjects.of(RegisterSample.contract), {"Nats-Msg-Id": "m-1"}
    stored = await provisioned.publish(subject, b"{}", headers, stream=subjects.COMMANDS)
    assert (stored.stream, stored.seq, stored.duplicate) == (subjects.COMMANDS, 1, False)
    again = await provisioned.publish(subject, b"{}", headers, stream=subjects.COMMANDS)
    assert again == replace(stored, duplicate=True)
    with pytest.raises(Conflict):
        await provisioned.publish(subject, b"{}", {EXPECTED_LAST_SUBJECT_SEQ: "7"})
    with pytest.raises(MissingStream, match="tracseq provision"):
        await provisioned.publish("nobody.takes.this", b"{}")
    with pytest.raises(BrokerUnavailable, match="expected stream"):
        await provisioned.publish(subject, b"{}", stream=subjects.EVENTS)
    with pytest.raises(ValueError, match="keep a file"):
        await provisioned.publish(subject, bytes(provisioned.nats.max_payload + 1))


async def test_a_subject_is_read_whole_and_in_order_whatever_it_holds(
    provisioned: Connection,
) -> None:
    """More than a batch, beside others, from any place; an empty one is empty."""
    for number in range(50):
        for subject in ("a", "b"):
            await provisioned.publish(subjects.log_of("sample", "x", subject), f"{number}".encode())
    stream, subject = subjects.log_stream("sample"), subjects.log_of("sample", "x", "a")
    read = [raw async for raw in provisioned.read(stream, subject, batch_max=7)]
    assert [raw.body for raw in read] == [f"{number}".encode() for number in range(50)]
    assert abs((read[0].at - SYSTEM.now()).total_seconds()) < 60
    after = [raw async for raw in provisioned.read(stream, subject, after=read[39].seq)]
    assert [raw.seq for raw in after] == [raw.seq for raw in read[40:]]
    nothing = subjects.log_of("sample", "x", "c")
    assert [raw async for raw in provisioned.read(stream, nothing)] == []
    with pytest.raises(MissingStream):
        _ = [raw async for raw in provisioned.read("NOWHERE", subject)]


async def test_a_read_that_loses_an_answer_fails_and_is_never_shorter(
    broker: Broker, provisioned: Connection
) -> None:
    """Whoever folds a log must see all of it, or know that it did not."""
    subject = subjects.log_of("sample", "x", "a")
    for number in range(5):
        await provisioned.publish(subject, f"{number}".encode())
    for lost in range(1, 6):
        answers = Rule(
            Way.TO_CLIENT, lambda frame: b"Nats-Num-Pending" in frame.data, Fate.DROPPED, lost
        )
        async with nats_proxy(broker.url, [answers]) as proxy:
            connection = await Connection.connect(proxy.url, "reader")
            with pytest.raises(BrokerUnavailable, match="hole"):
                _ = [raw async for raw in connection.read(subjects.log_stream("sample"), subject)]
            await connection.close()


async def test_a_lost_connection_is_told_at_once(broker: Broker, provisioned: Connection) -> None:
    """Whoever waits for an answer does not wait for a timeout."""

    async def keep_silent(_: Msg) -> None:
        return

    await provisioned.nats.subscribe("silence", cb=keep_silent)
    async with nats_proxy(broker.url) as proxy:
        connection = await Connection.connect(proxy.url, "waiter")
        waiting = asyncio.create_task(connection.request("silence", b"", timeout_seconds=30))
        await SYSTEM.sleep(0.1)
        proxy.cut()
        async with asyncio.timeout(60):
            with pytest.raises(BrokerUnavailable, match="lost"):
                await waiting
        await connection.close()


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), ValueError("no JSON")])
async def test_a_connection_that_is_lost_while_it_comes_back_comes_back(
    broker: Broker, provisioned: Connection, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever its loss looked like: what is listened to is heard again."""
    heard = asyncio.Queue[bytes]()
    async with nats_proxy(broker.url) as proxy:
        connection = await Connection.connect(proxy.url, "unlucky")
        await Pushes(connection, "news", heard.put_nowait).start()
        greet, failures = connection.nats._process_connect_init, [error, error]  # pyright: ignore[reportPrivateUsage] - where the broker may be lost again

        async def greet_in_vain() -> None:
            if failures:
                raise failures.pop()
            await greet()

        monkeypatch.setattr(connection.nats, "_process_connect_init", greet_in_vain)
        proxy.cut()
        async with asyncio.timeout(60):
            while failures or not connection.connected:
                await SYSTEM.sleep(0.01)
            await provisioned.send("news", b"it is back")
            assert await heard.get() == b"it is back"
        await connection.close()


async def test_an_orderly_end_is_no_outage(provisioned: Connection, broker: Broker) -> None:
    """Closing warns of nothing; losing the broker does."""
    connection = await Connection.connect(broker.url, "short")
    with capture_logs() as logged:
        await connection.close()
    assert logged == []
    with capture_logs() as logged:
        await broker.child.stop()
        async with asyncio.timeout(60):
            while "nats.disconnected" not in {line["event"] for line in logged}:
                await SYSTEM.sleep(0.01)
    assert not provisioned.connected


async def test_a_file_is_kept_once_and_given_back_whole(bus: Bus) -> None:
    """Named by its content; what is not there is refused, what is too large is never sent."""
    data = b"barcode,type\n" * 50_000
    ref = await bus.files.put(data, name="manifest.csv", media_type="text/csv")
    assert await bus.files.put(data, name="again.csv") == ref.model_copy(
        update={"name": "again.csv", "media_type": "application/octet-stream"}
    )
    assert await bus.files.get(ref) == data
    with pytest.raises(Refused) as refused:
        await bus.files.get(ref.model_copy(update={"sha256": "0" * 64}))
    assert isinstance(refused.value.refusal, NotFound)
    with pytest.raises(ValueError, match="at most"):
        await bus.files.put(bytes(FILE_BYTES_MAX + 1), name="too large")


async def test_provisioning_again_changes_nothing(provisioned: Connection) -> None:
    """What is as declared is left alone."""
    report = await provision(provisioned)
    assert (report.created, report.updated) == ([], [])


async def test_provisioning_updates_the_limits_that_changed(
    provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of streams, consumers and buckets, and of those that changed alone."""
    _declare(monkeypatch, "STREAMS", subjects.COMMANDS, max_age_days=8)
    _declare(monkeypatch, "CONSUMERS", "sample-commands", ack_pending_max=8)
    _declare(monkeypatch, "BUCKETS", subjects.OUTCOMES_BUCKET, ttl_seconds=8)
    report = await provision(provisioned)
    assert report.created == []
    assert report.updated == [subjects.COMMANDS, "consumer sample-commands", "bucket outcomes"]
    info = await provisioned.api(f"STREAM.INFO.{subjects.COMMANDS}")
    assert info["config"]["max_age"] == 8 * 86_400 * 1_000_000_000


async def test_what_cannot_be_changed_in_place_is_told_and_left_alone(
    provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never deleted and made anew: the text names it and says what to do."""
    await provisioned.publish(subjects.of(RegisterSample.contract), b"{}")
    _declare(monkeypatch, "STREAMS", subjects.COMMANDS, work_queue=False)
    with pytest.raises(ProvisionError, match="COMMANDS differs from its declaration"):
        await provision(provisioned)
    assert await provisioned.head(subjects.COMMANDS) == 1


def _declare(monkeypatch: pytest.MonkeyPatch, kind: str, name: str, **changes: object) -> None:
    declared = getattr(provisioning, kind)
    changed = tuple(replace(one, **changes) if one.name == name else one for one in declared)
    monkeypatch.setattr(provisioning, kind, changed)


async def test_nothing_leaves_while_the_broker_is_away(
    broker: Broker, provisioned: Connection
) -> None:
    """It fails at once, and says that nothing was sent."""
    await broker.child.stop()
    async with asyncio.timeout(60):
        while provisioned.connected:
            await SYSTEM.sleep(0.01)
    with pytest.raises(NotSent):
        await provisioned.publish(subjects.of(RegisterSample.contract), b"{}")
    with pytest.raises(NotSent):
        await provisioned.send("anybody", b"{}")
