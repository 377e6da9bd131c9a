"""One connection to NATS, speaking in this project's errors: stored, conflict, or try again.

Publishing while the connection is down fails at once instead of filling a buffer: a message that leaves
minutes later, after its sender was told that it did not, would be done twice. What messages mean is not
decided here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import nats
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from contracts.errors import Conflict, Retryable

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 5
RECONNECT_WAIT_SECONDS = 0.2
PUBLISH_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 5.0
PENDING_MESSAGES_MAX = 65_536
PENDING_BYTES_MAX = 256 * 1024 * 1024

WRONG_LAST_SEQUENCE = 10071
BATCH_DUPLICATE = 10201
TRANSIENT_APPEND = frozenset({10164, 10165, 10167})
"""A new leader applies its log, or another append on the subject is under way: neither is a conflict."""

NO_MESSAGE = frozenset({10037, 10043, 10057})

EXPECTED_LAST_SUBJECT_SEQ = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_STREAM = "Nats-Expected-Stream"
END_OF_BATCH = "204"
NOT_FOUND = "404"


class BrokerUnavailable(Retryable):
    """NATS did not answer, or not in time: what was sent may or may not have been stored."""


class NotSent(BrokerUnavailable):
    """The connection is down: nothing left this process."""


class MissingStream(Retryable):
    """No stream takes this subject: the provisioner has not run."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The broker has it."""

    stream: str
    seq: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """A stored message as it lies in its stream."""

    subject: str
    seq: int
    body: bytes
    headers: Mapping[str, str]
    time: str


