"""A stream of messages as the source of a read model: facts in the order they were told.

What cannot be read has a place and says nothing. Nothing is acknowledged here.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import structlog

from contracts.envelope import Envelope, EnvelopeError, parse
from infra.bus.connection import Connection, Raw
from infra.bus.follow import Follower
from infra.clock import SYSTEM, Clock

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """One message of a stream."""

    seq: int
    envelope: Envelope | None
    """None where it is no CloudEvent: it has a place, and says nothing."""
    at: datetime
    """When the broker stored it."""

    @property
    def traceparent(self) -> str | None:
        """The trace that led to it."""
        return self.envelope.traceparent if self.envelope else None


class StreamSource:
    """Follows one stream."""

    def __init__(
        self,
        connection: Connection,
        stream: str,
        filter: str,  # noqa: A002 - JetStream's word
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        """Say which stream, and what of it."""
        self._connection = connection
        self._stream = stream
        self._filter = filter
        self._clock = clock

    async def head(self) -> int:
        """Give the sequence of the newest message that is followed; 0 where there is none."""
        newest = await self._connection.last(self._stream, self._filter)
        return newest.seq if newest else 0

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Told]]:
        """Give everything after a sequence, for ever, in batches of what is there."""
        follower = Follower(self._connection, self._stream, [self._filter], clock=self._clock)
        async with aclosing(follower.batches(after)) as batches:
            async for batch in batches:
                yield [self._told(raw) for raw in batch]

    def _told(self, raw: Raw) -> Told:
        try:
            envelope = parse(raw.headers, raw.body)
        except EnvelopeError as error:
            log.warning("source.unreadable", stream=self._stream, seq=raw.seq, error=str(error))
            envelope = None
        return Told(raw.seq, envelope, raw.at)
