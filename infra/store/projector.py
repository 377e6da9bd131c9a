"""One writer per read model: follows a source in order, writes in bulk, keeps its position in the same write.

A store that lost its tail, or everything, shows an older position: the projector goes on from there. A
rebuild fills the next generation in the shadow of the current one, then points to it. Nothing here
decides what a document says.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import structlog
from opentelemetry.trace import use_span
from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import PyMongoError

from contracts.errors import Refused, Unavailable
from infra.clock import SYSTEM, Clock
from infra.store.client import Document, Store, StoreUnavailable
from infra.store.read_model import POSITION_ID, Put, ReadModel, Write, newest_of_each
from infra.store.tracing import bulk_span
from infra.telemetry import metrics, tracing

log = structlog.get_logger(__name__)

POINTERS = "_read_models"
WRITES_MAX = 500
RETRY_FIRST_SECONDS = 0.2
RETRY_MAX_SECONDS = 5.0
WAIT_FOR_SECONDS = 5.0
STALE_LAG = 1_000


class Positioned(Protocol):
    """Anything that has a place in its source."""

    @property
    def seq(self) -> int:
        """Its sequence."""
        ...

    @property
    def traceparent(self) -> str | None:
        """The trace that led to it."""
        ...


ItemT = TypeVar("ItemT", bound=Positioned)
ItemT_co = TypeVar("ItemT_co", bound=Positioned, covariant=True)


class Source(Protocol[ItemT_co]):
    """What a read model is made from, in order."""

    def follow(self, after: int) -> AsyncIterator[Sequence[ItemT_co]]:
        """Give everything after a sequence, for ever, in batches of what is there."""
        ...

    async def head(self) -> int:
        """Give the sequence of the newest."""
        ...


Project = Callable[[Sequence[ItemT]], Awaitable[Sequence[Write]]]


class _MovedError(Exception):
    """The store's position is not where this writer left it: read it again."""


@dataclass(slots=True)
class _Place:
    """How far one generation is."""

    generation: int
    seq: int


