"""Live streams of what happens, as Server-Sent Events that resume exactly where a client stopped.

The id of an event is a cursor `e<seq>-l<seq>` over both streams, so whoever comes back with
`Last-Event-ID` misses nothing and sees nothing twice. Nothing is kept for a client: a slow one
holds back its own stream, whose buffers are bounded, and is let go when it takes nothing for a
while.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Protocol, cast

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import FieldError, InvalidInput, Refused, Retryable
from infra.bus.bus import Bus
from infra.clock import SYSTEM, Clock
from infra.http.invalid import shorten
from infra.http.problem import Busy
from infra.http.routing import API_PREFIX, Route

HEARTBEAT_SECONDS = 15.0
SEND_TIMEOUT_SECONDS = 10.0
"""How long a client may take nothing before it is let go."""
STREAMS_MAX = 100
"""Clients of one process that follow at once; one more is refused with 503."""
FAREWELL_SECONDS = 1.0
"""How long a client may take to hear why its stream ends."""
RETRY_MS = 1_000
"""After which a browser comes back."""
FILTER_CHARS_MAX = 255

_CURSOR = re.compile(r"e(\d{1,18})-l(\d{1,18})")
_log = structlog.get_logger(__name__)


class Delivered(Protocol):
    """One thing that happened, and where it lies."""

    @property
    def stream(self) -> str:
        """`EVENTS` or `LAB`."""
        ...

    @property
    def seq(self) -> int:
        """Its sequence there."""
        ...

    @property
    def envelope(self) -> Envelope:
        """The message."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a client has seen both streams."""

    events: int
    lab: int

    def __str__(self) -> str:
        return f"e{self.events}-l{self.lab}"

    def past(self, delivered: Delivered) -> "Cursor":
        """Give the cursor after one more event."""
        if delivered.stream == subjects.EVENTS:
            return replace(self, events=delivered.seq)
        return replace(self, lab=delivered.seq)

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read a cursor.

        Raises:
            Refused: it is none.
        """
        found = _CURSOR.fullmatch(text.strip())
        if found is None:
            error = FieldError(
                field="Last-Event-ID",
                value=shorten(text),
                problem="is no position in the streams",
                remedy="Send the id of the last event as it was received, such as e12-l3, or none.",
            )
            raise Refused(InvalidInput(count=1, errors=[error]))
        return cls(int(found[1]), int(found[2]))


class Feed(Protocol):
    """Where the events come from."""

    async def now(self) -> Cursor:
        """Give the position of the newest event of each stream."""
        ...

    def after(self, cursor: Cursor) -> AsyncGenerator[Delivered]:
        """Give everything after a position, for ever, no faster than it is taken."""
        ...


class BusFeed:
    """Events as the broker has them."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def now(self) -> Cursor:
        """Give the position of the newest event of each stream."""
        head = self._bus.connection.head
        return Cursor(await head(subjects.EVENTS), await head(subjects.LAB))

    def after(self, cursor: Cursor) -> AsyncGenerator[Delivered]:
        """Give everything after a position, for ever, no faster than it is taken."""
        events = self._bus.tail(evt_after=cursor.events, lab_after=cursor.lab)
        return cast("AsyncGenerator[Delivered]", events)


Wanted = Callable[[Envelope], bool]


def stream_route(feed: Feed, *, clock: Clock = SYSTEM) -> Route:
    """Make `GET /api/v1/events/stream`; its query takes `type`, `correlation` and `last_event_id`.

    A type that ends with a dot stands for every type that begins so.
    """
    open_streams: set[EventStream] = set()

    async def respond(request: Request) -> Response:
        if len(open_streams) >= STREAMS_MAX:
            raise Refused(Busy(what="Too many event streams", limit=STREAMS_MAX))
        given = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
        cursor = Cursor.parse(given) if given else await feed.now()
        return EventStream(
            feed.after(cursor),
            cursor,
            wanted=_filter(request),
            stopping=request.scope["tracseq.stopping"],
            open_streams=open_streams,
            clock=clock,
        )

    path = f"{API_PREFIX}/events/stream"
    return Route(method="GET", path=path, endpoint=respond, operation="event.stream")


