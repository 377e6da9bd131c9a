"""The edge's client against a real server: what it asks arrives, what comes back is typed."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from contracts import subjects
from contracts.config import BulkConfig, DeleteConfig, SetConfig
from contracts.config_types import Environment
from contracts.config_views import ConfigEdited
from contracts.envelope import Envelope
from contracts.errors import Refused
from contracts.message import Command, Query
from contracts.sample import (
    ChangeSampleStatus,
    GetSample,
    ListSamples,
    SampleDetails,
    SampleNotFound,
    SampleStatus,
    SampleView,
)
from contracts.transaction import SubmissionView, SubmitManifest
from contracts.types import FileRef, Page, SampleId, SampleType, TransactionId, Zone
from infra.bus.bus import Pending
from infra.http.app import App
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.body import UNSTORED
from infra.http.client import (
    EdgeClient,
    EdgePendingError,
    EdgeRefusedError,
    EdgeUnreachableError,
    LiveEvent,
)
from infra.http.server import HttpServer
from infra.http.sse import Cursor, stream_route
from infra.supervisor import free_port
from tests.unit.http.conftest import Asker, Keeper

SAMPLE = SampleId(UUID("0198c0de-0000-7000-8000-000000000001"))
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
VIEW = SampleView(
    sample_id=SAMPLE,
    status=SampleStatus.PENDING,
    details=SampleDetails(
        barcode="LAB-1", name="One", sample_type=SampleType.BLOOD, zone=Zone.ULTRA_LOW
    ),
    submission_id=None,
    registered_at=NOON,
    registered_by="ada",
    changed_at=NOON,
    seq=3,
)
EDITED = ConfigEdited(
    service_name="sample-service",
    environment=Environment.STAGING,
    version=7,
    affected=[],
    warnings=[],
)


class Happened:
    """Two things that happened."""

    async def now(self) -> Cursor:
        """Give the beginning."""
        return Cursor(0, 0)

    async def after(self, cursor: Cursor) -> AsyncGenerator["Happening"]:
        """Give them, then nothing more."""
        for seq in range(cursor.events + 1, 3):
            yield Happening(seq)


class Happening:
    """One thing that happened."""

    stream = subjects.EVENTS

    def __init__(self, seq: int) -> None:
        """Number it."""
        self.seq = seq
        self.envelope = Envelope(
            id=str(seq),
            type="sample.registered",
            source="test",
            time=NOON,
            data=b'{"n":"\xc3\xa4"}',
        )


@pytest.fixture
async def server(asker: Asker, keeper: Keeper) -> AsyncGenerator[HttpServer]:
    """Give a server on a free port that answers from `asker`."""
    asking = Asking(ask=asker, files=keeper)
    contracts = (
        GetSample,
        ListSamples,
        ChangeSampleStatus,
        SubmitManifest,
        SetConfig,
        BulkConfig,
        DeleteConfig,
    )
    app = App("test", [*routes(contracts, asking), stream_route(Happened())])
    running = HttpServer(app, host="127.0.0.1", port=0, on_stop=app.stop)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def edge(server: HttpServer) -> AsyncGenerator[EdgeClient]:
    """Give a client of that server."""
    async with EdgeClient(server.url, actor="ada") as client:
        yield client


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (GetSample(sample_id=SAMPLE), VIEW),
        (GetSample(sample_id=SAMPLE, at=NOON), VIEW),
        (
            ListSamples(status=SampleStatus.PENDING, page_size=2),
            Page[SampleView](items=[VIEW], total=1, page=1, page_size=2),
        ),
        (
            ChangeSampleStatus(sample_id=SAMPLE, status=SampleStatus.PENDING, reason="looked at"),
            VIEW,
        ),
        (SetConfig(service="sample-service", name="limits.rows", value=None), EDITED),
        (
            BulkConfig(
                service="sample-service",
                environment=Environment.STAGING,
                values={"mode": [1, {"deep": None}]},
                mode="replace",
                expected_version=0,
                dry_run=True,
            ),
            EDITED,
        ),
        (
            DeleteConfig(service="sample-service", name="a", reason="no longer read"),
            EDITED.model_copy(update={"change_request": SAMPLE}),
        ),
    ],
    ids=["path", "query", "list", "body", "root", "whole body", "waits for consent"],
)
async def test_what_is_asked_arrives_and_the_answer_comes_back(
    edge: EdgeClient, asker: Asker, message: Query[Any] | Command[Any], answer: object
) -> None:
    """Path, query and body together carry every field, and who asked."""
    asker.answers[message.contract.type] = answer

    assert await edge.ask(message) == answer
    (asked,) = asker.asked
    assert (asked.message, asked.actor) == (message, "ada")


async def test_a_file_travels_beside_its_fields(
    edge: EdgeClient, asker: Asker, keeper: Keeper
) -> None:
    """Its content arrives, under its name; lists and flags too."""
    taken = SubmissionView(transaction_id=TransactionId(SAMPLE), repeated=False)
    asker.answers["transaction.submit_manifest"] = taken
    unsent = FileRef(sha256=UNSTORED, size_bytes=3, name="m.csv")
    manifest = SubmitManifest(file=unsent, partial=True, emails=["a@b.c", "d@e.f"])

    assert await edge.ask(manifest, files={"file": ("m.csv", b"a;b")}) == taken

    (asked,) = asker.asked
    arrived = asked.message
    assert isinstance(arrived, SubmitManifest)
    assert (arrived.partial, arrived.emails) == (True, ["a@b.c", "d@e.f"])
    assert arrived.file.name == "m.csv"
    assert keeper.kept[arrived.file.sha256] == b"a;b"


async def test_a_refusal_comes_back_as_its_problem(edge: EdgeClient, asker: Asker) -> None:
    """Code, status and sentence are the refusal's own."""
    asker.answers["sample.get"] = Refused(SampleNotFound(key=str(SAMPLE)))

    with pytest.raises(EdgeRefusedError) as caught:
        await edge.ask(GetSample(sample_id=SAMPLE))

    assert (caught.value.problem.code, caught.value.problem.status) == ("sample.not_found", 404)
    assert str(SAMPLE) in caught.value.problem.detail


