"""Pull from a consumer without a pause: a request is always out, and what came is given at once.

nats-py's own fetch waits for as many messages as were asked for, up to its timeout, once it had to
wait at all. Here requests overlap; what is asked for and not handled yet never exceeds one bound.
Nothing is acknowledged here.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Self

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from infra.bus.connection import Connection
from infra.bus.errors import BrokerUnavailable
from infra.bus.reads import STATUS
from infra.bus.requests import Mailbox

PULL_BYTES_MAX = 32 * 1024 * 1024
"""Bytes asked for at once."""
EXPIRES_SECONDS = 10.0
HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 3.0
"""Without as much as a heartbeat for so long, request or consumer are lost."""
_HEARTBEAT = "100"


class LostConsumerError(BrokerUnavailable):
    """The consumer is gone, refuses, or does not answer."""


class Pull:
    """Keeps requests out to one consumer; make one with `Pull.open`."""

    def __init__(
        self, connection: Connection, api: str, box: Mailbox, ahead_max: int, *, alone: bool
    ) -> None:
        """See `open`."""
        self._alone = alone
        self._received = 0
        self._connection = connection
        self._api = api
        self._box = box
        self._ahead_max = ahead_max
        self._asked = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        connection: Connection,
        *,
        stream: str,
        consumer: str,
        ahead_max: int,
        alone: bool = False,
    ) -> AsyncGenerator[Self]:
        """Open for the time of a `with`; at most `ahead_max` messages are asked for and not given.

        Whoever pulls `alone` from a new consumer hears of a message that was lost on its way.

        Raises:
            nats.errors.Error: the connection is down.
        """
        box = Mailbox(connection.nats.new_inbox())
        subscription = await connection.nats.subscribe(box.address)
        connection.nats.deliver(subscription, box.put)
        try:
            with connection.requests.watched(box):
                api = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
                yield cls(connection, api, box, ahead_max, alone=alone)
        finally:
            connection.nats.undeliver(subscription)
            # Also while the connection is down: the client would subscribe again when it is back.
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def take(self) -> list[Msg]:
        """Wait for something to come, then give all that is there; maybe nothing but still well.

        Raises:
            LostConsumerError: nothing will come this way any more.
            BrokerUnavailable: the connection was lost.
        """
        if self._asked <= self._ahead_max // 2:
            await self._ask(self._ahead_max - self._asked)
        try:
            letters = [await self._box.take(SILENCE_SECONDS)]
        except TimeoutError as error:
            raise LostConsumerError(f"not even a heartbeat for {SILENCE_SECONDS:g} s") from error
        letters += self._box.take_all(self._ahead_max - 1)
        messages: list[Msg] = []
        for letter in letters:
            status = letter.headers.get(STATUS) if letter.headers else None
            if status is None:
                messages.append(letter)
            elif status == _HEARTBEAT:
                self._check(letter, self._received + len(messages))
            else:
                self._asked -= _given_up(letter)
        self._asked -= len(messages)
        self._received += len(messages)
        return messages

    def _check(self, heartbeat: Msg, received: int) -> None:
        sent = int((heartbeat.headers or {}).get("Nats-Last-Consumer", received))
        if self._alone and sent > received:
            raise LostConsumerError(f"{sent} messages were sent, {received} came")

    async def _ask(self, count: int) -> None:
        request = {
            "batch": count,
            "max_bytes": PULL_BYTES_MAX,
            "expires": int(EXPIRES_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        try:
            await self._connection.requests.post(self._box, self._api, json.dumps(request).encode())
        except NatsError as error:
            raise BrokerUnavailable(f"nothing could be asked for: {error!r}") from error
        self._asked += count


def _given_up(letter: Msg) -> int:
    """Say how many of the messages that a request asked for will not come any more."""
    headers = letter.headers or {}
    if "Nats-Pending-Messages" not in headers:
        raise LostConsumerError(f"the consumer is gone or refuses: {dict(headers)}")
    return int(headers["Nats-Pending-Messages"])
