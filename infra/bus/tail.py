"""Everything that happens, live: facts of services and of the bench, each in its own order.

It reads and hands on; nothing is acknowledged or decided here.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from contracts import subjects
from contracts.envelope import Envelope, EnvelopeError, parse
from contracts.message import Kind
from infra.bus.connection import Connection, Raw
from infra.bus.follow import Follower

log = structlog.get_logger(__name__)

BUFFER_MAX = 1_000
"""Messages between the broker and a slow reader; beyond it the broker is no longer asked."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One thing that happened, and where it lies."""

    stream: str
    seq: int
    envelope: Envelope


async def tail(
    connection: Connection, *, evt_after: int | None, lab_after: int | None
) -> AsyncGenerator[Delivered]:
    """Give everything after these sequences of `EVENTS` and `LAB`, for ever; None: from now on."""
    buffer: asyncio.Queue[Delivered | Exception] = asyncio.Queue(maxsize=BUFFER_MAX)
    sources = (
        _Source(subjects.EVENTS, subjects.every(Kind.EVENT)),
        _Source(subjects.LAB, subjects.every(Kind.LAB)),
    )
    starts = [
        await connection.head(source.stream) if after is None else after
        for source, after in zip(sources, (evt_after, lab_after), strict=True)
    ]
    pumps = [
        asyncio.create_task(source.pump(connection, start, buffer))
        for source, start in zip(sources, starts, strict=True)
    ]
    try:
        while True:
            item = await buffer.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.wait(pumps)


@dataclass(frozen=True, slots=True)
class _Source:
    """One stream, and what of it is followed."""

    stream: str
    filter: str

    async def pump(
        self, connection: Connection, after: int, buffer: asyncio.Queue[Delivered | Exception]
    ) -> None:
        """Put everything into the buffer, and at last what went wrong."""
        follower = Follower(connection, self.stream, [self.filter])
        try:
            async with aclosing(follower.batches(after)) as batches:
                async for batch in batches:
                    for raw in batch:
                        await self._put(raw, buffer)
        except Exception as error:  # noqa: BLE001 - the loop's edge: whoever reads hears of it
            await buffer.put(error)

    async def _put(self, raw: Raw, buffer: asyncio.Queue[Delivered | Exception]) -> None:
        try:
            envelope = parse(raw.headers, raw.body)
        except EnvelopeError as error:
            log.warning("tail.unreadable", stream=self.stream, seq=raw.seq, error=str(error))
            return
        await buffer.put(Delivered(self.stream, raw.seq, envelope))
