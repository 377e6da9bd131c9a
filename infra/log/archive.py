"""Logs that are closed, in compressed files: written, read back, and read again whenever asked for.

A file holds many logs of one stream as JSON lines: first what it is, then one line for each log,
with the very bytes that were hashed. The file is named by its content, and whoever refers to it
keeps that name. Which logs are closed is decided elsewhere.
"""

import asyncio
import gzip
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts import subjects
from contracts.entry import hash_of
from contracts.types import FileRef
from infra.bus.connection import Connection
from infra.bus.files import Files
from infra.bus.reads import Raw

MARK = "tracseq-archived"
"""Header of the newest entry of an archived log: the file that holds those before, as text."""
FORMAT = "tracseq.archive/1"
MEDIA_TYPE = "application/gzip"
OPEN_MAX = 4
"""Files kept in memory, unpacked; the least used goes first."""


class DamagedArchiveError(RuntimeError):
    """A file of the archive does not say what it was written to say."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written and found to be good."""

    mark: str
    """What refers to it: see `MARK`."""
    size_bytes: int


class Archive:
    """The archive of one broker."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; nothing is read yet."""
        self._files = Files(connection, bucket=subjects.ARCHIVE_BUCKET)
        self._open: OrderedDict[str, Mapping[str, Sequence[Raw]]] = OrderedDict()

    async def write(self, stream: str, logs: Sequence[Sequence[Raw]]) -> Written:
        """Keep whole logs, oldest entry first, in one file; it was read back and compared.

        Raises:
            DamagedArchiveError: what was read back is something else.
            ValueError: together they are larger than a file may be.
            BrokerUnavailable: NATS did not take it, or not give it back.
        """
        data = await asyncio.to_thread(_pack, stream, logs)
        ref = await self._files.put(data, name=f"{stream}.jsonl.gz", media_type=MEDIA_TYPE)
        kept = await asyncio.to_thread(_unpack, await self._files.get(ref))
        for log in logs:
            subject = log[0].subject
            if [raw.body for raw in kept.get(subject, ())] != [raw.body for raw in log]:
                raise DamagedArchiveError(f"{subject} was archived as something else than it is")
        return Written(f"{ref.sha256}:{ref.size_bytes}", ref.size_bytes)

    async def read(self, mark: str, subject: str) -> Sequence[Raw]:
        """Read a whole log as it was when it was archived, oldest entry first.

        Raises:
            Refused: the file is not there.
            DamagedFileError, DamagedArchiveError: it does not hold what its name says.
            BrokerUnavailable: NATS did not give it.
        """
        opened = self._open.get(mark)
        if opened is None:
            sha256, _, size_bytes = mark.partition(":")
            ref = FileRef(
                sha256=sha256, size_bytes=int(size_bytes), name=subject, media_type=MEDIA_TYPE
            )
            opened = self._open[mark] = await asyncio.to_thread(_unpack, await self._files.get(ref))
            if len(self._open) > OPEN_MAX:
                self._open.popitem(last=False)
        if subject not in opened:
            raise DamagedArchiveError(f"{subject} is not in the archive {mark} that it refers to")
        return opened[subject]


def _pack(stream: str, logs: Sequence[Sequence[Raw]]) -> bytes:
    heads = [f"{log[0].subject} {hash_of(log[-1].body)}" for log in logs]
    manifest = {"format": FORMAT, "stream": stream, "logs": len(logs), "root": _root(heads)}
    lines: list[Mapping[str, object]] = [manifest]
    for log in logs:
        entries = [{"seq": raw.seq, "time": raw.time, "body": raw.body.decode()} for raw in log]
        lines.append({"subject": log[0].subject, "entries": entries})
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    # Without the time of packing: the same logs are the same file.
    return gzip.compress(text.encode(), mtime=0)


def _unpack(data: bytes) -> Mapping[str, Sequence[Raw]]:
    lines = gzip.decompress(data).split(b"\n")[:-1]
    manifest = json.loads(lines[0])
    if manifest["format"] != FORMAT:
        raise DamagedArchiveError(f"archive of format {manifest['format']!r}, not {FORMAT!r}")
    logs: dict[str, Sequence[Raw]] = {}
    for line in lines[1:]:
        log = json.loads(line)
        logs[log["subject"]] = [
            Raw(log["subject"], one["seq"], one["body"].encode(), {}, one["time"])
            for one in log["entries"]
        ]
    heads = [f"{subject} {hash_of(log[-1].body)}" for subject, log in logs.items()]
    if len(logs) != manifest["logs"] or _root(heads) != manifest["root"]:
        raise DamagedArchiveError("the logs of an archive are not those that its manifest names")
    return logs


def _root(heads: Sequence[str]) -> str:
    """Name the newest entries of many logs, in order, by one hash."""
    return hashlib.sha256("\n".join(heads).encode()).hexdigest()
