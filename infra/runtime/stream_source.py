"""A stream of messages as the source of a read model: facts in the order in which they were told."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

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
        self, connection: Connection, stream: str, filter: str, *, clock: Clock = SYSTEM
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

    async def follow(self, after: int) -> AsyncIterator[Sequence[Told]]:
        """Give everything after a sequence, for ever, in batches of what is there."""
        async for batch in Follower(
            self._connection, self._stream, [self._filter], clock=self._clock
        ).batches(after):
            told: list[Told] = []
            for raw in batch:
                try:
                    envelope = parse(raw.headers, raw.body)
                except EnvelopeError as error:
                    log.warning(
                        "source.unreadable", stream=self._stream, seq=raw.seq, error=str(error)
                    )
                    envelope = None
                told.append(Told(raw.seq, envelope, _stored_at(raw)))
            yield told


def _stored_at(raw: Raw) -> datetime:
    # A followed message carries nanoseconds since 1970.
    return datetime.fromtimestamp(int(raw.time) / 1e9, UTC)
