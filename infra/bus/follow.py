"""Follow a stream from a position, live and in order, without a gap, over any outage.

Uses a short-lived consumer of its own that is made anew from the last position whenever anything
looks wrong: silence beyond the heartbeat, a gap in the delivery count, a lost connection. It
acknowledges nothing: whoever follows keeps the position beside what they make of it.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts.errors import Retryable
from infra.bus.connection import Connection, Raw
from infra.bus.reads import STATUS
from infra.bus.requests import Mailbox
from infra.clock import SYSTEM, Clock

log = structlog.get_logger(__name__)

BATCH_MAX = 500
"""Messages asked for at once, and so held at once."""
PULL_BYTES_MAX = 32 * 1024 * 1024
"""Bytes asked for at once."""
PULL_SECONDS = 10.0
HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 3.0
INACTIVE_SECONDS = 30.0
RETRY_WAIT_SECONDS = 0.5


class GapError(RuntimeError):
    """A delivery is missing, or the consumer is gone: it must be made anew."""


class Follower:
    """Follows one stream; `batches` never ends by itself."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        filters: Sequence[str],
        *,
        batch_max: int = BATCH_MAX,
        clock: Clock = SYSTEM,
    ) -> None:
        """Say what to follow."""
        self._connection = connection
        self._stream = stream
        self._filters = list(filters)
        self._batch_max = batch_max
        self._clock = clock

    async def batches(self, after: int) -> AsyncGenerator[list[Raw]]:
        """Give what comes after a sequence, oldest first, in batches of what is there."""
        while True:
            try:
                async with aclosing(self._consume(after)) as batches:
                    async for batch in batches:
                        after = batch[-1].seq
                        yield batch
            except (Retryable, NatsError, TimeoutError, OSError, GapError) as error:
                log.info("follow.again", stream=self._stream, after=after, why=repr(error))
                await self._clock.sleep(RETRY_WAIT_SECONDS)

    async def _consume(self, after: int) -> AsyncGenerator[list[Raw]]:
        nats, box = self._connection.nats, Mailbox(self._connection.nats.new_inbox())

        async def on_letter(letter: Msg) -> None:
            box.put(letter)

        subscription = await nats.subscribe(box.address, cb=on_letter)
        name = ""
        try:
            with self._connection.requests.watched(box):
                name = await self._make_consumer(after)
                async with aclosing(self._pull(name, box)) as batches:
                    async for batch in batches:
                        yield batch
        finally:
            if self._connection.connected:
                with suppress(NatsError):
                    await subscription.unsubscribe()
                if name:
                    with suppress(Retryable):
                        await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{name}")

    async def _make_consumer(self, after: int) -> str:
        config: dict[str, Any] = {
            "filter_subjects": self._filters,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": after + 1,
            "ack_policy": "none",
            "inactive_threshold": int(INACTIVE_SECONDS * 1e9),
            "mem_storage": True,
            "num_replicas": 1,
        }
        made = await self._connection.api(
            f"CONSUMER.CREATE.{self._stream}", {"stream_name": self._stream, "config": config}
        )
        return str(made["name"])

    async def _pull(self, consumer: str, box: Mailbox) -> AsyncGenerator[list[Raw]]:
        """Ask for more whenever half is used up; what is asked for never exceeds the bound."""
        api = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        asked, delivered = 0, 0
        while True:
            if asked <= self._batch_max // 2:
                await self._ask(api, box, self._batch_max - asked)
                asked = self._batch_max
            letters = [await box.take(SILENCE_SECONDS), *box.take_all(self._batch_max - 1)]
            batch: list[Raw] = []
            for letter in letters:
                status = (letter.headers or {}).get(STATUS)
                if status is None:
                    delivered += 1
                    batch.append(_read(letter, delivered))
                    asked -= 1
                else:
                    asked -= _given_up(status, letter)
            if batch:
                yield batch

    async def _ask(self, api: str, box: Mailbox, count: int) -> None:
        request = {
            "batch": count,
            "max_bytes": PULL_BYTES_MAX,
            "expires": int(PULL_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        await self._connection.requests.post(box, api, json.dumps(request).encode())


def _given_up(status: str, letter: Msg) -> int:
    """Say how many of the messages asked for will not come any more.

    Raises:
        GapError: none will: the consumer is gone or refuses.
    """
    headers = letter.headers or {}
    if status == "100":
        return 0
    if "Nats-Pending-Messages" in headers:
        return int(headers["Nats-Pending-Messages"])
    raise GapError(f"the consumer is gone or refused: {headers}")


def _read(letter: Msg, expected: int) -> Raw:
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, with
    # domain and account hash in between where there are any.
    tokens = letter.reply.split(".")
    seq, number, time = int(tokens[-4]), int(tokens[-3]), tokens[-2]
    if number != expected:
        raise GapError(f"delivery {expected} is missing before sequence {seq}")
    return Raw(letter.subject, seq, letter.data, letter.headers or {}, time)
