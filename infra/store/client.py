"""One service's database, reached through motor, speaking in this project's errors.

A store that does not answer is no reason to stop: commands and reads by id go on, lists answer 503.
"""

import asyncio
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo.errors import PyMongoError

from contracts.errors import Retryable

SELECT_TIMEOUT_MS = 2_000
CONNECT_TIMEOUT_MS = 2_000
SOCKET_TIMEOUT_MS = 10_000
IDLE_MAX_MS = 120_000
"""Below the embedded store's own 300 s, after which it drops a connection without a word."""
POOL_MAX = 16
PING_TIMEOUT_SECONDS = 1.5

Document = dict[str, Any]
Collection = AsyncIOMotorCollection[Document]


class StoreUnavailable(Retryable):
    """The document store did not answer, or not in time."""


class Store:
    """One service's database."""

    def __init__(self, url: str, database: str) -> None:
        """Prepare; the first use connects. Options in the URL win over the bounds here."""
        self._url = url
        self.database = database
        self._client: AsyncIOMotorClient[Document] | None = None

    def _connected(self) -> AsyncIOMotorClient[Document]:
        if self._client is None:
            self._client = AsyncIOMotorClient(
                self._url,
                serverSelectionTimeoutMS=SELECT_TIMEOUT_MS,
                connectTimeoutMS=CONNECT_TIMEOUT_MS,
                socketTimeoutMS=SOCKET_TIMEOUT_MS,
                maxIdleTimeMS=IDLE_MAX_MS,
                maxPoolSize=POOL_MAX,
                appname=self.database,
                tz_aware=True,
                io_loop=asyncio.get_running_loop(),
            )
        return self._client

    def collection(self, name: str) -> Collection:
        """Give a collection of this database."""
        return self._connected()[self.database][name]

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

        Raises:
            StoreUnavailable: the store does not answer.
        """
        try:
            await self._connected().drop_database(self.database)
        except PyMongoError as error:
            raise StoreUnavailable(f"{self.database} was not dropped: {error}") from error

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
