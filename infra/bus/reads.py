"""Read stored messages by direct get: a subject's newest, one by its sequence, or all in order.

A read in order that came with a hole is an error, never a shorter answer: whoever folds a log must
see all of it. Nothing is consumed or acknowledged here.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from infra.bus.errors import BrokerUnavailable, MissingStream
from infra.bus.requests import Requests

READ_TIMEOUT_SECONDS = 5.0
BATCH_MAX = 1_000
"""Messages asked for at once; a reader never holds more."""

STATUS = "Status"
"""Header of what the broker itself says; 204 ends a batch, 404 is nothing there, 503 is nobody."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A stored message as it lies in its stream."""

    subject: str
    seq: int
    body: bytes
    headers: Mapping[str, str]
    time: str
    """When it was stored, as the broker said it: RFC 3339, or nanoseconds since 1970."""

    @property
    def at(self) -> datetime:
        """When it was stored."""
        if self.time.isdigit():
            return datetime.fromtimestamp(int(self.time) / 1e9, UTC)
        # Nine digits of a second are more than a datetime takes.
        whole, _, fraction = self.time.removesuffix("Z").partition(".")
        return datetime.fromisoformat(f"{whole}.{fraction[:6] or '0':0<6}+00:00")


class Reads:
    """Direct gets over one connection."""

    def __init__(self, requests: Requests) -> None:
        """Use a connection's requests."""
        self._requests = requests

    async def last(self, stream: str, subject: str) -> Raw | None:
        """Read the newest message of a subject (wildcards allowed); None where there is none.

        Raises:
            BrokerUnavailable: NATS did not answer.
            MissingStream: there is no such stream.
        """
        return await self._get(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")

    async def by_seq(self, stream: str, seq: int) -> Raw | None:
        """Read one message by its sequence; None where it is gone. Raises as `last`."""
        return await self._get(f"$JS.API.DIRECT.GET.{stream}", json.dumps({"seq": seq}).encode())

    async def _get(self, api: str, query: bytes) -> Raw | None:
        try:
            letter = await self._requests.request(
                api, query, None, timeout_seconds=READ_TIMEOUT_SECONDS
            )
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"{api} did not answer: {error!r}") from error
        headers = letter.headers or {}
        match headers.get(STATUS):
            case None:
                return _raw(letter, headers)
            case "404":
                return None
            case "503":
                raise MissingStream(f"{api}: no such stream: run `tracseq provision`")
            case _:
                raise BrokerUnavailable(f"{api} failed: {headers}")

    async def read(
        self, stream: str, subject: str, *, after: int = 0, batch_max: int = BATCH_MAX
    ) -> AsyncGenerator[Raw]:
        """Read what a subject holds after a sequence, oldest first, to the end as it is now.

        Raises as `last`, and where an answer is missing between two others.
        """
        more = True
        while more:
            batch, more = await self._batch(stream, subject, after, batch_max)
            for raw in batch:
                yield raw
            if batch:
                after = batch[-1].seq

    async def _batch(
        self, stream: str, subject: str, after: int, batch_max: int
    ) -> tuple[list[Raw], bool]:
        api = f"$JS.API.DIRECT.GET.{stream}"
        query = {"seq": after + 1, "next_by_subj": subject, "batch": batch_max}
        found: list[Raw] = []
        try:
            with self._requests.mailbox() as box:
                await self._requests.post(box, api, json.dumps(query).encode())
                while True:
                    letter = await box.take(READ_TIMEOUT_SECONDS)
                    headers = letter.headers or {}
                    before = found[-1].seq if found else 0
                    match headers.get(STATUS):
                        case None:
                            _check_order(headers, before, subject)
                            found.append(_raw(letter, headers))
                        case "204":
                            _check_order(headers, before, subject)
                            return found, int(headers.get("Nats-Num-Pending", "0")) > 0
                        case "404":
                            return found, False
                        case "503":
                            raise MissingStream(f"no stream {stream}: run `tracseq provision`")
                        case _:
                            raise BrokerUnavailable(f"reading {subject} failed: {headers}")
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"reading {subject} failed: {error!r}") from error


def _check_order(headers: Mapping[str, str], before: int, subject: str) -> None:
    last = int(headers.get("Nats-Last-Sequence", str(before)))
    if last != before:
        raise BrokerUnavailable(f"reading {subject} came with a hole after sequence {before}")


def _raw(letter: Msg, headers: Mapping[str, str]) -> Raw:
    return Raw(
        subject=headers["Nats-Subject"],
        seq=int(headers["Nats-Sequence"]),
        body=letter.data,
        headers=headers,
        time=headers["Nats-Time-Stamp"],
    )