class Connection:
    """A NATS connection and what is built on it; make one with `connect`."""

    def __init__(self, client: Client, name: str) -> None:
        """Wrap a connected client."""
        self.nats = client
        self.js: JetStreamContext = client.jetstream(timeout=PUBLISH_TIMEOUT_SECONDS)
        self.name = name
        self._inbox = client.new_inbox()
        self._batches: dict[str, asyncio.Queue[Msg]] = {}
        self._batch_count = 0

    @classmethod
    async def connect(cls, url: str, name: str) -> Self:
        """Connect, and stay connected over any outage.

        Raises:
            BrokerUnavailable: nobody listens there.
        """

        async def on_error(error: Exception) -> None:
            log.warning("nats.error", connection=name, error=repr(error))

        async def on_disconnect() -> None:
            log.warning("nats.disconnected", connection=name)

        async def on_reconnect() -> None:
            log.info("nats.reconnected", connection=name)

        try:
            client = await nats.connect(
                url,
                name=name,
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                reconnect_time_wait=RECONNECT_WAIT_SECONDS,
                max_reconnect_attempts=-1,
                ping_interval=10,
                max_outstanding_pings=2,
                pending_size=0,
                inbox_prefix=f"_INBOX_{name}".encode(),
                error_cb=on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=on_reconnect,
                allow_reconnect=True,
            )
        except (NatsError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(f"NATS at {url} does not answer: {error!r}") from error
        connection = cls(client, name)
        await client.subscribe(f"{connection._inbox}.*", cb=connection._on_batch_reply)
        return connection

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached at the moment."""
        return bool(self.nats.is_connected)

    async def close(self) -> None:
        """Send what is under way, then close."""
        if not self.nats.is_closed:
            if self.nats.is_connected:
                await self.nats.drain()
            else:
                await self.nats.close()

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
            BrokerUnavailable: no acknowledgement came; it may be stored.
            MissingStream: no stream takes the subject.
        """
        if not self.connected:
            raise NotSent(f"NATS cannot be reached; nothing was sent to {subject}")
        try:
            message = await self.nats.request(
                subject,
                body,
                timeout=timeout_seconds,
                headers={**(headers or {}), EXPECTED_STREAM: stream} if stream else headers,
            )
        except NoRespondersError as error:
            raise MissingStream(f"no stream takes {subject}: run `tracseq provision`") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"no acknowledgement for {subject}: {error!r}") from error
        return self._stored(json.loads(message.data), subject)

    @staticmethod
    def _stored(answer: dict[str, Any], subject: str) -> Stored:
        if "error" in answer:
            code, text = answer["error"].get("err_code", 0), answer["error"].get("description", "")
            if code == WRONG_LAST_SEQUENCE:
                raise Conflict(f"{subject}: {text}")
            raise BrokerUnavailable(f"{subject} was not stored: {text} ({code})")
        return Stored(answer["stream"], answer["seq"], bool(answer.get("duplicate")))

    async def publish_batch(
        self, messages: list[tuple[str, bytes, dict[str, str]]], *, batch_id: str
    ) -> Stored:
        """Store messages of one stream, all or nothing; at most 1,000.

        Raises:
            Conflict: one expected last sequence was not the last; nothing was stored.
            BrokerUnavailable: no acknowledgement came; all or nothing is stored.
        """
        if not self.connected:
            raise NotSent("NATS cannot be reached; nothing was sent")
        try:
            for number, (subject, body, headers) in enumerate(messages[:-1], start=1):
                await self.nats.publish(
                    subject,
                    body,
                    headers={
                        **headers,
                        "Nats-Batch-Id": batch_id,
                        "Nats-Batch-Sequence": str(number),
                    },
                )
        except NatsError as error:
            raise BrokerUnavailable(f"batch {batch_id} was cut off: {error!r}") from error
        subject, body, headers = messages[-1]
        commit = {
            "Nats-Batch-Id": batch_id,
            "Nats-Batch-Sequence": str(len(messages)),
            "Nats-Batch-Commit": "1",
        }
        return await self.publish(
            subject, body, {**headers, **commit}, timeout_seconds=PUBLISH_TIMEOUT_SECONDS * 2
        )

    async def send(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send without storing: replies to whoever waits.

        Raises:
            NotSent: the connection is down.
        """
        try:
            await self.nats.publish(subject, body, headers=headers)
        except NatsError as error:
            raise NotSent(f"nothing was sent to {subject}: {error!r}") from error

    async def last(self, stream: str, subject: str) -> Raw | None:
        """Read the newest message of a subject (wildcards allowed); None where there is none.

        Raises:
            BrokerUnavailable: NATS did not answer.
        """
        found = await self._direct_get(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        return found

    async def first_after(self, stream: str, subject: str, seq: int) -> Raw | None:
        """Read the first message of a subject at or after a sequence; None where there is none."""
        query = json.dumps({"seq": seq, "next_by_subj": subject}).encode()
        return await self._direct_get(f"$JS.API.DIRECT.GET.{stream}", query)

    async def by_seq(self, stream: str, seq: int) -> Raw | None:
        """Read one message by its sequence; None where it is gone."""
        return await self._direct_get(
            f"$JS.API.DIRECT.GET.{stream}", json.dumps({"seq": seq}).encode()
        )

    async def _direct_get(self, api: str, query: bytes) -> Raw | None:
        try:
            message = await self.nats.request(api, query, timeout=READ_TIMEOUT_SECONDS)
        except NoRespondersError as error:
            raise MissingStream(f"{api}: no such stream: run `tracseq provision`") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"{api} did not answer: {error!r}") from error
        headers = message.headers or {}
        return None if headers.get("Status") == NOT_FOUND else _raw(message, headers)

    async def read(
        self, stream: str, subject: str, *, after: int = 0, batch_max: int = 1_000
    ) -> AsyncIterator[Raw]:
        """Read what a subject holds after a sequence, oldest first, to the end as it is now.

        Raises:
            BrokerUnavailable: NATS did not answer.
        """
        while True:
            count = 0
            async for raw in self._read_batch(stream, subject, after + 1, batch_max):
                count += 1
                after = raw.seq
                yield raw
            if count < batch_max:
                return

    async def _read_batch(
        self, stream: str, subject: str, seq: int, batch_max: int
    ) -> AsyncIterator[Raw]:
        self._batch_count += 1
        token = str(self._batch_count)
        replies: asyncio.Queue[Msg] = asyncio.Queue(maxsize=batch_max + 2)
        self._batches[token] = replies
        query = json.dumps({"seq": seq, "next_by_subj": subject, "batch": batch_max}).encode()
        try:
            await self.nats.publish(
                f"$JS.API.DIRECT.GET.{stream}", query, reply=f"{self._inbox}.{token}"
            )
            while True:
                message = await asyncio.wait_for(replies.get(), READ_TIMEOUT_SECONDS)
                headers = message.headers or {}
                if headers.get("Status") in {END_OF_BATCH, NOT_FOUND}:
                    return
                if "Status" in headers:
                    raise BrokerUnavailable(f"reading {subject} failed: {headers}")
                yield _raw(message, headers)
        except (NatsError, TimeoutError) as error:
            raise BrokerUnavailable(f"reading {subject} failed: {error!r}") from error
        finally:
            del self._batches[token]

    async def _on_batch_reply(self, message: Msg) -> None:
        replies = self._batches.get(message.subject.rpartition(".")[2])
        if replies is not None:
            await replies.put(message)

    async def head(self, stream: str) -> int:
        """Give the last sequence of a stream.

        Raises:
            BrokerUnavailable: NATS did not answer.
        """
        try:
            info = await self.js.stream_info(stream)
        except (APIError, NoStreamResponseError) as error:
            raise MissingStream(f"stream {stream} is not there: run `tracseq provision`") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"stream {stream} cannot be asked: {error!r}") from error
        return info.state.last_seq

    async def delete(self, stream: str, seq: int) -> bool:
        """Delete one message of a stream for good; False where there is none.

        Raises:
            BrokerUnavailable: NATS did not answer, or the stream's messages may not be deleted.
        """
        try:
            return bool(await self.js.delete_msg(stream, seq))
        except APIError as error:
            if error.err_code in NO_MESSAGE:
                return False
            raise BrokerUnavailable(f"{stream} {seq} was not deleted: {error!r}") from error
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"{stream} {seq} was not deleted: {error!r}") from error


def _raw(message: Msg, headers: Mapping[str, str]) -> Raw:
    return Raw(
        subject=headers["Nats-Subject"],
        seq=int(headers["Nats-Sequence"]),
        body=message.data,
        headers=headers,
        time=headers["Nats-Time-Stamp"],
    )
