"""One connection to NATS, speaking in this project's errors: stored, conflict, or try again.

Publishing while the connection is down fails at once instead of filling a buffer: a message that
leaves minutes later, after its sender was told that it did not, would be done twice. What messages
mean is not decided here.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, cast

import orjson
import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from contracts.errors import Conflict
from infra.bus.client import RECONNECT_WAIT_SECONDS, Client
from infra.bus.errors import (
    BrokerRefused,
    BrokerUnavailable,
    MissingStream,
    NobodyAnswers,
    NotSent,
)
from infra.bus.reads import BATCH_MAX, STATUS, Raw, Reads
from infra.bus.requests import Requests
from infra.clock import SYSTEM, Clock

__all__ = [
    "BrokerRefused",
    "BrokerUnavailable",
    "Connection",
    "MissingStream",
    "NobodyAnswers",
    "NotSent",
    "Raw",
    "Stored",
]

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 5
PING_SECONDS = 10
API_TIMEOUT_SECONDS = 5.0
DRAIN_TIMEOUT_SECONDS = 5
PUBLISH_TIMEOUT_SECONDS = 5.0
BATCH_TIMEOUT_SECONDS = 10.0

WRONG_LAST_SEQUENCE = 10071
STREAM_NOT_FOUND = 10059
NO_MESSAGE = frozenset({10037, 10043, 10057})
"""What the broker says, in three ways, of a sequence where nothing lies."""

EXPECTED_LAST_SUBJECT_SEQ = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_STREAM = "Nats-Expected-Stream"


@dataclass(frozen=True, slots=True)
class Stored:
    """The broker has it."""

    stream: str
    seq: int
    duplicate: bool = False


class Connection:
    """A NATS connection and what is built on it; make one with `connect`."""

    def __init__(self, name: str, *, clock: Clock = SYSTEM) -> None:
        """Prepare; `connect` makes one that is connected."""
        self.nats = Client()
        self.js: JetStreamContext = self.nats.jetstream(timeout=PUBLISH_TIMEOUT_SECONDS)
        self.name = name
        self.requests = Requests(self.nats)
        self._reads = Reads(self.requests)
        self._clock = clock
        self._closing = False
        self.connected_at: datetime = clock.now()
        """When the connection last came up: what the broker has in memory only may be younger."""

    @classmethod
    async def connect(cls, url: str, name: str, *, clock: Clock = SYSTEM) -> Self:
        """Connect, and stay connected over any outage.

        Raises:
            BrokerUnavailable: nobody listens there.
        """
        connection = cls(name, clock=clock)
        await connection._open(url)
        return connection

    async def _open(self, url: str) -> None:
        try:
            await self.nats.connect(
                url,
                name=self.name,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                # Typed as whole seconds; the client itself takes fractions.
                reconnect_time_wait=cast("int", RECONNECT_WAIT_SECONDS),
                max_reconnect_attempts=-1,
                ping_interval=PING_SECONDS,
                max_outstanding_pings=2,
                drain_timeout=DRAIN_TIMEOUT_SECONDS,
                pending_size=0,
                inbox_prefix=f"_INBOX_{self.name}".encode(),
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
            )
            await self.requests.start()
        except (NatsError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"NATS at {url} does not answer: {error!r}") from error

    async def _on_error(self, error: Exception) -> None:
        if not self._closing:
            log.warning("nats.error", connection=self.name, error=repr(error))

    async def _on_disconnect(self) -> None:
        if not self._closing:
            log.warning("nats.disconnected", connection=self.name)
        # The client would send what it had not written yet after the next connect, however late.
        self.nats._pending.clear()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it offers no other way
        self.nats._pending_data_size = 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
        self.requests.connection_lost()

    async def _on_reconnect(self) -> None:
        self.connected_at = self._clock.now()
        log.info("nats.reconnected", connection=self.name)

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached at the moment."""
        return bool(self.nats.is_connected)

    async def close(self) -> None:
        """Send what is under way, then close."""
        self._closing = True
        with suppress(NatsError, OSError, TimeoutError):
            await self.nats.drain()
        if not self.nats.is_closed:
            with suppress(NatsError, OSError, TimeoutError):
                await self.nats.close()

    # Sending

    async def publish(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        stream: str | None = None,
        timeout_seconds: float = PUBLISH_TIMEOUT_SECONDS,
    ) -> Stored:
        """Store a message and wait until the broker has it.

        Raises:
            Conflict: the expected last sequence was not the last.
            NotSent: nothing left this process.
            BrokerRefused: the broker said no; it is not stored.
            BrokerUnavailable: no acknowledgement came; it may be stored.
            MissingStream: no stream takes the subject.
        """
        if stream:
            headers = {**(headers or {}), EXPECTED_STREAM: stream}
        try:
            answer = await self.request(subject, body, headers, timeout_seconds=timeout_seconds)
        except NobodyAnswers as error:
            raise MissingStream(f"no stream takes {subject}: run `tracseq provision`") from error
        return _stored(orjson.loads(answer), subject)

    async def publish_batch(
        self, messages: list[tuple[str, bytes, dict[str, str]]], *, batch_id: str
    ) -> Stored:
        """Store messages of one stream, all or nothing; at most 1,000.

        Raises:
            Conflict: one expected last sequence was not the last; nothing was stored.
            NotSent: nothing left this process.
            BrokerRefused: the broker said no; nothing was stored.
            BrokerUnavailable: no acknowledgement came; all or nothing is stored.
        """
        for number, (subject, body, headers) in enumerate(messages[:-1], start=1):
            member = {"Nats-Batch-Id": batch_id, "Nats-Batch-Sequence": str(number)}
            await self.send(subject, body, {**headers, **member})
        subject, body, headers = messages[-1]
        commit = {
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(len(messages)),
            "Nats-Batch-Commit": "1",
        }
        return await self.publish(
            subject, body, {**headers, **commit}, timeout_seconds=BATCH_TIMEOUT_SECONDS
        )

    async def send(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send without storing: replies to whoever waits.

        Raises:
            NotSent: the connection is down.
        """
        try:
            await self.requests.send(subject, body, headers)
        except (NatsError, OSError) as error:
            raise NotSent(f"nothing was sent to {subject}: {error!r}") from error

    async def request(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        timeout_seconds: float,
    ) -> bytes:
        """Send, and wait for the one answer.

        Raises:
            NotSent: nothing left this process.
            NobodyAnswers: nobody listens there.
            BrokerUnavailable: no answer came in time.
            ValueError: the body is larger than the broker takes; no later attempt will do better.
        """
        if not self.connected:
            raise NotSent(f"NATS cannot be reached; nothing was sent to {subject}")
        if len(body) > self.nats.max_payload:
            size, size_max = len(body), self.nats.max_payload
            raise ValueError(f"{subject}: {size} bytes; the broker takes {size_max}: keep a file")
        try:
            answer = await self.requests.request(
                subject, body, headers, timeout_seconds=timeout_seconds
            )
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"no answer from {subject}: {error!r}") from error
        if answer.headers and answer.headers.get(STATUS) == "503":
            raise NobodyAnswers(f"nobody listens to {subject}")
        return answer.data

    # Reading

    async def last(self, stream: str, subject: str) -> Raw | None:
        """Read the newest message of a subject; see `Reads.last`."""
        return await self._reads.last(stream, subject)

    async def by_seq(self, stream: str, seq: int) -> Raw | None:
        """Read one message by its sequence; see `Reads.by_seq`."""
        return await self._reads.by_seq(stream, seq)

    def read(
        self, stream: str, subject: str, *, after: int = 0, batch_max: int = BATCH_MAX
    ) -> AsyncGenerator[Raw]:
        """Read what a subject holds after a sequence, oldest first; see `Reads.read`."""
        return self._reads.read(stream, subject, after=after, batch_max=batch_max)

    async def head(self, stream: str) -> int:
        """Give the last sequence of a stream.

        Raises:
            BrokerUnavailable: NATS did not answer.
            MissingStream: there is no such stream.
        """
        info = await self.api(f"STREAM.INFO.{stream}")
        return int(info["state"]["last_seq"])

    async def delete(self, stream: str, seq: int) -> bool:
        """Delete one message of a stream for good; False where there is none.

        Raises:
            BrokerUnavailable: NATS did not answer, or the stream's messages may not be deleted.
        """
        try:
            answer = await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": seq})
        except BrokerRefused as refused:
            if refused.code in NO_MESSAGE:
                return False
            raise
        return bool(answer["success"])

    async def purge(self, stream: str, subject: str, *, before: int | None = None) -> int:
        """Delete all that a subject (wildcards allowed) holds before a sequence; count it.

        Raises:
            BrokerUnavailable: NATS did not answer, or the stream may not be purged.
        """
        request: dict[str, Any] = {"filter": subject}
        if before is not None:
            request["seq"] = before
        return int((await self.api(f"STREAM.PURGE.{stream}", request))["purged"])

    async def api(self, call: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call JetStream's own API, such as `STREAM.INFO.EVENTS`, and give its answer.

        Raises:
            MissingStream: there is no such stream.
            BrokerRefused: it said no.
            BrokerUnavailable: NATS did not answer.
        """
        answer = json.loads(
            await self.request(
                f"$JS.API.{call}",
                json.dumps(body).encode() if body else b"",
                timeout_seconds=API_TIMEOUT_SECONDS,
            )
        )
        if "error" in answer:
            code, text = answer["error"].get("err_code", 0), answer["error"].get("description", "")
            if code == STREAM_NOT_FOUND:
                raise MissingStream(f"{call}: {text}: run `tracseq provision`")
            raise BrokerRefused(f"{call}: {text} ({code})", code)
        return cast("dict[str, Any]", answer)


def _stored(answer: dict[str, Any], subject: str) -> Stored:
    if "error" in answer:
        code, text = answer["error"].get("err_code", 0), answer["error"].get("description", "")
        if code == WRONG_LAST_SEQUENCE:
            raise Conflict(f"{subject}: {text}")
        raise BrokerRefused(f"{subject} was not stored: {text} ({code})", code)
    return Stored(answer["stream"], answer["seq"], bool(answer.get("duplicate")))
