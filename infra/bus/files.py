"""The object store `files`: uploads and large parts of messages, named by their content.

A message never carries more than a reference. The same content is kept once; what is read is
checked against its name. Files are written by the client's object store and read by direct gets:
its own reading makes a consumer, and hangs for 20 s where the connection is lost meanwhile.
"""

import asyncio
import base64
import hashlib
import json

from nats.errors import Error as NatsError
from nats.js.errors import BucketNotFoundError, ObjectNotFoundError
from nats.js.object_store import ObjectStore

from contracts import subjects
from contracts.errors import NotFound, Refused
from contracts.types import FileRef
from infra.bus.connection import BrokerUnavailable, Connection

FILE_BYTES_MAX = 64 * 1024 * 1024
STREAM = f"OBJ_{subjects.FILES_BUCKET}"
"""The stream in which NATS keeps the bucket (ADR-20 of its own)."""
FILE_SECONDS_MAX = 60.0
"""How long one file may take; the client itself would wait for a lost part for ever."""


class DamagedFileError(RuntimeError):
    """What the store gave does not have the content that its name says."""


class Files:
    """The object store `files`."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; the bucket is looked up at first use."""
        self._connection = connection
        self._bucket: ObjectStore | None = None

    async def _store(self) -> ObjectStore:
        if self._bucket is None:
            try:
                self._bucket = await self._connection.js.object_store(subjects.FILES_BUCKET)
            except (BucketNotFoundError, NatsError, TimeoutError) as error:
                raise BrokerUnavailable(
                    f"the file store is not there: run `tracseq provision` ({error!r})"
                ) from error
        return self._bucket

    async def put(
        self, data: bytes, *, name: str, media_type: str = "application/octet-stream"
    ) -> FileRef:
        """Keep a file and give the reference to it.

        Raises:
            ValueError: it has more than `FILE_BYTES_MAX` bytes.
            BrokerUnavailable: NATS did not take it.
        """
        if len(data) > FILE_BYTES_MAX:
            raise ValueError(f"{name} has {len(data)} bytes; at most {FILE_BYTES_MAX} are kept")
        digest = hashlib.sha256(data).hexdigest()
        store = await self._store()
        try:
            async with asyncio.timeout(FILE_SECONDS_MAX):
                if not await self._has(store, digest):
                    await store.put(digest, data)
        except (NatsError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"{name} could not be kept: {error!r}") from error
        return FileRef(sha256=digest, size_bytes=len(data), name=name, media_type=media_type)

    @staticmethod
    async def _has(store: ObjectStore, digest: str) -> bool:
        try:
            await store.get_info(digest)
        except ObjectNotFoundError:
            return False
        return True

    async def get(self, ref: FileRef) -> bytes:
        """Read a file.

        Raises:
            Refused: there is no such file.
            DamagedFileError: its content is not what its name says.
            BrokerUnavailable: NATS did not give it.
        """
        meta = await self._connection.last(STREAM, _meta_subject(ref.sha256))
        about = json.loads(meta.body) if meta is not None else {"deleted": True}
        if about.get("deleted"):
            raise Refused(NotFound(what="file", key=ref.sha256))
        chunks = self._connection.read(STREAM, f"$O.{subjects.FILES_BUCKET}.C.{about['nuid']}")
        data = b"".join([chunk.body async for chunk in chunks])
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise DamagedFileError(f"file {ref.sha256} ({ref.name}) is damaged in the store")
        return data


def _meta_subject(name: str) -> str:
    return f"$O.{subjects.FILES_BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
