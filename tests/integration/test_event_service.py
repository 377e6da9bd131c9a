"""The event service over a real broker and document store: the timeline, and dead letters."""

import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import httpx
import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from contracts import subjects
from contracts.envelope import Envelope, parse
from contracts.errors import InvalidInput, Refused
from contracts.event import (
    DeadLetterNotFound,
    DeadLetterSummary,
    DropDeadLetter,
    GetDeadLetter,
    ListDeadLetters,
    ListEvents,
    PublishLabEvent,
    ReplayDeadLetter,
    TimelineEntry,
    UnknownLabEvent,
)
from contracts.lab import NoteTaken, TemperatureRead
from contracts.message import Kind
from contracts.notification import ListNotifications, SendNotification, Template
from contracts.types import Page
from infra.bus.advisories import Exhausted, Sweeper
from infra.bus.connection import Raw
from infra.bus.dead import DeadLetters
from infra.bus.delivery import Delivery
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.runtime import Blueprint
from services.event import service
from services.event.settings import Settings
from services.event.store import DEPTH_MAX
from services.notification import service as notification
from services.notification.settings import Settings as NotificationSettings
from tests.fixtures.laboratory import Laboratory, eventually, laboratory

__all__ = ["laboratory"]

EVENT = Blueprint("event", service.build, Settings(http_port=0))
NOTIFICATION = Blueprint("notification", notification.build, NotificationSettings(http_port=0))
READING = {"sensor": "F-1", "celsius": -80.5}
TELL = SendNotification(
    template=Template.SUBMISSION_STORED,
    values={"submission_id": "S", "accepted": "1", "file": "m.csv"},
)


async def listed(lab: Laboratory, total: int, **filters: Any) -> Page[TimelineEntry]:  # noqa: ANN401
    """Give the list, once it holds so many."""
    query = ListEvents(**filters)
    return await eventually(lambda: lab.bus.ask(query), lambda page: page.total == total)


async def note(lab: Laboratory, text: str) -> None:
    """Publish a raw fact past the service, as an instrument does."""
    await lab.bus.publish_lab(NoteTaken(text=text), source="bench")


async def letters(lab: Laboratory, count: int) -> list[DeadLetterSummary]:
    """Give the dead letters, once there are so many."""
    found = await eventually(
        lambda: lab.bus.ask(ListDeadLetters()), lambda found: len(found.items) == count
    )
    return found.items


async def buried(lab: Laboratory, body: bytes = b'{"no": "order"}') -> int:
    """Have a command die that nobody can read; give the number of its letter."""
    headers = {"ce-id": str(new_id()), "ce-type": "event.publish", "ce-source": "test"}
    await lab.connection.publish(subjects.of(PublishLabEvent.contract), body, headers)
    (letter,) = await letters(lab, 1)
    return letter.seq


async def stored(lab: Laboratory, stream: str, filter_: str) -> list[Raw]:
    """Read what a stream holds."""
    return [raw async for raw in lab.connection.read(stream, filter_)]


async def test_the_timeline_shows_facts_of_services_and_of_the_bench(
    laboratory: Laboratory,
) -> None:
    """What a service announces and what an instrument tells stand in one list, newest first."""
    await laboratory.start(EVENT)
    await laboratory.start(NOTIFICATION)
    sent = await laboratory.bus.ask(TELL, actor="ada", correlation="C-1")
    await listed(laboratory, 1)
    await note(laboratory, "freezer hums")

    page = await listed(laboratory, 2)

    bench, fact = page.items
    assert (bench.stream, bench.type, bench.source) == ("LAB", "person.note_taken", "bench")
    assert bench.data == {"text": "freezer hums"}
    assert (fact.stream, fact.type) == ("EVENTS", "notification.requested")
    assert fact.subject == str(sent.notification_id)
    assert (fact.actor, fact.correlation) == ("ada", "C-1")


async def test_the_timeline_is_narrowed_by_type_family_subject_correlation_and_time(
    laboratory: Laboratory,
) -> None:
    """Each filter shows what it names, and filters combine."""
    await laboratory.start(EVENT)
    await laboratory.start(NOTIFICATION)
    first = await laboratory.bus.ask(TELL, correlation="C-1")
    second = await laboratory.bus.ask(TELL, correlation="C-2")
    await note(laboratory, "last")
    await listed(laboratory, 3)

    assert (await listed(laboratory, 2, type="notification.")).items[0].correlation == "C-2"
    assert (await listed(laboratory, 2, type="notification.requested")).total == 2
    assert (await listed(laboratory, 0, type="notification")).items == []
    assert (await listed(laboratory, 1, type="person.")).items[0].stream == "LAB"
    assert (await listed(laboratory, 1, correlation="C-1")).items[0].correlation == "C-1"
    assert (await listed(laboratory, 1, subject=str(first.notification_id))).total == 1
    assert (await listed(laboratory, 0, correlation="C-2", type="person.")).items == []
    assert (await listed(laboratory, 2, since=second.created_at)).items[0].stream == "LAB"


