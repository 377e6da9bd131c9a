"""Everything that happens, live: facts of services and of the bench, each in its own order.

It reads and hands on; nothing is acknowledged or decided here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from contracts import subjects
from contracts.envelope import Envelope, EnvelopeError, parse
from contracts.message import Kind
from infra.bus.connection import Connection
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
) -> AsyncIterator[Delivered]:
    """Give everything after these sequences of `EVENTS` and `LAB`, for ever; None: from now on."""
    buffer: asyncio.Queue[Delivered] = asyncio.Queue(maxsize=BUFFER_MAX)
    sources = (
        (subjects.EVENTS, subjects.every(Kind.EVENT), evt_after),
        (subjects.LAB, subjects.every(Kind.LAB), lab_after),
    )
    starts = [
        await connection.head(stream) if after is None else after for stream, _, after in sources
    ]
    tasks = [
        asyncio.create_task(_pump(connection, stream, filter_, start, buffer))
        for (stream, filter_, _), start in zip(sources, starts, strict=True)
    ]
    try:
        while True:
            getting = asyncio.ensure_future(buffer.get())
            await asyncio.wait([getting, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    getting.cancel()
                    task.result()
            yield await getting
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    connection: Connection, stream: str, filter_: str, after: int, buffer: asyncio.Queue[Delivered]
) -> None:
    async with aclosing(Follower(connection, stream, [filter_]).batches(after)) as batches:
        async for batch in batches:
            for raw in batch:
                try:
                    envelope = parse(raw.headers, raw.body)
                except EnvelopeError as error:
                    log.warning("tail.unreadable", stream=stream, seq=raw.seq, error=str(error))
                    continue
                await buffer.put(Delivered(stream, raw.seq, envelope))
