"""Circuit breakers from outside: a store that hangs, a mail server that is away, people's hands."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any

import httpx
import pytest

from contracts.event import ListEvents, TimelineEntry
from contracts.notification import DeliveryState, GetNotification, SendNotification, Template
from infra.breaker import BreakerRegistry, CircuitBreakerConfig, State
from infra.breaker.collector import FAMILIES
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.runtime import Blueprint
from infra.runtime.announcing import WAITING_MAX, Announcer
from infra.runtime.running import Running
from infra.store.guarded import ASKING
from services.edge import service as edge
from services.edge.settings import Settings as EdgeSettings
from services.event import service as event
from services.event.settings import Settings as EventSettings
from services.notification import service as notification
from services.notification.settings import Settings as NotificationSettings
from services.template import service as template
from services.template.settings import Settings as TemplateSettings
from tests.fixtures.laboratory import Laboratory, eventually, laboratory
from tests.fixtures.servers import Broker, DocumentStoreServer
from tests.fixtures.smtp import MailServer, mail_server

__all__ = ["laboratory", "mail_server"]

EVENT = Blueprint("event", event.build, EventSettings(http_port=0))
EDGE = Blueprint("edge", edge.build, EdgeSettings(http_port=0))
TEMPLATE = Blueprint("template", template.build, TemplateSettings(http_port=0))
EVENTS = "/api/v1/events"
NOTE = "person.note_taken"
MANY = 200
SLOW_SECONDS = 15.0
"""What a machine with other work may add to the time of a call."""


@asynccontextmanager
async def http_to(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of a service's own port."""
    limits = httpx.Limits(max_connections=2 * MANY)
    headers = {"X-Actor": "ada"}
    async with httpx.AsyncClient(
        base_url=running.http.url, limits=limits, headers=headers, timeout=60
    ) as client:
        yield client


@contextmanager
def hanging(server: DocumentStoreServer) -> Generator[None]:
    """Let a store take what is sent to it and answer nothing, while the block lasts."""
    pid = server.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def shown(client: httpx.AsyncClient, name: str = "store") -> dict[str, Any]:
    """Give what a service shows of one of its breakers."""
    document = (await client.get("/circuit-breaker/metrics")).json()
    found: dict[str, Any] = document["circuit_breakers"][name]
    return found


async def listed(client: httpx.AsyncClient) -> tuple[float, httpx.Response]:
    """Ask for the timeline; give how long the answer took."""
    began = SYSTEM.monotonic()
    answer = await client.get(EVENTS)
    return SYSTEM.monotonic() - began, answer


def refused_at_once(found: tuple[float, httpx.Response]) -> bool:
    """Say whether a breaker refused, rather than a time that was up; without a look at a clock."""
    return "circuit breaker store" in found[1].json()["detail"]


async def until_listed(client: httpx.AsyncClient) -> None:
    """Wait until lists are answered."""
    await eventually(lambda: listed(client), lambda found: found[1].status_code == HTTPStatus.OK)


async def changes(lab: Laboratory) -> list[TimelineEntry]:
    """Give what was told of breakers, oldest first."""
    page = await lab.bus.ask(ListEvents(type="breaker."))
    return page.items[::-1]


@pytest.fixture
async def own_store(
    laboratory: Laboratory, own_store_server: DocumentStoreServer
) -> AsyncGenerator[DocumentStoreServer]:
    """Give a store that only this test's services use."""
    laboratory.common = laboratory.common.model_copy(update={"mongo_url": own_store_server.url})
    yield own_store_server
    for name in list(laboratory.fleets):
        await laboratory.stop(name)


async def test_every_service_shows_its_breakers(laboratory: Laboratory) -> None:
    """On its own port: as JSON, and as metrics of which nobody else's are shown."""
    async with http_to(await laboratory.start(EVENT)) as client:
        document = (await client.get("/circuit-breaker/metrics")).json()
        metrics = (await client.get("/metrics")).text

    assert (document["service"], document["enabled"]) == ("event", True)
    assert list(document["circuit_breakers"]) == ["store", "store_writes"]
    assert document["circuit_breakers"]["store"]["state"] == "closed"
    assert document["circuit_breakers"]["store"]["config"]["max_concurrent_requests"] == 64
    for family in FAMILIES:
        lines = [one for one in metrics.splitlines() if one.startswith(f"{family.name}{{")]
        assert lines, family.name
        assert all('service="event"' in line for line in lines)