async def test_pages_of_the_timeline_hold_everything_once_and_in_order(
    laboratory: Laboratory,
) -> None:
    """Merged from both streams, page by page, nothing is missing and nothing comes twice."""
    await laboratory.start(EVENT)
    await laboratory.start(NOTIFICATION)
    for number in range(12):
        await note(laboratory, str(number))
        await laboratory.bus.ask(TELL)
    whole = (await listed(laboratory, 24)).items

    pages = [
        await laboratory.bus.ask(ListEvents(page=number, page_size=5)) for number in range(1, 6)
    ]

    assert [entry for page in pages for entry in page.items] == whole
    assert len({(entry.stream, entry.seq) for entry in whole}) == 24
    assert [entry.time for entry in whole] == sorted((e.time for e in whole), reverse=True)


async def test_a_page_too_deep_is_refused_with_a_way_out(laboratory: Laboratory) -> None:
    """Every page is merged anew, so there is a bound, and filters come below it."""
    await laboratory.start(EVENT)
    page = DEPTH_MAX // 1_000 + 1

    with pytest.raises(Refused) as refused:
        await laboratory.bus.ask(ListEvents(page=page, page_size=1_000))

    refusal = refused.value.refusal
    assert isinstance(refusal, InvalidInput)
    assert (refusal.errors[0].field, refusal.errors[0].value) == ("page", str(page))
    assert "Narrow the list" in refusal.errors[0].remedy


async def test_the_timeline_survives_what_foreign_instruments_send(
    laboratory: Laboratory,
) -> None:
    """Neither what is no CloudEvent nor what no document can hold stops what comes after."""
    await laboratory.start(EVENT)
    subject = subjects.of(TemperatureRead.contract)
    attributes = {"ce-id": "odd", "ce-type": "acme.odd", "ce-source": "acme"}
    odd = {"$set": 2**80, "a.b": 1}
    await laboratory.connection.publish(subject, b"T=21.5")
    await laboratory.connection.publish(subject, json.dumps(odd).encode(), attributes)
    await note(laboratory, "after")

    page = await listed(laboratory, 2)

    assert page.items[0].data == {"text": "after"}
    assert page.items[1].data == odd


async def test_a_raw_fact_is_published_as_its_contract_says(laboratory: Laboratory) -> None:
    """It lies in the stream of the bench, under its site, with its source and who sent it."""
    await laboratory.start(EVENT)
    command = PublishLabEvent(
        type="sensor.temperature_read", data=READING, source="probe-7", site="cellar"
    )

    published = await laboratory.bus.ask(command, actor="ada")

    (raw,) = await stored(laboratory, subjects.LAB, subjects.every(Kind.LAB))
    envelope = parse(raw.headers, raw.body)
    assert raw.subject == subjects.of(TemperatureRead.contract, site="cellar")
    assert (published.stream, published.seq, published.id) == ("LAB", raw.seq, envelope.id)
    assert (envelope.source, envelope.actor) == ("probe-7", "ada")
    assert TemperatureRead.model_validate_json(envelope.data) == TemperatureRead(
        sensor="F-1", celsius=cast("Any", "-80.5")
    )


async def test_a_raw_fact_that_is_sent_again_is_one_fact(laboratory: Laboratory) -> None:
    """The command's id is the fact's id, so a repetition is recognised."""
    await laboratory.start(EVENT)
    command = PublishLabEvent(type="sensor.temperature_read", data=READING)
    command_id = str(new_id())

    first = await laboratory.bus.ask(command, message_id=command_id)
    again = await laboratory.bus.ask(command, message_id=command_id)

    assert first == again
    assert first.id == command_id
    assert len(await stored(laboratory, subjects.LAB, subjects.every(Kind.LAB))) == 1