def _filter(request: Request) -> Wanted:
    type_ = request.query_params.get("type", "")[:FILTER_CHARS_MAX]
    correlation = request.query_params.get("correlation", "")[:FILTER_CHARS_MAX]

    def wanted(envelope: Envelope) -> bool:
        fits = envelope.type.startswith(type_) if type_.endswith(".") else envelope.type == type_
        return (not type_ or fits) and (not correlation or envelope.correlation == correlation)

    return wanted


def encode(delivered: Delivered, cursor: Cursor) -> bytes:
    """Write one event as it is sent; its data has the members of a timeline entry."""
    envelope = delivered.envelope
    parts = (envelope.traceparent or "").split("-")
    document = {
        "stream": delivered.stream,
        "seq": delivered.seq,
        "id": envelope.id,
        "type": envelope.type,
        "time": envelope.time,
        "source": envelope.source,
        "subject": envelope.subject,
        "actor": envelope.actor,
        "correlation": envelope.correlation,
        "trace_id": parts[1] if len(parts) > 1 else None,
        "data": _data(envelope.data),
    }
    # orjson writes no newline, so one data line holds it all.
    body = orjson.dumps(document, option=orjson.OPT_UTC_Z)
    kind = "".join(char for char in envelope.type if char.isprintable())
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(cursor).encode(), kind.encode(), body)


def _data(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # A foreign publisher may put anything on the bench's stream; what cannot be shown is not.
        return None


class EventStream(Response):
    """The response that follows a feed until the client goes or is too slow, or the service stops.

    Its last event is `closed`, with the reason: `shutdown`, `slow`, `unavailable` or `failed`.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[Delivered],
        cursor: Cursor,
        *,
        wanted: Wanted,
        stopping: asyncio.Event,
        open_streams: set["EventStream"],
        clock: Clock = SYSTEM,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        send_timeout_seconds: float = SEND_TIMEOUT_SECONDS,
    ) -> None:
        """Read nothing yet: the feed is opened when the response is sent."""
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["Content-Length"]
        self._events = events
        self._cursor = cursor
        self._wanted = wanted
        self._stopping = stopping
        self._open_streams = open_streams
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._send_timeout_seconds = send_timeout_seconds
        self._sent_at = clock.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the ends comes."""
        del scope
        self._open_streams.add(self)
        sending = asyncio.create_task(self._follow(send))
        gone = asyncio.create_task(_gone(receive))
        stopping = asyncio.create_task(_set(self._stopping))
        tasks = {sending, gone, stopping}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._events.aclose()
            self._open_streams.discard(self)
        if gone not in done:
            await self._farewell(send, _reason(sending) if sending in done else "shutdown")

    async def _follow(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._send(send, b"retry: %d\n" % RETRY_MS + self._position())
        async with aclosing(self._events) as events:
            coming = asyncio.ensure_future(anext(events))
            try:
                while True:
                    # The wait is asyncio's own: it is for the next event, and may end earlier.
                    await asyncio.wait({coming}, timeout=self._heartbeat_seconds)
                    if coming.done():
                        await self._pass_on(send, coming.result())
                        coming = asyncio.ensure_future(anext(events))
                    if self._clock.monotonic() - self._sent_at >= self._heartbeat_seconds:
                        await self._send(send, b": heartbeat\n" + self._position())
            finally:
                coming.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({coming})

    async def _pass_on(self, send: Send, delivered: Delivered) -> None:
        self._cursor = self._cursor.past(delivered)
        if self._wanted(delivered.envelope):
            await self._send(send, encode(delivered, self._cursor))

    def _position(self) -> bytes:
        """Tell the cursor without an event, so that what the filter left out is not sent again."""
        return b"id: %s\n\n" % str(self._cursor).encode()

    async def _send(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(self._send_timeout_seconds):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._sent_at = self._clock.monotonic()

    async def _farewell(self, send: Send, reason: str) -> None:
        _log.info("http.stream_closed", reason=reason, cursor=str(self._cursor))
        body = b'event: closed\ndata: {"reason":"%s"}\n\n' % reason.encode()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await send({"type": "http.response.body", "body": body, "more_body": False})


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _reason(sending: asyncio.Task[None]) -> str:
    error = sending.exception()
    if isinstance(error, TimeoutError):
        return "slow"
    if isinstance(error, Retryable):
        return "unavailable"
    _log.error("http.stream_failed", exc_info=error)
    return "failed"
