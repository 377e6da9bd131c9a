"""One service's database, reached through motor, speaking in this project's errors.

A store that does not answer is no reason to stop: commands and reads by id go on, lists answer 503.
Everything that waits here has a bound. What is written is decided elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorCollection,
    AsyncIOMotorDatabase,
)
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from contracts.errors import Conflict, Retryable

SELECT_TIMEOUT_MS = 2_000
CONNECT_TIMEOUT_MS = 2_000
SOCKET_TIMEOUT_MS = 20_000
"""Longer than the longest call: an index over all documents, or the drop of a large collection."""
POOL_WAIT_MS = 5_000
IDLE_MAX_MS = 120_000
"""Below the embedded store's own 300 s, after which it drops a connection without a word."""
POOL_MAX = 16
PING_TIMEOUT_SECONDS = 1.5

NAMESPACE_EXISTS = 48
WRITE_CONFLICT = 112
PASSING_CODES = frozenset({43, 175, 251, 11_600, 11_602})
"""Cursor gone, plan killed, transaction unknown, shutting down, new primary: later it works."""

Document = dict[str, Any]
Collection = AsyncIOMotorCollection[Document]
Session = AsyncIOMotorClientSession


class StoreUnavailable(Retryable):
    """The document store did not answer, or not in time."""


@contextmanager
def reaching(what: str) -> Generator[None]:
    """Say the driver's errors in this project's words; a mistake of ours stays what it is.

    Raises:
        StoreUnavailable: the store did not answer while doing `what`.
        Conflict: another writer was first.
    """
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
        raise StoreUnavailable(f"{what}: {error}") from error
    except PyMongoError as error:
        codes = _codes(error)
        if WRITE_CONFLICT in codes:
            raise Conflict(f"{what}: another writer was first") from error
        if codes & PASSING_CODES or error.has_error_label("TransientTransactionError"):
            raise StoreUnavailable(f"{what}: {error}") from error
        raise


def _codes(error: PyMongoError) -> set[int]:
    if isinstance(error, BulkWriteError):
        return {int(failed["code"]) for failed in error.details.get("writeErrors", ())}
    if isinstance(error, OperationFailure) and error.code is not None:
        return {error.code}
    return set()


def options_for(url: str) -> dict[str, Any]:
    """Choose the driver's options: bounds for the embedded store, nothing for a replica set.

    Whoever runs a replica set says in its URL how to reach it; the embedded store has no reason to
    be reached otherwise. Without retryable writes: it remembers each of them for half an hour and
    walks them all at the next.
    """
    if "replicaSet=" in url or url.startswith("mongodb+srv:"):
        return {}
    return {
        "retryWrites": False,
        "serverSelectionTimeoutMS": SELECT_TIMEOUT_MS,
        "connectTimeoutMS": CONNECT_TIMEOUT_MS,
        "socketTimeoutMS": SOCKET_TIMEOUT_MS,
        "waitQueueTimeoutMS": POOL_WAIT_MS,
        "maxIdleTimeMS": IDLE_MAX_MS,
        "maxPoolSize": POOL_MAX,
    }


class Store:
    """One service's database."""

    def __init__(self, url: str, database: str) -> None:
        """Prepare; the first use connects. See `options_for` for what the URL leaves open."""
        self._url = url
        self.database = database
        self._client: AsyncIOMotorClient[Document] | None = None
        self._writing: set[asyncio.Future[None]] = set()
        self._dropping = asyncio.Lock()

    def _connected(self) -> AsyncIOMotorClient[Document]:
        if self._client is None:
            # Bound to the loop that uses it first; made late, since a loop must be there.
            self._client = AsyncIOMotorClient(
                self._url,
                appname=self.database,
                tz_aware=True,
                uuidRepresentation="standard",
                io_loop=asyncio.get_running_loop(),
                **options_for(self._url),
            )
        return self._client

    @property
    def _database(self) -> AsyncIOMotorDatabase[Document]:
        return self._connected()[self.database]

    def collection(self, name: str) -> Collection:
        """Give a collection of this database."""
        return self._database[name]

    async def names(self, prefix: str) -> list[str]:
        """Name the collections that begin so.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        with reaching("the collections cannot be listed"):
            return [n for n in await self._database.list_collection_names() if n.startswith(prefix)]

    async def create(self, name: str) -> None:
        """Make a collection, where there is none.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        with reaching(f"collection {name} was not made"):
            try:
                await self._database.create_collection(name)
            except CollectionInvalid:
                return
            except OperationFailure as error:
                # Another made it between the driver's look and its order.
                if error.code != NAMESPACE_EXISTS:
                    raise

    async def together(self, work: Callable[[Session], Awaitable[None]]) -> None:
        """Do all the writes of `work` or none of them; whoever is cancelled meanwhile waits for it.

        Raises:
            StoreUnavailable: the store did not answer; all of it may have been done, or none.
            Conflict: another writer was first; nothing was done.
        """
        async with self._dropping:
            doing = asyncio.ensure_future(self._together(work))
            self._writing.add(doing)
            doing.add_done_callback(self._writing.discard)
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            # A session is used by one thread at a time: it is not left in the middle of a call.
            await asyncio.wait({doing}, timeout=SOCKET_TIMEOUT_MS / 1_000)
            raise

    async def _together(self, work: Callable[[Session], Awaitable[None]]) -> None:
        with reaching(f"{self.database} was not written"):
            async with (
                await self._connected().start_session() as session,
                session.start_transaction(),
            ):
                await work(session)

    async def ping(self) -> None:
        """Return where the store answers.

        Raises:
            StoreUnavailable: it does not.
        """
        try:
            async with asyncio.timeout(PING_TIMEOUT_SECONDS):
                await self._connected().admin.command("ping")
        except (PyMongoError, TimeoutError) as error:
            raise StoreUnavailable(f"the document store does not answer: {error}") from error

    async def drop(self) -> None:
        """Delete the whole database: read models come back by themselves from the logs.

        Between transactions, as far as they are this process's: the embedded store ends neither a
        drop nor a transaction that meet, until the driver gives one of them up.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        async with self._dropping:
            if self._writing:
                await asyncio.wait(self._writing)
            with reaching(f"{self.database} was not dropped"):
                await self._connected().drop_database(self.database)

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
