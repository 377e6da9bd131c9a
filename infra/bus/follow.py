"""Follow a stream from a position, live and in order, without a gap, over any outage.

Uses a short-lived consumer of its own that is made anew from the last position whenever anything looks
wrong: silence beyond the heartbeat, a gap in the delivery count, a reconnect. It acknowledges nothing:
whoever follows keeps the position beside what they make of it.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from infra.bus.connection import Connection, Raw
from infra.clock import SYSTEM, Clock

log = structlog.get_logger(__name__)

BATCH_MAX = 500
"""Messages asked for at once, and so held at once."""
PULL_SECONDS = 10.0
HEARTBEAT_SECONDS = 1.0
SILENCE_SECONDS = 3.0
INACTIVE_SECONDS = 30.0
RETRY_WAIT_SECONDS = 0.5


class GapError(RuntimeError):
    """A delivery is missing: the consumer must be made anew."""


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
                async for batch in self._consume(after):
                    after = batch[-1].seq
                    yield batch
            except (NatsError, TimeoutError, OSError, GapError) as error:
                log.info("follow.again", stream=self._stream, after=after, why=repr(error))
                await self._clock.sleep(RETRY_WAIT_SECONDS)

    async def _consume(self, after: int) -> AsyncGenerator[list[Raw]]:
        nats = self._connection.nats
        info = await self._connection.js.add_consumer(
            self._stream,
            ConsumerConfig(
                filter_subjects=self._filters,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=after + 1,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=INACTIVE_SECONDS,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        pull = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{info.name}"
        inbox = nats.new_inbox()
        subscription = await nats.subscribe(inbox)
        delivered, credit = 0, 0
        try:
            while True:
                if credit <= self._batch_max // 2:
                    await self._pull(pull, inbox)
                    credit = self._batch_max
                messages, exhausted = await self._take(subscription)
                if messages:
                    raws = [_read(message) for message in messages]
                    delivered = _check(delivered, raws)
                    credit -= len(raws)
                    yield [raw for raw, _ in raws]
                if exhausted:
                    credit = 0
        finally:
            with suppress(NatsError):
                await subscription.unsubscribe()
            with suppress(NatsError, TimeoutError):
                await self._connection.js.delete_consumer(self._stream, info.name)

    async def _pull(self, api: str, inbox: str) -> None:
        request = {
            "batch": self._batch_max,
            "expires": int(PULL_SECONDS * 1e9),
            "idle_heartbeat": int(HEARTBEAT_SECONDS * 1e9),
        }
        await self._connection.nats.publish(api, json.dumps(request).encode(), reply=inbox)

    async def _take(self, subscription: Subscription) -> tuple[list[Msg], bool]:
        """Wait for something, then take all that is there; say whether the pull request is used up."""
        messages: list[Msg] = []
        exhausted = False
        message = await _next(subscription)
        while True:
            if (message.headers or {}).get("Status"):
                exhausted = _is_end(message) or exhausted
            else:
                messages.append(message)
            if subscription.pending_msgs == 0 or len(messages) >= self._batch_max:
                return messages, exhausted
            message = await _next(subscription)


async def _next(subscription: Subscription) -> Msg:
    message = await subscription.next_msg(timeout=SILENCE_SECONDS)
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        # `asyncio.wait_for` of Python 3.11 swallows a cancellation that comes together with the message.
        raise asyncio.CancelledError
    return message


def _is_end(message: Msg) -> bool:
    status = (message.headers or {})["Status"]
    if status == "100":
        return False
    if status in {"408", "404"}:
        return True
    raise GapError(f"the consumer is gone or refused: {message.headers}")


def _read(message: Msg) -> tuple[Raw, int]:
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, with domain
    # and account hash in between where there are any.
    tokens = message.reply.split(".")
    seq, number, time = int(tokens[-4]), int(tokens[-3]), tokens[-2]
    return Raw(message.subject, seq, message.data, message.headers or {}, time), number


def _check(delivered: int, raws: Sequence[tuple[Raw, int]]) -> int:
    for raw, number in raws:
        delivered += 1
        if number != delivered:
            raise GapError(f"delivery {delivered} is missing before sequence {raw.seq}")
    return delivered
