"""Live streams: events with a cursor, resumed exactly, filtered, ended with a reason."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from starlette.types import ASGIApp

from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import Refused, Retryable
from infra.http.app import App
from infra.http.sse import Cursor, EventStream, encode, stream_route
from tests.unit.http.conftest import Connect

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Happened:
    """One thing that happened."""

    stream: str
    seq: int
    envelope: Envelope


def _event(seq: int, kind: str = "sample.registered", correlation: str = "c") -> Happened:
    envelope = Envelope(
        id=str(seq),
        type=kind,
        source="tracseq/sample",
        time=NOW,
        data=b'{\n"n":1}',
        correlation=correlation,
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    return Happened(subjects.EVENTS, seq, envelope)


def _reading(seq: int) -> Happened:
    return Happened(subjects.LAB, seq, _event(seq, "sensor.temperature_read").envelope)


@dataclass
class Feed:
    """What happened so far; more can be added, and the end may be an error."""

    happened: list[Happened] = field(default_factory=list[Happened])
    end: Exception | None = None
    open: int = 0

    async def now(self) -> Cursor:
        """Give the newest position."""
        return Cursor(*(self._newest(stream) for stream in (subjects.EVENTS, subjects.LAB)))

    def _newest(self, stream: str) -> int:
        return max((h.seq for h in self.happened if h.stream == stream), default=0)

    async def after(self, cursor: Cursor) -> AsyncGenerator[Happened]:
        """Give what happened after a position, then wait for ever or fail."""
        self.open += 1
        try:
            for happened in self.happened:
                seen = cursor.events if happened.stream == subjects.EVENTS else cursor.lab
                if happened.seq > seen:
                    yield happened
            if self.end is not None:
                raise self.end
            await asyncio.Event().wait()
        finally:
            self.open -= 1


class Client:
    """The ASGI side of one request for the stream, reading as fast or slowly as a test wants."""

    def __init__(self, app: ASGIApp, query: str = "", last_event_id: str | None = None) -> None:
        self.status = 0
        self.gone = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self._text = ""
        self._more = asyncio.Event()
        headers = [(b"host", b"localhost")]
        if last_event_id is not None:
            headers.append((b"last-event-id", last_event_id.encode()))
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/v1/events/stream",
            "query_string": query.encode(),
            "headers": headers,
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> MutableMapping[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        await self.reading.wait()
        self.status = message.get("status", self.status)
        self._text += message.get("body", b"").decode()
        self._more.set()

    async def until(self, text: str) -> str:
        """Read until a text has come, and give everything that came."""
        async with asyncio.timeout(60):
            while text not in self._text:
                await self._more.wait()
                self._more.clear()
        return self._text

    async def leave(self) -> str:
        """Go away, and give everything that came."""
        self.gone.set()
        await self.task
        return self._text


def _ids(text: str) -> list[str]:
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


async def test_a_stream_begins_now_and_says_where_that_is() -> None:
    """Without a cursor nothing old is sent; the client knows where to come back to."""
    client = Client(App("test", [stream_route(Feed([_event(5), _reading(3)]))]))
    text = await client.until("id: e5-l3\n\n")
    await client.leave()
    assert text == "retry: 1000\nid: e5-l3\n\n"


async def test_a_client_that_comes_back_misses_nothing_and_sees_nothing_twice() -> None:
    """Both streams go on behind the cursor, and the cursor goes along."""
    feed = Feed([_event(5), _reading(3), _event(6), _reading(4), _event(7)])
    client = Client(App("test", [stream_route(feed)]), last_event_id="e5-l3")
    await client.until("id: e7-l4")
    assert _ids(await client.leave()) == ["e5-l3", "e6-l3", "e6-l4", "e7-l4"]
    assert feed.open == 0


async def test_the_cursor_may_stand_in_the_query() -> None:
    """A browser that cannot set headers resumes as well."""
    feed = Feed([_event(5), _event(6)])
    client = Client(App("test", [stream_route(feed)]), query="last_event_id=e5-l0")
    await client.until("id: e6-l0")
    await client.leave()


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("type=sample.", [1, 2]),
        ("type=sample.stored", [2]),
        ("type=sample", []),
        ("correlation=d", [2, 3]),
        ("type=sample.&correlation=d", [2]),
    ],
)
async def test_only_what_is_asked_for_is_sent(query: str, seqs: list[int]) -> None:
    """A type is exact, or a beginning where it ends with a dot; a correlation is exact."""
    feed = Feed([_event(1), _event(2, "sample.stored", "d"), _event(3, "lab.ended", "d")])
    feed.end = Retryable("the end of this test's feed")
    client = Client(App("test", [stream_route(feed)]), query, "e0-l0")
    text = await client.until("event: closed")
    sent = [orjson.loads(line[6:]) for line in text.splitlines() if '"seq"' in line]
    assert [event["seq"] for event in sent] == seqs


def test_an_event_has_the_members_of_a_timeline_entry() -> None:
    """Everything stands in one data line, also where the publisher wrote several."""
    name, kind, data, *end = encode(_event(5), Cursor(5, 3)).decode().split("\n")
    assert (name, kind, end) == ("id: e5-l3", "event: sample.registered", ["", ""])
    assert orjson.loads(data.removeprefix("data: ")) == {
        "stream": "EVENTS",
        "seq": 5,
        "id": "5",
        "type": "sample.registered",
        "time": "2026-01-31T12:00:00Z",
        "source": "tracseq/sample",
        "subject": None,
        "actor": "system",
        "correlation": "c",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "data": {"n": 1},
    }


@pytest.mark.parametrize("given", ["5", "e5", "e-l", "e1-l2-x", "e" + "9" * 30 + "-l1"])
async def test_what_is_no_cursor_is_refused(connect: Connect, given: str) -> None:
    """A position that nobody gave out is not guessed at."""
    with pytest.raises(Refused):
        Cursor.parse(given)
    async with connect([stream_route(Feed())]) as client:
        headers = {"Last-Event-ID": given}
        response = await client.get("/api/v1/events/stream", headers=headers)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Last-Event-ID"


async def test_a_service_that_stops_says_so() -> None:
    """The stream ends at once with its reason, and the feed is closed."""
    feed = Feed()
    app = App("test", [stream_route(feed)])
    client = Client(app)
    await client.until("id: ")
    app.stop()
    text = await client.until("event: closed")
    await client.task
    assert text.endswith('event: closed\ndata: {"reason":"shutdown"}\n\n')
    assert feed.open == 0


@pytest.mark.parametrize(
    ("error", "reason"), [(Retryable("NATS is away"), "unavailable"), (OSError("x"), "failed")]
)
async def test_a_feed_that_fails_ends_the_stream_with_a_reason(
    error: Exception, reason: str
) -> None:
    """The client is told to come back, not why in the words of an exception."""
    client = Client(App("test", [stream_route(Feed(end=error))]))
    text = await client.until("event: closed")
    await client.task
    assert f'{{"reason":"{reason}"}}' in text
    assert str(error) not in text


def _response(
    feed: Feed, *, heartbeat_seconds: float = 60, send_timeout_seconds: float = 60
) -> EventStream:
    return EventStream(
        feed.after(Cursor(0, 0)),
        Cursor(0, 0),
        wanted=lambda envelope: envelope.type == "wanted",
        stopping=asyncio.Event(),
        open_streams=set(),
        heartbeat_seconds=heartbeat_seconds,
        send_timeout_seconds=send_timeout_seconds,
    )


async def test_a_quiet_stream_has_heartbeats_that_carry_the_cursor() -> None:
    """What the filter left out is not sent again to a client that comes back."""
    response = _response(Feed([_event(1), _event(2)]), heartbeat_seconds=0.02)
    client = Client(response)
    await client.until(": heartbeat\nid: e2-l0\n\n")
    await client.leave()


async def test_a_client_that_takes_nothing_is_let_go() -> None:
    """Nothing piles up for it: the feed is closed after the bound, and it hears why if it wakes."""
    feed = Feed([_event(n, "wanted") for n in range(1, 1_000)])
    response = _response(feed, send_timeout_seconds=0.05)
    client = Client(response)
    await client.until("id: e3-l0")
    client.reading.clear()
    async with asyncio.timeout(60):
        while feed.open:
            await asyncio.wait({client.task}, timeout=0.01)
    client.reading.set()
    text = await client.until("event: closed")
    assert '{"reason":"slow"}' in text
    await client.task


async def test_there_are_only_so_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one too many is refused, and a place is free again when one goes."""
    monkeypatch.setattr("infra.http.sse.STREAMS_MAX", 1)
    app = App("test", [stream_route(Feed())])
    first = Client(app)
    await first.until("id: ")
    second = Client(app)
    await second.task
    assert second.status == 503
    await first.leave()
    third = Client(app)
    await third.until("id: ")
    await third.leave()


async def test_a_cancelled_stream_closes_its_feed() -> None:
    """A server that gives up on draining leaves nothing open."""
    feed = Feed()
    client = Client(App("test", [stream_route(feed)]))
    await client.until("id: ")
    client.task.cancel()
    with suppress(asyncio.CancelledError):
        await client.task
    assert feed.open == 0


async def test_head_opens_no_stream(connect: Connect) -> None:
    """The head of a stream is answered and nothing is followed."""
    feed = Feed()
    async with connect([stream_route(feed)]) as client:
        response = await client.head("/api/v1/events/stream")
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert feed.open == 0