async def test_a_raw_fact_that_does_not_fit_its_contract_is_refused(
    laboratory: Laboratory,
) -> None:
    """Each field at fault is named with its value and a remedy; a misspelt one is not lost."""
    await laboratory.start(EVENT)
    data = {"sensor": "F-1", "celsius": 900, "celcius": -80}

    with pytest.raises(Refused) as refused:
        await laboratory.bus.ask(PublishLabEvent(type="sensor.temperature_read", data=data))

    refusal = refused.value.refusal
    assert isinstance(refusal, InvalidInput)
    found = {error.field: error for error in refusal.errors}
    assert set(found) == {"data.celsius", "data.celcius"}
    assert found["data.celsius"].value == "900"
    assert found["data.celcius"].remedy == "Did you mean celsius? Otherwise leave it out."
    assert await stored(laboratory, subjects.LAB, subjects.every(Kind.LAB)) == []


async def test_an_unknown_raw_fact_is_refused_with_what_is_known(laboratory: Laboratory) -> None:
    """The refusal lists the types that there are."""
    await laboratory.start(EVENT)

    with pytest.raises(Refused) as refused:
        await laboratory.bus.ask(PublishLabEvent(type="sensor.humidity_read", data={}))

    assert isinstance(refused.value.refusal, UnknownLabEvent)
    assert "sensor.temperature_read" in refused.value.refusal.known


async def test_a_message_that_kills_its_handler_each_time_becomes_a_dead_letter(
    laboratory: Laboratory,
) -> None:
    """What the broker gave up is kept with the reason, and leaves the work queue."""
    await laboratory.start(EVENT)
    js, durable = laboratory.connection.js, subjects.commands_consumer("sample")
    await js.delete_consumer(subjects.COMMANDS, durable)
    impatient = ConsumerConfig(
        durable_name=durable,
        filter_subject=subjects.commands_of("sample"),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=0.1,
        max_deliver=2,
    )
    await js.add_consumer(subjects.COMMANDS, impatient)
    subject = subjects.commands_of("sample").replace(">", "register")
    headers = {"ce-id": "deadly", "ce-type": "sample.register", "ce-source": "test"}
    await laboratory.connection.publish(subject, b'{"deadly": true}', headers)

    # A process that takes the message and dies, twice: nothing ever ends the delivery. The broker
    # notices at the next request.
    dying = await js.pull_subscribe_bind(durable, subjects.COMMANDS)
    for _ in range(2):
        assert len(await dying.fetch(1, timeout=5)) == 1
    with pytest.raises(TimeoutError):
        await dying.fetch(1, timeout=1)
    await dying.unsubscribe()
    (letter,) = await letters(laboratory, 1)

    assert letter.reason == "delivered 2 times without an end"
    assert (letter.consumer, letter.deliveries) == (durable, 2)
    assert (letter.stream, letter.subject, letter.id) == ("COMMANDS", subject, "deadly")
    left = await eventually(
        lambda: stored(laboratory, subjects.COMMANDS, subject), lambda raws: not raws
    )
    assert left == []


def advisory(stream: str, seq: int) -> Delivery:
    """Make what the broker says when it gives up a message."""
    told = Exhausted(stream=stream, consumer="someone", stream_seq=seq, deliveries=1_000)
    body = told.model_dump_json().encode()
    envelope = Envelope(id="A-1", type="max_deliver", source="nats", time=SYSTEM.now(), data=body)
    return Delivery(
        envelope=envelope, headers={}, subject="", stream=subjects.ADVISORIES, seq=1, delivered=1
    )


async def test_what_is_no_work_queue_keeps_a_message_that_died(laboratory: Laboratory) -> None:
    """A fact stays a fact: it is copied to the dead letters, once, and not deleted."""
    await note(laboratory, "fatal to read")
    sweeper = Sweeper(laboratory.connection)

    await sweeper.on_advisory(advisory(subjects.LAB, 1))
    await sweeper.on_advisory(advisory(subjects.LAB, 1))

    assert len(await DeadLetters(laboratory.connection).list()) == 1
    assert len(await stored(laboratory, subjects.LAB, subjects.every(Kind.LAB))) == 1


async def test_an_advisory_without_a_message_here_buries_nothing(laboratory: Laboratory) -> None:
    """Neither a message that ended after all nor another project's stream leaves a letter."""
    sweeper = Sweeper(laboratory.connection)

    await sweeper.on_advisory(advisory(subjects.COMMANDS, 99))
    await sweeper.on_advisory(advisory("SOMEBODY_ELSES", 1))

    assert await DeadLetters(laboratory.connection).list() == []


async def test_a_dead_letter_is_listed_and_shown_with_its_reason(laboratory: Laboratory) -> None:
    """An operator sees what died, why, its headers and its body."""
    await laboratory.start(EVENT)
    seq = await buried(laboratory)

    shown = await laboratory.bus.ask(GetDeadLetter(seq=seq))

    assert shown.consumer == "event-commands"
    assert shown.reason.startswith("unreadable: ValidationError")
    assert shown.body == '{"no": "order"}'
    assert shown.headers["ce-type"] == shown.type == "event.publish"


