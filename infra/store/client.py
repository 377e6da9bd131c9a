"""One service's database, reached through motor, behind circuit breakers.

A store that does not answer is no reason to stop: commands and reads by id go on, lists answer 503.
Everything that waits here has a bound. What is written is decided elsewhere.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import CollectionInvalid, OperationFailure, PyMongoError

from infra.breaker import BreakerRegistry
from infra.store.errors import StoreUnavailable, reaching
from infra.store.guarded import Document, Documents, Guards, Session

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

    def __init__(self, url: str, database: str, *, breakers: BreakerRegistry | None = None) -> None:
        """Prepare; the first use connects. See `options_for` for what the URL leaves open.

        Args:
            url: of the store.
            database: its name there.
            breakers: of the service, where those of the store are seen and told; without them it
                has its own.
        """
        self._url = url
        self.database = database
        self._guards = Guards.of(breakers or BreakerRegistry(database))
        self._pinging: asyncio.Future[Any] | None = None
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

    def documents(self, name: str) -> Documents:
        """Give a collection of this database."""
        return Documents(self._database[name], self._guards)

    async def names(self, prefix: str) -> list[str]:
        """Name the collections that begin so.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        with reaching("the collections cannot be listed"):
            names = await self._guards.asking.call(self._database.list_collection_names)
        return [name for name in names if name.startswith(prefix)]

    async def create(self, name: str) -> None:
        """Make a collection, where there is none.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        with reaching(f"collection {name} was not made"):
            try:
                await self._guards.writing.call(self._database.create_collection, name)
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
        with reaching(f"{self.database} was not written"):
            await self._guards.writing.call(self._finish, work)

    async def _finish(self, work: Callable[[Session], Awaitable[None]]) -> None:
        """Let nothing end a transaction in the middle, also not the breaker's time."""
        async with self._dropping:
            doing = asyncio.ensure_future(self._transact(work))
            self._writing.add(doing)
            doing.add_done_callback(self._writing.discard)
        try:
            await asyncio.shield(doing)
        except asyncio.CancelledError:
            # A session is used by one thread at a time: it is not left in the middle of a call.
            await asyncio.wait({doing}, timeout=SOCKET_TIMEOUT_MS / 1_000)
            raise

    async def _transact(self, work: Callable[[Session], Awaitable[None]]) -> None:
        async with (
            await self._connected().start_session() as session,
            session.start_transaction(),
        ):
            await work(session)

    async def ping(self) -> None:
        """Return where the store answers.

        Past the breakers, which it tells nothing: readiness asks as often as somebody likes, and
        would take the trial calls of a store that recovers. One ping at a time is under way,
        however many ask, so that a store that hangs does not gather them.

        Raises:
            StoreUnavailable: it does not.
        """
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.ensure_future(self._connected().admin.command("ping"))
            # Whoever asked may be gone by the time it fails.
            self._pinging.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(PING_TIMEOUT_SECONDS):
                await asyncio.shield(self._pinging)
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
                await self._guards.writing.call(self._connected().drop_database, self.database)

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