async def test_a_service_shows_only_what_it_leans_on(laboratory: Laboratory) -> None:
    """The edge and the template service have no store, and so no breaker before one."""
    for blueprint in (EDGE, TEMPLATE):
        async with http_to(await laboratory.start(blueprint)) as client:
            document = (await client.get("/circuit-breaker/metrics")).json()

        assert (document["service"], document["circuit_breakers"]) == (blueprint.name, {})


async def test_a_breaker_is_opened_by_hand_and_stays_so_until_it_is_reset(
    laboratory: Laboratory,
) -> None:
    """Lists are refused with the breaker's name and a time; who did it stands in the timeline."""
    async with http_to(await laboratory.start(EVENT)) as client:
        await until_listed(client)

        opened = await client.post("/circuit-breaker/force-open", params={"name": "store"})
        _, refused = await listed(client)
        await SYSTEM.sleep(2 * ASKING.recovery_timeout)
        _, still = await listed(client)
        reset = await client.post("/circuit-breaker/reset")
        await until_listed(client)

        assert opened.json() == {"service": "event", "forced_open": ["store"]}
        assert reset.json() == {"service": "event", "reset": ["store", "store_writes"]}
        for answer in (refused, still):
            assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            assert int(answer.headers["Retry-After"]) >= 1
            assert "circuit breaker store was opened by hand" in answer.json()["detail"]
    told = await eventually(lambda: changes(laboratory), lambda found: len(found) == 2)
    assert [(one.data["old"], one.data["new"]) for one in told] == [
        ("closed", "forced_open"),
        ("forced_open", "closed"),
    ]
    assert [(one.actor, one.subject) for one in told] == [("ada", "event/store")] * 2


async def test_a_store_that_hangs_sheds_load_and_is_asked_again_when_it_answers(
    laboratory: Laboratory, own_store: DocumentStoreServer
) -> None:
    """Some wait for their time, all others hear 503 at once, and so do all once it is open."""
    async with http_to(await laboratory.start(EVENT)) as client:
        await until_listed(client)
        with hanging(own_store):
            burst = await asyncio.gather(*(listed(client) for _ in range(MANY)))
            after = await asyncio.gather(*(listed(client) for _ in range(MANY)))
            opened = await shown(client)
            alive = await client.get("/health")
        await until_listed(client)
        await eventually(
            lambda: shown(client), lambda one: (one["state"], one["in_flight"]) == ("closed", 0)
        )

    answers = [answer for _, answer in (*burst, *after)]
    assert {answer.status_code for answer in answers} == {HTTPStatus.SERVICE_UNAVAILABLE}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    # Of a burst those wait for whom there is room; once it is open, one trial at a time.
    assert len(burst) - sum(map(refused_at_once, burst)) <= ASKING.max_concurrent_requests
    assert len(after) - sum(map(refused_at_once, after)) <= 1
    assert ASKING.request_timeout is not None
    assert max(seconds for seconds, _ in burst) < ASKING.request_timeout + SLOW_SECONDS
    assert opened["state"] in {"open", "half_open"}
    assert opened["rejected"]["full"] > 0
    assert alive.status_code == HTTPStatus.OK


async def test_nothing_is_lost_while_the_store_is_spared(
    laboratory: Laboratory, own_store: DocumentStoreServer
) -> None:
    """Facts of an outage are in the list afterwards: projectors wait for the breaker."""
    running = await laboratory.start(EVENT)
    async with http_to(running) as client:
        await until_listed(client)
        own_store.child.kill()
        await own_store.child.exited()
        await eventually(lambda: shown(client), lambda one: one["state"] == "open")
        note = {"type": NOTE, "data": {"text": "during the outage"}}
        published = await client.post(EVENTS, json=note)
        await own_store.child.start()

        async def notes() -> list[str]:
            answer = await client.get(EVENTS, params={"type": NOTE})
            return [one["id"] for one in answer.json().get("items", [])]

        found = await eventually(notes, bool)

    assert published.status_code == HTTPStatus.CREATED
    assert found == [published.json()["id"]]


async def test_readiness_keeps_no_breaker_from_recovering(
    laboratory: Laboratory, own_store: DocumentStoreServer
) -> None:
    """It asks past the breakers, as often as somebody likes, and takes none of their trials."""
    running = await laboratory.start(EVENT)
    breaker = running.service.platform.breakers.get("store")
    async with http_to(running) as client:
        await until_listed(client)
        with hanging(own_store):
            breaker.force_open()
            for _ in range(3):
                await asyncio.gather(*(client.get("/health/ready") for _ in range(30)))
            seen = await shown(client)
        breaker.reset()
        await until_listed(client)
        ready = await eventually(lambda: client.get("/health/ready"), lambda one: one.is_success)

    assert (seen["state"], seen["failed"], seen["in_flight"]) == ("forced_open", 0, 0)
    assert ready.json()["checks"]["store"]["status"] == "ok"