async def test_a_command_that_takes_longer_says_where_its_outcome_will_be(
    edge: EdgeClient, asker: Asker
) -> None:
    """Pending is no failure and no answer."""
    asker.answers["sample.change_status"] = Pending(str(SAMPLE))
    change = ChangeSampleStatus(sample_id=SAMPLE, status=SampleStatus.PENDING, reason="looked at")

    with pytest.raises(EdgePendingError) as caught:
        await edge.ask(change)

    assert caught.value.location == f"/api/v1/operations/{SAMPLE}"


async def test_nobody_there_is_said_with_the_address() -> None:
    """The error names where nobody answered."""
    url = f"http://127.0.0.1:{free_port()}"

    async with EdgeClient(url) as edge:
        with pytest.raises(EdgeUnreachableError, match=url):
            await edge.ask(GetSample(sample_id=SAMPLE))


async def test_an_edge_that_is_away_is_not_asked_by_every_question_anew() -> None:
    """After a few failures a question is answered at once, for a moment."""
    async with EdgeClient(f"http://127.0.0.1:{free_port()}") as edge:
        for _ in range(5):
            with pytest.raises(EdgeUnreachableError, match="does not answer"):
                await edge.get_json("/health")
        with pytest.raises(EdgeUnreachableError, match="circuit breaker 'edge' is open"):
            await edge.get_json("/health")


async def test_a_page_that_is_no_problem_is_told_as_one() -> None:
    """What a proxy answers in place of the edge has a status and no more."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        async with EdgeClient(f"http://127.0.0.1:{port}") as edge:
            with pytest.raises(EdgeRefusedError) as caught:
                await edge.get_json("/health/ready")

    assert caught.value.problem.status == 502


@pytest.mark.parametrize(("after", "seqs"), [(None, [1, 2]), ("e1-l0", [2])])
async def test_a_live_stream_is_followed_and_resumed(
    edge: EdgeClient, after: str | None, seqs: list[int]
) -> None:
    """Events come in order, whole, and from where one stopped."""
    seen: list[LiveEvent] = []

    async with edge.live("/api/v1/events/stream", params={}, after=after) as stream:
        async for event in stream:
            seen.append(event)
            if len(seen) == len(seqs):
                break

    assert [orjson.loads(event.data)["seq"] for event in seen] == seqs
    assert {event.name for event in seen} == {"sample.registered"}
    assert orjson.loads(seen[-1].data)["data"] == {"n": "ä"}
    assert stream.position == seen[-1].id == "e2-l0"


async def test_a_stream_that_is_refused_says_why(edge: EdgeClient) -> None:
    """A position that is none is a problem, not an empty stream."""
    with pytest.raises(EdgeRefusedError) as caught:
        async with edge.live("/api/v1/events/stream", params={}, after="yesterday"):
            pass

    assert caught.value.problem.code == "request.invalid"
