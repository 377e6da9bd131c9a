"""Follow a stream from a position, live and in order, without a gap, over any outage.

Uses a short-lived consumer of its own that is made anew from the last position whenever anything
looks wrong: silence beyond the heartbeat, a gap in the delivery count, a lost connection. It
acknowledges nothing: whoever follows keeps the position beside what they make of it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts.errors import Retryable
from infra.bus.connection import Connection, Raw
from infra.bus.pull import Pull
from infra.clock import SYSTEM, Clock

log = structlog.get_logger(__name__)

BATCH_MAX = 500
"""Messages asked for at once, and so held at once."""
INACTIVE_SECONDS = 30.0
"""How long the broker keeps the consumer of a follower that died."""
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
                async with aclosing(self._consume(after)) as batches:
                    async for batch in batches:
                        after = batch[-1].seq
                        yield batch
            except (Retryable, NatsError, GapError) as error:
                log.info("follow.again", stream=self._stream, after=after, why=repr(error))
                await self._clock.sleep(RETRY_WAIT_SECONDS)

    async def _consume(self, after: int) -> AsyncGenerator[list[Raw]]:
        consumer, delivered = await self._make_consumer(after), 0
        try:
            async with Pull.open(
                self._connection,
                stream=self._stream,
                consumer=consumer,
                ahead_max=self._batch_max,
                alone=True,
            ) as pull:
                while True:
                    batch = [
                        _read(message, delivered + number)
                        for number, message in enumerate(await pull.take(), start=1)
                    ]
                    delivered += len(batch)
                    if batch:
                        yield batch
        finally:
            if self._connection.connected:
                with suppress(Retryable):
                    await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{consumer}")

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


def _read(message: Msg, expected: int) -> Raw:
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>, with
    # domain and account hash in between where there are any.
    tokens = message.reply.split(".")
    seq, number, time = int(tokens[-4]), int(tokens[-3]), tokens[-2]
    if number != expected:
        raise GapError(f"delivery {expected} is missing before sequence {seq}")
    return Raw(message.subject, seq, message.data, message.headers or {}, time)
