"""Read stored messages by direct get: the newest of a subject, one by its sequence, or all in order.

A read in order that came with a hole is an error, never a shorter answer: whoever folds a log must see
all of it. Nothing is consumed or acknowledged here.
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
END_OF_BATCH = "204"
NOT_FOUND = "404"
NO_RESPONDERS = "503"


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

    def __init__(self, requests: Requests, publish: "Publish") -> None:
        """Use a connection's requests; `publish` sends without waiting."""
        self._requests = requests
        self._publish = publish

    async def last(self, stream: str, subject: str) -> Raw | None:
        """Read the newest message of a subject (wildcards allowed); None where there is none.

        Raises:
            BrokerUnavailable: NATS did not answer.
            MissingStream: there is no such stream.
        """
        return await self._get(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