async def test_dead_letters_are_listed_in_parts(laboratory: Laboratory) -> None:
    """Each part says where the next begins, and the last that there is none."""
    await laboratory.start(EVENT)
    for seq in range(1, 4):
        await DeadLetters(laboratory.connection).bury(
            consumer="test",
            stream="COMMANDS",
            subject="nowhere",
            seq=seq,
            deliveries=1,
            reason="a test",
            headers={},
            body=b"",
        )

    first = await laboratory.bus.ask(ListDeadLetters(limit=2))
    rest = await laboratory.bus.ask(ListDeadLetters(limit=2, after=cast("int", first.next_after)))

    assert [letter.original_seq for letter in (*first.items, *rest.items)] == [1, 2, 3]
    assert rest.next_after is None


async def test_a_dead_letter_is_sent_again_once_per_order(laboratory: Laboratory) -> None:
    """It lies where it lay, under a new id; the same order twice sends it once."""
    await laboratory.start(EVENT)
    body = PublishLabEvent(type="sensor.temperature_read", data=READING)
    headers = {"ce-id": "first-life", "ce-type": "event.publish", "ce-source": "test"}
    await DeadLetters(laboratory.connection).bury(
        consumer="event-commands",
        stream=subjects.COMMANDS,
        subject=subjects.of(PublishLabEvent.contract),
        seq=1,
        deliveries=4,
        reason="a test",
        headers=headers,
        body=body.model_dump_json().encode(),
    )
    (letter,) = await letters(laboratory, 1)
    order_id = str(new_id())

    replayed = await laboratory.bus.ask(ReplayDeadLetter(seq=letter.seq), message_id=order_id)
    again = await laboratory.bus.ask(ReplayDeadLetter(seq=letter.seq), message_id=order_id)

    assert replayed == again
    (fact,) = (await listed(laboratory, 1)).items
    assert fact.id == replayed.id != "first-life"
    assert (await laboratory.bus.ask(ListDeadLetters())).items == [letter]


async def test_a_dropped_letter_is_gone(laboratory: Laboratory) -> None:
    """It is neither listed nor shown any more, and cannot be sent or dropped again."""
    await laboratory.start(EVENT)
    seq = await buried(laboratory)

    assert (await laboratory.bus.ask(DropDeadLetter(seq=seq))).seq == seq

    assert await letters(laboratory, 0) == []
    for message in (GetDeadLetter, ReplayDeadLetter, DropDeadLetter):
        with pytest.raises(Refused) as refused:
            await laboratory.bus.ask(cast("Any", message)(seq=seq))
        assert refused.value.refusal == DeadLetterNotFound(seq=seq)


async def test_operators_and_instruments_are_served_over_http(laboratory: Laboratory) -> None:
    """Facts are posted, letters shown, sent and dropped, and events followed under /api/v1."""
    running = await laboratory.start(EVENT)
    seq = await buried(laboratory)
    async with httpx.AsyncClient(base_url=f"{running.http.url}/api/v1", timeout=30) as client:
        posted = await client.post(
            "/events", json={"type": "sensor.temperature_read", "data": READING}
        )
        shown = await client.get(f"/dead-letters/{seq}")
        replayed = await client.post(f"/dead-letters/{seq}/replay")
        dropped = await client.delete(f"/dead-letters/{seq}")
        gone = await client.get(f"/dead-letters/{seq}")
        async with client.stream("GET", "/events/stream?last_event_id=e0-l0") as stream:
            lines = [line async for line in _until_event(stream)]

    assert (posted.status_code, posted.json()["stream"]) == (201, "LAB")
    assert shown.json()["seq"] == seq
    assert (replayed.status_code, replayed.json()["stream"]) == (200, "COMMANDS")
    assert (dropped.status_code, gone.status_code) == (200, 404)
    assert gone.json()["code"] == "event.dead_letter_not_found"
    assert lines[-1] == "event: sensor.temperature_read"


async def _until_event(stream: httpx.Response) -> AsyncGenerator[str]:
    async for line in stream.aiter_lines():
        yield line
        if line.startswith("event:"):
            return


async def test_a_service_answers_its_own_messages_alone(laboratory: Laboratory) -> None:
    """What another service owns is not answered here: nobody listens."""
    await laboratory.start(EVENT)

    with pytest.raises(Refused, match="notification service"):
        await laboratory.bus.ask(ListNotifications())
