"""Object stores: uploads and large parts of messages, archived logs, all named by their content.

A message never carries more than a reference. The same content is kept once; what is read is
checked against its name. The layout is that of NATS' own object stores (its ADR-20), so its tools
read it; the client's own means are left aside: they wait many seconds where the connection is lost.
"""

import base64
import hashlib
import json

from contracts import subjects
from contracts.errors import NotFound, Refused
from contracts.types import FileRef
from infra.bus.connection import Connection
from infra.ids import new_id

FILE_BYTES_MAX = 64 * 1024 * 1024
CHUNK_BYTES = 128 * 1024


class DamagedFileError(RuntimeError):
    """What the store gave does not have the content that its name says."""


class Files:
    """One object store; `files` unless another is named."""

    def __init__(self, connection: Connection, *, bucket: str = subjects.FILES_BUCKET) -> None:
        """Use a connection."""
        self._connection = connection
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"

    async def put(
        self, data: bytes, *, name: str, media_type: str = "application/octet-stream"
    ) -> FileRef:
        """Keep a file and give the reference to it.

        Raises:
            ValueError: it has more than `FILE_BYTES_MAX` bytes.
            BrokerUnavailable: NATS did not take it; put it again.
            MissingStream: the provisioner has not run.
        """
        if len(data) > FILE_BYTES_MAX:
            raise ValueError(f"{name} has {len(data)} bytes; at most {FILE_BYTES_MAX} are kept")
        digest = hashlib.sha256(data)
        key = digest.hexdigest()
        if await self._nuid(key) is None:
            await self._write(key, digest.digest(), data)
        return FileRef(sha256=key, size_bytes=len(data), name=name, media_type=media_type)

    async def _write(self, key: str, digest: bytes, data: bytes) -> None:
        """Write the parts, then what names them: until then nobody sees them.

        A second writer of the same content writes parts of its own; the last one is seen.
        """
        nuid = new_id().hex
        starts = range(0, len(data), CHUNK_BYTES)
        for start in starts:
            part = data[start : start + CHUNK_BYTES]
            await self._connection.publish(self._parts_subject(nuid), part, stream=self._stream)
        about = {
            "name": key,
            "bucket": self._bucket,
            "nuid": nuid,
            "size": len(data),
            "chunks": len(starts),
            "digest": f"SHA-256={base64.urlsafe_b64encode(digest).decode()}",
            "options": {"max_chunk_size": CHUNK_BYTES},
        }
        only_the_newest = {"Nats-Rollup": "sub"}
        body = json.dumps(about).encode()
        await self._connection.publish(
            self._about_subject(key), body, only_the_newest, stream=self._stream
        )

    async def get(self, ref: FileRef) -> bytes:
        """Read a file.

        Raises:
            Refused: there is no such file.
            DamagedFileError: its content is not what its name says.
            BrokerUnavailable: NATS did not give it.
        """
        nuid = await self._nuid(ref.sha256)
        if nuid is None:
            raise Refused(NotFound(what="file", key=ref.sha256))
        parts = self._connection.read(self._stream, self._parts_subject(nuid))
        data = b"".join([part.body async for part in parts])
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise DamagedFileError(f"file {ref.sha256} ({ref.name}) is damaged in the store")
        return data

    async def _nuid(self, key: str) -> str | None:
        """Give the name of a file's parts; None where there is no such file."""
        about = await self._connection.last(self._stream, self._about_subject(key))
        document = json.loads(about.body) if about is not None else {"deleted": True}
        return None if document.get("deleted") else str(document["nuid"])

    def _about_subject(self, key: str) -> str:
        return f"$O.{self._bucket}.M.{base64.urlsafe_b64encode(key.encode()).decode()}"

    def _parts_subject(self, nuid: str) -> str:
        return f"$O.{self._bucket}.C.{nuid}"