class Projector(Generic[ItemT]):
    """Keeps one read model."""

    def __init__(
        self,
        service: str,
        store: Store,
        model: ReadModel,
        source: Source[ItemT],
        project: Project[ItemT],
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        """Say what is made from what; `run` does it."""
        self.name = model.name
        self.model = model
        self._store = store
        self._source = source
        self._project = project
        self._clock = clock
        self._place: _Place | None = None
        self._turn = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._tracer = tracing.tracer_for(service)
        self._lag = metrics.gauge("tracseq_projector_lag", service=service, read_model=model.name)
        self._documents = metrics.counter(
            "tracseq_projector_documents_total", service=service, read_model=model.name
        )

    @property
    def position(self) -> int:
        """The newest sequence that the read model shows, as far as this process knows."""
        return self._place.seq if self._place else 0

    async def run(self) -> None:
        """Keep the read model for ever, whatever becomes of the store meanwhile."""
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                place = await self._read_place()
                pause = RETRY_FIRST_SECONDS
                async for batch in self._source.follow(place.seq):
                    await self._take(batch)
            except _MovedError:
                log.info("projector.position_moved", read_model=self.name)
            except StoreUnavailable as error:
                log.warning(
                    "projector.waits", read_model=self.name, after_seconds=pause, error=str(error)
                )
                await self._clock.sleep(pause)
                pause = min(pause * 2, RETRY_MAX_SECONDS)

    async def _take(self, batch: Sequence[ItemT]) -> None:
        writes = newest_of_each(list(await self._project(batch)))
        async with self._turn:
            place = self._place
            if place is None:
                raise _MovedError
            if batch[-1].seq > place.seq:
                await self._write(place, writes, batch)
        async with self._moved:
            self._moved.notify_all()
        self._lag.set(
            max(0, await self._source.head() - place.seq) if len(batch) >= WRITES_MAX else 0
        )

    async def _write(self, place: _Place, writes: Sequence[Write], batch: Sequence[ItemT]) -> None:
        """Write documents, then the position, in one ordered bulk; a position that moved is no longer ours."""
        collection = self._store.collection(self.model.collection(place.generation))
        traces = [item.traceparent for item in batch if item.traceparent]
        head, tail = writes[:-WRITES_MAX], writes[-WRITES_MAX:]
        try:
            with use_span(
                bulk_span(self._tracer, f"project {self.name}", traces), end_on_exit=True
            ):
                for start in range(0, len(head), WRITES_MAX):
                    await collection.bulk_write(
                        [_request(w) for w in head[start : start + WRITES_MAX]], ordered=True
                    )
                requests = [
                    *(_request(write) for write in tail),
                    _move(place.seq, batch[-1].seq, writes),
                ]
                result = await collection.bulk_write(requests, ordered=True)
        except PyMongoError as error:
            self._place = None
            raise StoreUnavailable(f"read model {self.name} was not written: {error}") from error
        puts = sum(isinstance(write, Put) for write in tail)
        if result.matched_count + result.upserted_count != puts + 1:
            self._place = None
            raise _MovedError
        place.seq = batch[-1].seq
        self._documents.inc(len(writes))

    # Where it stands

    async def _read_place(self) -> _Place:
        async with self._turn:
            try:
                generation = await self._read_generation()
                self._place = await self._open(generation)
            except PyMongoError as error:
                raise StoreUnavailable(
                    f"the position of {self.name} cannot be read: {error}"
                ) from error
            return self._place

    async def _read_generation(self) -> int:
        pointers = self._store.collection(POINTERS)
        found = await pointers.find_one({"_id": self.name})
        if found is None:
            await pointers.update_one(
                {"_id": self.name}, {"$setOnInsert": {"generation": 1}}, upsert=True
            )
            found = await pointers.find_one({"_id": self.name})
        return int(found["generation"]) if found else 1

    async def _open(self, generation: int) -> _Place:
        collection = self._store.collection(self.model.collection(generation))
        found = await collection.find_one({"_id": POSITION_ID})
        if found is None:
            for keys in self.model.indexes():
                await collection.create_index(keys)
            await collection.update_one(
                {"_id": POSITION_ID}, {"$setOnInsert": {"seq": 0}}, upsert=True
            )
            return _Place(generation, 0)
        return _Place(generation, int(found["seq"]))

    async def wait_for(self, seq: int, *, timeout_seconds: float = WAIT_FOR_SECONDS) -> None:
        """Wait until the read model shows a sequence.

        Raises:
            Refused: it does not within the bound (`Unavailable`).
        """
        try:
            async with asyncio.timeout(timeout_seconds), self._moved:
                await self._moved.wait_for(lambda: self.position >= seq)
        except TimeoutError:
            behind = f"The list of {self.name} ({seq - self.position} entries behind)"
            raise Refused(Unavailable(what=behind, retry_after_seconds=2)) from None

    # Rebuilding

    async def rebuild(self, on_progress: Callable[[int, int], None] | None = None) -> int:
        """Make the read model anew from the beginning while the present one serves; give its new generation.

        `on_progress` hears (sequence reached, sequence of the newest). Raises:
            StoreUnavailable: the store does not answer; the present one goes on serving.
        """
        try:
            present = await self._read_generation()
            shadow = present + 1
            await self._store.collection(self.model.collection(shadow)).drop()
            place = await self._open(shadow)
            await self._fill(place, on_progress)
            await self._store.collection(self.model.collection(present)).drop()
        except PyMongoError as error:
            raise StoreUnavailable(f"read model {self.name} was not rebuilt: {error}") from error
        return shadow

    async def _fill(self, place: _Place, on_progress: Callable[[int, int], None] | None) -> None:
        head = await self._source.head()
        if place.seq >= head:
            async with self._turn:
                await self._point_to(place)
            return
        async for batch in self._source.follow(place.seq):
            await self._write(place, newest_of_each(list(await self._project(batch))), batch)
            if on_progress is not None:
                on_progress(place.seq, head)
            if place.seq >= head:
                head = await self._source.head()
            async with self._turn:
                live = self._place.seq if self._place else 0
                if place.seq >= max(live, head):
                    await self._point_to(place)
                    return

    async def _point_to(self, place: _Place) -> None:
        await self._store.collection(POINTERS).update_one(
            {"_id": self.name}, {"$set": {"generation": place.generation}}, upsert=True
        )
        self._place = place
        log.info(
            "projector.rebuilt", read_model=self.name, generation=place.generation, seq=place.seq
        )

    def collection_name(self) -> str:
        """Name the collection that serves now."""
        return self.model.collection(self._place.generation if self._place else 1)


def _request(write: Write) -> Any:  # noqa: ANN401 - pymongo's own union of requests
    if isinstance(write, Put):
        document = write.document()
        return ReplaceOne({"_id": write.id}, document, upsert=True)
    return DeleteOne({"_id": write.id})


def _move(before: int, after: int, writes: Sequence[Write]) -> UpdateOne:
    update: Document = {"$set": {"seq": after}}
    orders = [write.order for write in writes if isinstance(write, Put)]
    if orders:
        update["$min"] = {"order_min": min(orders)}
        update["$max"] = {"order_max": max(orders)}
    return UpdateOne({"_id": POSITION_ID, "seq": before}, update)
