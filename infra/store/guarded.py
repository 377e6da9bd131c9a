"""Every call to the document store, each through a circuit breaker; nothing else calls the driver.

One store has two breakers, for two bounds in time: `store` for questions and single writes, and
`store_writes` for transactions and for what is done to a whole collection. A mistake of ours and a
writer that was first say nothing of the store. What belongs to a transaction is a part of that one
call: guarded twice, it would wait for the trial that it is itself.

The driver's methods are handed to a breaker, never called: a test looks for that.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from motor.motor_asyncio import AsyncIOMotorClientSession, AsyncIOMotorCollection
from pymongo import DeleteOne, ReplaceOne

from infra.breaker import BreakerRegistry, CircuitBreaker, CircuitBreakerConfig
from infra.store.errors import says_nothing

ResultT = TypeVar("ResultT")

Document = dict[str, Any]
Session = AsyncIOMotorClientSession
Requests = Sequence[ReplaceOne[Document] | DeleteOne]

BATCH = 1_000
"""Documents that are fetched with one call."""

ASKING = CircuitBreakerConfig(
    request_timeout=5.0,
    # The driver has 16 connections and fewer threads: beyond a few for each, callers only wait.
    max_concurrent_requests=64,
    success_threshold=2,
    # One small question is the trial: soon, and then less often.
    recovery_timeout=1.0,
    backoff_factor=2.0,
    recovery_timeout_max=5.0,
)
"""Of `store`."""
WRITING = CircuitBreakerConfig(
    # Beyond the driver's own bound for one answer: a transaction has a few of them.
    request_timeout=30.0,
    max_concurrent_requests=16,
    success_threshold=1,
    recovery_timeout=1.0,
    backoff_factor=2.0,
    recovery_timeout_max=5.0,
)
"""Of `store_writes`."""


@dataclass(frozen=True, slots=True)
class Guards:
    """The breakers of one store."""

    asking: CircuitBreaker
    writing: CircuitBreaker

    @classmethod
    def of(cls, breakers: BreakerRegistry) -> Self:
        """Take them from a service's breakers, under the names `store` and `store_writes`."""
        return cls(
            asking=breakers.get("store", ASKING, exclude=(says_nothing,)),
            writing=breakers.get("store_writes", WRITING, exclude=(says_nothing,)),
        )


class Documents:
    """One collection; every method raises what `infra.store.errors.reaching` translates."""

    def __init__(self, collection: AsyncIOMotorCollection[Document], guards: Guards) -> None:
        """Guard a collection."""
        self._raw = collection
        self._guards = guards

    async def read_one(self, where: Document, shown: Document | None = None) -> Document | None:
        """Give one document that fits; None where there is none."""
        return await self._guards.asking.call(self._raw.find_one, where, shown)

    async def read(
        self,
        where: Document | None = None,
        shown: Document | None = None,
        *,
        newest_first: Sequence[tuple[str, int]] = (),
    ) -> AsyncGenerator[Document]:
        """Give every document that fits, in this order; each batch is a call of its own.

        So a reader that takes its time is no slow store.
        """
        cursor = self._raw.find(where, shown, batch_size=BATCH)
        if newest_first:
            cursor = cursor.sort(list(newest_first))
        full = True
        while full:
            batch = await self._guards.asking.call(cursor.to_list, BATCH)
            full = len(batch) == BATCH
            for document in batch:
                yield document

    async def insert(self, document: Document) -> None:
        """Write a document that is not there; what is there raises `DuplicateKeyError`."""
        await self._guards.asking.call(self._raw.insert_one, document)

    async def replace(
        self, where: Document, document: Document, *, session: Session | None = None
    ) -> int:
        """Write a document over one that fits; say how many did: 0 or 1."""
        done = await self._call(
            session, partial(self._raw.replace_one, where, document, session=session)
        )
        return done.matched_count

    async def delete(self, where: Document, *, session: Session | None = None) -> int:
        """Delete a document that fits; say how many did: 0 or 1."""
        done = await self._call(session, partial(self._raw.delete_one, where, session=session))
        return done.deleted_count

    async def write(self, requests: Requests, *, session: Session) -> None:
        """Write many, in order, as a part of a transaction."""
        await self._call(session, partial(self._raw.bulk_write, requests, session=session))

    async def make_index(self, keys: Sequence[tuple[str, int]]) -> None:
        """Make an index, where there is none."""
        await self._guards.writing.call(self._raw.create_index, keys)

    async def drop(self) -> None:
        """Delete the collection."""
        await self._guards.writing.call(self._raw.drop)

    async def _call(
        self, session: Session | None, operation: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """Call through the breaker; a session's transaction went through one as a whole."""
        if session is not None:
            return await operation()
        return await self._guards.asking.call(operation)
