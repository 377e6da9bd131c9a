"""The broker away, the document store away, every read model dropped: what goes on, what waits."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import httpx
import pymongo
import pytest
import pytest_asyncio

from contracts.notification import GetNotification, ListNotifications
from contracts.sample import GetSample, SampleStatus, SampleView
from contracts.storage import GetContainer, GetGrid, PositionState
from contracts.transaction import (
    GetTransaction,
    SubmissionView,
    TransactionStatus,
    TransactionView,
)
from contracts.types import NotificationId, SampleId, Zone
from infra.clock import SYSTEM
from tests.fixtures.cli import run_cli
from tests.fixtures.ledger import Ledger, read_ledger
from tests.fixtures.manifests import manifest
from tests.fixtures.system import NATS, STORE, Whole, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("outages")]

BROKER_AWAY_SECONDS = 10.0
STORE_AWAY_SECONDS = 20.0
ANSWER_SECONDS_MAX = 60.0
"""Ten that a request may wait by itself, and what answering takes."""
GREEN_SECONDS_MAX = 90.0
READS_MIN = 10
"""A rebuild takes about a second: fewer reads meanwhile would prove nothing."""
SETTLED_SECONDS_MAX = 90.0
TRANSACTIONS = "/api/v1/transactions"
EVENTS = "/api/v1/events"
LOGGED = {
    "/api/v1/samples": "sample",
    "/api/v1/storage/locations": "storage",
    "/api/v1/storage/containers": "storage",
    "/api/v1/notifications": "notification",
}
"""Lists that can be asked to show a sequence -> the service whose log has it."""
LISTS = (*LOGGED, TRANSACTIONS, EVENTS)
TABLE = {"barcode": "", "name": "One", "sample_type": "DNA", "zone": "-20C"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Whole]:
    """Give a system; every test has its own barcodes."""
    async with whole_system(tmp_path_factory.mktemp("outages")) as whole:
        yield whole


@dataclass(frozen=True)
class Answered:
    """A request and how it was answered."""

    what: str
    seconds: float
    answer: httpx.Response

    def expect_done_or_told_to_come_again(self) -> None:
        """Check that it was done, or refused in a way that a client can act on."""
        assert self.seconds <= ANSWER_SECONDS_MAX, self
        if self.answer.is_success:
            return
        assert self.answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, self.answer.text
        assert self.answer.headers["content-type"] == "application/problem+json"
        assert int(self.answer.headers["Retry-After"]) >= 1
        assert self.answer.json()["code"] == "service.unavailable"


async def timed(what: str, request: Any) -> Answered:  # noqa: ANN401 - any awaitable request
    """Await a request and measure it."""
    started = SYSTEM.monotonic()
    answer: httpx.Response = await request
    return Answered(what, SYSTEM.monotonic() - started, answer)


async def until_status(whole: Whole, status: int, services: Sequence[str]) -> None:
    """Wait until every named service says so of its readiness."""
    async with asyncio.timeout(GREEN_SECONDS_MAX):
        while {await whole.readiness(name) for name in services} != {status}:
            await SYSTEM.sleep(0.1)


async def register(whole: Whole, barcode: str) -> httpx.Response:
    """Register one sample by hand."""
    return await whole.http.post("/api/v1/samples", json={"details": TABLE | {"barcode": barcode}})


async def test_without_the_broker_requests_wait_or_are_told_to_come_again(whole: Whole) -> None:
    """Ten seconds away: nothing hangs, readiness turns red and green, what was taken is done."""
    known = (await register(whole, "KNOWN-1")).json()["sample_id"]
    asked: list[asyncio.Task[Answered]] = []
    names = list(whole.info.services)

    def ask(what: str, request: Any) -> None:  # noqa: ANN401 - any awaitable request
        asked.append(asyncio.create_task(timed(what, request)))

    async with whole.without(NATS):
        gone_at = SYSTEM.monotonic()
        await until_status(whole, httpx.codes.SERVICE_UNAVAILABLE, names)
        number = 0
        while SYSTEM.monotonic() - gone_at < BROKER_AWAY_SECONDS:
            number += 1
            ask("register", register(whole, f"AWAY-{number}"))
            ask("submit", whole.submit(f"AWAY-M{number}", manifest(f"AWAY-M{number}", 2)))
            ask("get", whole.http.get(f"/api/v1/samples/{known}"))
            ask("list", whole.http.get("/api/v1/samples"))
            await SYSTEM.sleep(1.0)
    await until_status(whole, httpx.codes.OK, names)
    answers = await asyncio.gather(*asked)

    for answered in answers:
        answered.expect_done_or_told_to_come_again()
    registered = [a for a in answers if a.what == "register" and a.answer.status_code == 201]
    assert registered, "no command waited for the broker"
    for answered in registered:
        shown = await whole.http.get(answered.answer.headers["Location"])
        assert shown.status_code == httpx.codes.OK
    for answered in answers:
        if answered.what == "submit" and answered.answer.is_success:
            taken = SubmissionView.model_validate_json(answered.answer.content)
            view = await whole.ended(taken.transaction_id)
            assert view.status is TransactionStatus.COMPLETED


async def test_without_the_document_store_everything_but_lists_goes_on(whole: Whole) -> None:
    """Manifests are stored and read by id, lists answer 503; afterwards lists show it all."""
    async with whole.without(STORE):
        gone_at = SYSTEM.monotonic()
        number = 0
        while SYSTEM.monotonic() - gone_at < STORE_AWAY_SECONDS:
            number += 1
            view = await whole.take(f"DARK-{number}", manifest(f"DARK-{number}", 2))
            assert view.status is TransactionStatus.COMPLETED
            sample = await whole.http.get(f"/api/v1/samples/barcode/DARK-{number}-0001")
            assert sample.status_code == httpx.codes.OK
            lists = await asyncio.gather(*(timed(path, whole.http.get(path)) for path in LISTS))
            for answered in lists:
                assert answered.answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answered
                answered.expect_done_or_told_to_come_again()
            assert await whole.readiness("sample") == httpx.codes.SERVICE_UNAVAILABLE
            assert await whole.readiness("template") == httpx.codes.OK
    await until_status(whole, httpx.codes.OK, list(whole.info.services))

    head = await whole.head("sample")
    listed = await whole.http.get("/api/v1/samples", params={"min_seq": head, "page_size": 1_000})
    barcodes = {sample["details"]["barcode"] for sample in listed.json()["items"]}
    assert {f"DARK-{n}-{row:04}" for n in range(1, number + 1) for row in (1, 2)} <= barcodes


async def test_read_models_come_back_as_they_were(whole: Whole) -> None:
    """Every database is dropped while the system serves; a rebuild makes every list what it was."""
    views = [await whole.take(f"DROP-{n}", manifest(f"DROP-{n}", 3)) for n in range(3)]
    before = await settled_lists(whole)
    sample = before["/api/v1/samples"]["items"][0]["sample_id"]
    stop = asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        by_id = tasks.create_task(keep_reading(whole, [f"/api/v1/samples/{sample}"], stop))
        lists = tasks.create_task(keep_reading(whole, LISTS, stop))
        await asyncio.to_thread(drop_databases, whole)
        rebuilt = await run_cli("rebuild", "--data", str(whole.info.data), "--json")
        stop.set()

    assert (rebuilt.code, rebuilt.document["failed"]) == (0, [])
    after = await settled_lists(whole)
    assert before == after
    assert {item["transaction_id"] for item in after[TRANSACTIONS]["items"]} >= {
        str(view.transaction_id) for view in views
    }
    assert set(by_id.result()) == {httpx.codes.OK}
    assert set(lists.result()) <= {httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE}
    assert min(len(by_id.result()), len(lists.result())) >= READS_MIN


async def settled_lists(whole: Whole) -> dict[str, Any]:
    """Read every list, whole, once nothing is left to be done and each shows all that was."""
    async with asyncio.timeout(SETTLED_SECONDS_MAX):
        while True:
            ledger = await read_ledger(whole.bus.connection)
            heads = {path: await whole.head(service) for path, service in LOGGED.items()}
            lists = [await read_whole(whole, path, heads.get(path, 0)) for path in LISTS]
            found = dict(zip(LISTS, lists, strict=True))
            done = not ledger.unended and ledger.announced >= +ledger.public
            if done and None not in lists and shows(found, ledger):
                return found
            await SYSTEM.sleep(0.2)


async def read_whole(whole: Whole, path: str, min_seq: int) -> Any:  # noqa: ANN401 - JSON
    """Read a list that shows a sequence; None where it does not answer so yet."""
    params = {"page_size": 1_000} | ({"min_seq": min_seq} if min_seq else {})
    answer = await whole.http.get(path, params=params)
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return None
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


def shows(lists: dict[str, Any], ledger: Ledger) -> bool:
    """Say whether the lists that follow what is announced show all of it."""
    sagas = {item["transaction_id"]: item["status"] for item in lists[TRANSACTIONS]["items"]}
    ended = {str(saga.saga_id): saga.status for saga in ledger.sagas.values()}
    return sagas == ended and lists[EVENTS]["total"] == ledger.announced.total()


async def keep_reading(whole: Whole, paths: Sequence[str], stop: asyncio.Event) -> list[int]:
    """Read these one after the other until told to stop, and give the statuses."""
    statuses: list[int] = []
    while not stop.is_set():
        for path in paths:
            statuses.append((await whole.http.get(path)).status_code)
            await SYSTEM.sleep(0.01)
    return statuses


def drop_databases(whole: Whole) -> None:
    """Drop every database of the document store."""
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(whole.info.mongo_url)
    with client:
        names = [name for name in client.list_database_names() if name.startswith("tracseq_")]
        assert len(names) >= 5
        for name in names:
            client.drop_database(name)


async def test_everything_can_be_seen_as_it_was(whole: Whole) -> None:
    """Sample, box, transaction and notification, before and after, over HTTP and from the logs."""
    box = whole.boxes[Zone.REFRIGERATED]
    empty_at = SYSTEM.now()
    view = await whole.take("WAS.csv", manifest("WAS", 2, zone="4"))
    sample = await by_barcode(whole, "WAS-0001")
    stored_at = SYSTEM.now()
    change = {"status": "failed", "reason": "the tube is cracked"}
    changed = await whole.http.post(f"/api/v1/samples/{sample.sample_id}/status", json=change)
    assert changed.status_code == httpx.codes.OK, changed.text

    await expect_sample(whole, sample.sample_id, stored_at, SampleStatus.IN_STORAGE)
    await expect_sample(whole, sample.sample_id, SYSTEM.now(), SampleStatus.FAILED)
    await expect_not_there(whole, f"/api/v1/samples/{sample.sample_id}", empty_at)
    grids = [
        await whole.edge.ask(GetGrid(container_id=box.container_id, at=at))
        for at in (empty_at, stored_at)
    ]
    held = [sum(p.state is PositionState.OCCUPIED for p in grid.positions) for grid in grids]
    assert held == [0, 2]
    was = await whole.edge.ask(GetContainer(container_id=box.container_id, at=empty_at))
    assert (was.used, was.name) == (0, box.name)
    await expect_transaction(whole, view)
    await expect_notification(whole, view, empty_at)
    await expect_history(whole, sample.sample_id)


async def by_barcode(whole: Whole, barcode: str) -> SampleView:
    """Read a sample by its barcode."""
    answer = await whole.http.get(f"/api/v1/samples/barcode/{barcode}")
    return SampleView.model_validate_json(answer.content)


async def expect_sample(
    whole: Whole, sample_id: SampleId, at: datetime, status: SampleStatus
) -> None:
    """Check what a sample was at a time."""
    was = await whole.edge.ask(GetSample(sample_id=sample_id, at=at))
    assert was.status is status


async def expect_not_there(whole: Whole, path: str, at: datetime) -> None:
    """Check that a thing was not there yet at a time."""
    answer = await whole.http.get(path, params={"at": at.isoformat()})
    assert answer.status_code == httpx.codes.NOT_FOUND


async def expect_transaction(whole: Whole, view: TransactionView) -> None:
    """Check that a transaction can be seen at its start, and in every transition."""
    path = f"/api/v1/transactions/{view.transaction_id}"
    query = GetTransaction(transaction_id=view.transaction_id, at=view.started_at)
    was = await whole.edge.ask(query)
    assert (was.status, was.transitions) == (TransactionStatus.RUNNING, 1)
    history = (await whole.http.get(f"{path}/history")).json()
    assert len(history["transitions"]) == view.transitions
    assert history["transitions"][-1]["status"] == TransactionStatus.COMPLETED


async def expect_notification(whole: Whole, view: TransactionView, empty_at: datetime) -> None:
    """Check that a notification can be seen as it was told, and not before."""
    head = await whole.head("notification")
    page = await whole.edge.ask(ListNotifications(page_size=1_000, min_seq=head))
    (told,) = [one for one in page.items if str(view.transaction_id) in one.message]
    now = SYSTEM.now()
    was = await whole.edge.ask(GetNotification(notification_id=told.notification_id, at=now))
    assert was == told
    path = f"/api/v1/notifications/{NotificationId(told.notification_id)}"
    await expect_not_there(whole, path, empty_at)


async def expect_history(whole: Whole, sample_id: SampleId) -> None:
    """Check that the command line tells the same story, entry by entry, from the log."""
    ended = await run_cli(
        "history", "sample", str(sample_id), "--data", str(whole.info.data), "--json"
    )
    assert ended.code == 0, ended.err
    entries = json.loads(ended.out)
    assert [entry["number"] for entry in entries] == [1, 2, 3]
    assert [event["type"] for entry in entries for event in entry["events"]] == [
        "sample.registered",
        "sample.status_changed",
        "sample.status_changed",
    ]
