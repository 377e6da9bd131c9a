"""Move closed logs out of the broker's memory: into a file of the archive, then out of the stream.

The newest entry stays where it is, with the name of the file: so a log can still be loaded, read in
full and continued, and its id never begins again. It replaces the entries before it in one step
that the broker does or does not do, and only after the file was read back and compared. Whatever
dies in between leaves a file too many, and no log too few. Which logs are closed is decided
elsewhere.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from contracts.aggregate import Aggregate, Loaded
from contracts.entry import BrokenChainError, verify_chain
from contracts.errors import Conflict
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ
from infra.bus.reads import Raw
from infra.log.archive import MARK, Archive
from infra.log.log import Log

log = structlog.get_logger(__name__)

FILE_LOGS_MAX = 500
FILE_BYTES_MAX = 16 * 1024 * 1024
"""Of entries in one file, before they are compressed; a single log may be larger."""
AT_ONCE = 16
"""Logs read, or moved, at the same time."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved; sums add up."""

    logs: int = 0
    entries: int = 0
    files: int = 0
    size_bytes: int = 0
    left: int = 0
    """Logs that stay where they are: changed meanwhile, larger than a file, or broken."""

    def __add__(self, other: "Moved") -> "Moved":
        """Add up."""
        return Moved(
            self.logs + other.logs,
            self.entries + other.entries,
            self.files + other.files,
            self.size_bytes + other.size_bytes,
            self.left + other.left,
        )


class Archiving:
    """Moves the logs of one kind of aggregate in one stream."""

    def __init__(self, source: Log, kind: Aggregate[Any]) -> None:
        """Say which; nothing is read yet."""
        self._log = source
        self._kind = kind
        self._archive = Archive(source.connection)

    async def move(self, closed: Sequence[Loaded[Any]]) -> Moved:
        """Archive logs as they were loaded; one that changed since, or is broken, is left.

        Raises:
            BrokerUnavailable: NATS did not answer; what was moved is moved, begin again.
        """
        moved = Moved()
        batch: list[Sequence[Raw]] = []
        size_bytes = 0
        for start in range(0, len(closed), AT_ONCE):
            part = closed[start : start + AT_ONCE]
            logs = await asyncio.gather(*(self._log.raws(self._kind, one.key) for one in part))
            for one, raws in zip(part, logs, strict=True):
                if not raws or raws[-1].seq != one.seq or not _holds_together(raws):
                    moved += Moved(left=1)
                    continue
                own_bytes = sum(len(raw.body) for raw in raws)
                if batch and size_bytes + own_bytes > FILE_BYTES_MAX:
                    moved += await self._move(batch)
                    batch, size_bytes = [], 0
                batch.append(raws)
                size_bytes += own_bytes
            if len(batch) >= FILE_LOGS_MAX:
                moved += await self._move(batch)
                batch, size_bytes = [], 0
        return moved + await self._move(batch) if batch else moved

    async def _move(self, logs: Sequence[Sequence[Raw]]) -> Moved:
        try:
            written = await self._archive.write(self._log.stream, logs)
        except ValueError as error:
            log.warning("archive.too_large", stream=self._log.stream, error=str(error))
            return Moved(left=len(logs))
        done = 0
        for start in range(0, len(logs), AT_ONCE):
            part = logs[start : start + AT_ONCE]
            done += sum(await asyncio.gather(*(self._replace(one, written.mark) for one in part)))
        entries = sum(len(one) for one in logs)
        return Moved(done, entries, 1, written.size_bytes, len(logs) - done)

    async def _replace(self, raws: Sequence[Raw], mark: str) -> bool:
        """Leave the newest entry of a log in its stream, with where the others are."""
        newest = raws[-1]
        headers = {
            EXPECTED_LAST_SUBJECT_SEQ: str(newest.seq),
            "Nats-Rollup": "sub",
            MARK: mark,
        }
        try:
            await self._log.connection.publish(
                newest.subject, newest.body, headers, stream=self._log.stream
            )
        except Conflict:
            return False
        return True


def _holds_together(raws: Sequence[Raw]) -> bool:
    """Say whether a log may be moved: what is broken stays where the auditor and people look."""
    try:
        verify_chain(raw.body for raw in raws)
    except BrokenChainError as error:
        log.error("archive.broken_chain", subject=raws[0].subject, error=str(error))  # noqa: TRY400 - said in full
        return False
    return True
