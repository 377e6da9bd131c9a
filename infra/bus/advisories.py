"""What the broker says of messages that died before this project's own middleware saw their end.

A handler that kills its process at each delivery is never judged by `retry.py`: the broker stops
handing the message out, says so once, and leaves it where it lies. The sweeper makes a dead letter
of it. Nothing is sent again here.
"""

import json
from datetime import datetime
from typing import Any, cast

import structlog
from pydantic import BaseModel, ConfigDict

from contracts.envelope import Envelope, EnvelopeError
from infra.bus.connection import Connection
from infra.bus.dead import DeadLetters
from infra.bus.delivery import Delivery
from infra.bus.streams import STREAMS

SOURCE = "nats"

_WORK_QUEUES = {stream.name: stream.work_queue for stream in STREAMS}
_log = structlog.get_logger(__name__)


class Exhausted(BaseModel):
    """The broker handed a message out as often as it may, and nobody ever ended it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int


def read_advisory(body: bytes) -> Envelope:
    """Read an advisory, which the broker writes as plain JSON, as the envelope it amounts to.

    Raises:
        EnvelopeError: it is no advisory.
    """
    try:
        document = cast("dict[str, Any]", json.loads(body))
        return Envelope(
            id=str(document["id"]),
            type=str(document["type"]),
            source=SOURCE,
            time=datetime.fromisoformat(document["timestamp"]),
            data=body,
            correlation=str(document["id"]),
            actor=SOURCE,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeError(f"no advisory of the broker: {error!r}") from error


class Sweeper:
    """Makes dead letters of messages that the broker gave up."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; nothing is read yet."""
        self._connection = connection
        self._dead = DeadLetters(connection)

    async def on_advisory(self, delivery: Delivery) -> None:
        """Bury the message that an advisory names, then take it out of its work queue.

        Copied first and deleted after, and each twice is once, so a crash in between loses nothing.

        Raises:
            BrokerUnavailable: it is not done; the advisory comes again.
            pydantic.ValidationError: the advisory is not about deliveries.
        """
        told = Exhausted.model_validate_json(delivery.envelope.data)
        if told.stream not in _WORK_QUEUES:
            _log.info("sweeper.not_ours", stream=told.stream, consumer=told.consumer)
            return
        raw = await self._connection.by_seq(told.stream, told.stream_seq)
        if raw is None:
            _log.info("sweeper.gone", stream=told.stream, seq=told.stream_seq)
            return
        await self._dead.bury(
            consumer=told.consumer,
            stream=told.stream,
            subject=raw.subject,
            seq=raw.seq,
            deliveries=told.deliveries,
            reason=f"delivered {told.deliveries} times without an end",
            headers=raw.headers,
            body=raw.body,
        )
        if _WORK_QUEUES[told.stream]:
            await self._connection.delete(told.stream, raw.seq)
        _log.error("message.swept", stream=told.stream, seq=raw.seq, consumer=told.consumer)