async def test_new_numbers_reach_calls_that_are_under_way(
    laboratory: Laboratory, own_store: DocumentStoreServer
) -> None:
    """Who waits for a store that hangs is let go when the time of a call is shortened."""
    running = await laboratory.start(EVENT)
    breakers = running.service.platform.breakers
    patient = ASKING.model_copy(update={"request_timeout": 60.0})
    async with http_to(running) as client:
        await until_listed(client)
        breakers.configure({"store": patient})
        with hanging(own_store):
            waiting = asyncio.create_task(listed(client))
            await eventually(lambda: shown(client), lambda one: one["in_flight"] >= 2)
            assert not waiting.done()
            breakers.configure({"store": patient.model_copy(update={"request_timeout": 0.2})})
            seconds, answer = await waiting
        breakers.switch(enabled=False)
        await eventually(lambda: listed(client), lambda found: found[1].is_success)
        off = (await client.get("/circuit-breaker/metrics")).json()

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert seconds < 10.0
    assert (off["enabled"], off["circuit_breakers"]["store"]["enabled"]) == (False, False)


async def test_a_mail_server_that_is_away_is_spared_and_its_emails_wait(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """Its breaker opens after five, what waits costs no attempt, and all arrive in the end."""
    await mail_server.stop()
    settings = NotificationSettings(
        http_port=0,
        smtp_host="127.0.0.1",
        smtp_port=mail_server.port,
        smtp_starttls=False,
        attempts_max=3,
        retry_first_seconds=0.01,
        retry_max_seconds=1.0,
    )
    running = await laboratory.start(Blueprint("notification", notification.build, settings))
    breaker = running.service.platform.breakers.get("smtp")
    people = [f"p{number}@lab.test" for number in range(30)]
    order = SendNotification(
        template=Template.SUBMISSION_STORED,
        values={"submission_id": "S", "accepted": "1", "file": "m.csv"},
        emails=people,
    )
    sent = await laboratory.bus.ask(order)

    async def states() -> Counter[DeliveryState]:
        view = await laboratory.bus.ask(GetNotification(notification_id=sent.notification_id))
        return Counter(one.state for one in view.deliveries if one.recipient in people)

    async with http_to(running) as client:
        await eventually(lambda: shown(client, "smtp"), lambda one: one["state"] == "open")
        seen = await shown(client, "smtp")
        waiting = await states()
        await mail_server.start()
        arrived = await eventually(
            states, lambda found: found[DeliveryState.DELIVERED] == len(people)
        )

    assert seen["failed"] < len(people)
    assert waiting[DeliveryState.PENDING] == len(people)
    assert arrived == {DeliveryState.DELIVERED: len(people)}
    assert len(mail_server.mails) == len(people)
    assert breaker.breaker_state is State.CLOSED


async def test_changes_wait_for_the_broker_and_the_oldest_are_forgotten(
    broker: Broker, laboratory: Laboratory
) -> None:
    """No call waits for it: what cannot be told in time is counted, the rest is told in order.

    An outage is told once, whatever trials fail meanwhile.
    """
    connection = await Connection.connect(broker.url, "sample")
    breakers = BreakerRegistry("sample")
    breaker = breakers.get("search", CircuitBreakerConfig())
    announcer = Announcer(connection, breakers, instance="here", clock=SYSTEM, ids=new_id)
    telling = asyncio.create_task(announcer.run())
    await broker.child.stop()
    for _ in range(WAITING_MAX):
        breaker.force_open(by="ada")
        breaker.reset(by="ada")

    assert breakers.untold == WAITING_MAX
    await broker.child.start()
    await laboratory.start(EVENT)

    async def total() -> int:
        return (await laboratory.bus.ask(ListEvents(subject="sample/search"))).total

    await eventually(total, lambda count: count == WAITING_MAX)
    last = (await laboratory.bus.ask(ListEvents(subject="sample/search"))).items[0]
    assert last.data == {
        "service": "sample",
        "instance": "here",
        "breaker": "search",
        "old": "forced_open",
        "new": "closed",
    }
    breaker.open()
    for _ in range(3):
        breaker.half_open()
        breaker.open()
    breaker.half_open()
    breaker.reset()
    await eventually(total, lambda count: count == WAITING_MAX + 3)
    newest = (await laboratory.bus.ask(ListEvents(subject="sample/search"))).items[:3]
    assert [one.data["new"] for one in newest] == ["closed", "half_open", "open"]
    telling.cancel()
    await asyncio.wait({telling})
    await connection.close()
