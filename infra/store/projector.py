"""One writer per read model: follows a source in order and writes in bulk, position included.

A store that was down is waited for; one that lost its tail, or everything, shows an older position,
and the projector goes on from there. Where another process writes the same read model, one of them
stands by until the other stalls. What a document says is not decided here.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Generic

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_never,
    wait_exponential_jitter,
)

from contracts.errors import Conflict, Refused, Retryable, Unavailable
from infra.clock import SYSTEM, Clock
from infra.store.arriving import ITEMS_MAX, Arrived, follow_all
from infra.store.client import Store
from infra.store.errors import StoreUnavailable
from infra.store.generation import Generation
from infra.store.guarded import Document
from infra.store.pointer import Displaced, next_generation, read_pointer
from infra.store.read_model import Marks, Put, ReadModel, newest_of_each
from infra.store.rebuild import Progress, level, swap, tidy
from infra.store.source import ItemT, Positioned, Project, Source
from infra.store.tracing import span_for, untraced
from infra.telemetry import metrics, tracing

__all__ = ["ItemT", "Positioned", "Project", "Projector", "Source"]

log = structlog.get_logger(__name__)

GATHER_SECONDS = 0.025
GATHER_SECONDS_MAX = 0.15
GATHER_TIMES = 8
"""Between two transactions, while there is less than a full one, so many times as long as the last
one took, within these bounds: what comes in a stream costs the process and the store little of
their time, however slow they are."""
RETRY_FIRST_SECONDS = 0.1
RETRY_MAX_SECONDS = 5.0
WATCH_SECONDS = 1.0
"""How long a store that lost something while nothing was written goes unnoticed."""
STALL_SECONDS = 5.0
"""How long another writer may stay behind its source before it is taken for dead."""
GRACE_SECONDS = 30.0
"""How long a collection that no longer serves is kept for those who are reading it."""
WAIT_FOR_SECONDS = 5.0
LIVE_SECONDS = 30.0
"""How long a rebuild waits for a generation that it could replace."""
LIVE_POLL_SECONDS = 0.1


class Projector(Generic[ItemT]):
    """Keeps one read model."""

    def __init__(  # noqa: PLR0917 - the order is that of a sentence
        self,
        service: str,
        store: Store,
        model: ReadModel,
        source: Source[ItemT] | Sequence[Source[ItemT]],
        project: Project[ItemT],
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        """Say what is made from what; `run` does it.

        Raises:
            ValueError: the sources are not as many as the parts of the read model.
        """
        self.name = model.name
        self.model = model
        self.healthy = False
        """Whether the read model was kept when last looked at."""
        self._store = store
        self._sources = source if isinstance(source, Sequence) else (source,)
        if len(self._sources) != model.parts:
            raise ValueError(
                f"read model {model.name} is made from {model.parts} source(s), and "
                f"{len(self._sources)} are given: change `parts` of its declaration"
            )
        self._project = project
        self._clock = clock
        self._turn = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._marks = model.beginning
        self._head = 0
        self._live: Generation | None = None
        self._rival = False
        self._generation: int | None = None
        self._rebuilding = asyncio.Lock()
        self._shadow: int | None = None
        self._tidy_at: float | None = clock.monotonic()
        self._tracer = tracing.tracer_for(service)
        self._lag = metrics.gauge("tracseq_projector_lag", service=service, read_model=model.name)
        self._documents = metrics.counter(
            "tracseq_projector_documents_total", service=service, read_model=model.name
        )

    @property
    def position(self) -> int:
        """The newest sequence that the read model shows, as far as this process knows.

        Of several sources the sum, which grows with each of them.
        """
        return sum(self._marks)

    @property
    def leads(self) -> bool:
        """Whether this process writes the read model."""
        return self._live is not None

    def lag(self) -> int:
        """Say how far the read model is behind its source, in sequences, when last looked at."""
        return max(0, self._head - self.position)

    async def run(self) -> None:
        """Keep the read model for ever, whatever becomes of the store meanwhile."""
        with untraced():
            while True:
                try:
                    await (self._stand_by() if self._rival else self._lead())
                except Displaced:
                    await self._look_who_writes()
                except Retryable as error:
                    log.warning("projector.again", read_model=self.name, error=str(error))
                finally:
                    self.healthy = False
                await self._clock.sleep(RETRY_FIRST_SECONDS)

    # Writing

    async def _lead(self) -> None:
        live = self._live = await self._claim()
        following = asyncio.create_task(self._follow(live))
        try:
            while not following.done():
                self.healthy = True
                await self._watch(live)
                await asyncio.wait({following}, timeout=WATCH_SECONDS)
            following.result()
        finally:
            self._live = None
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _claim(self) -> Generation:
        """Become the writer, however long the store is away."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            wait=wait_exponential_jitter(multiplier=RETRY_FIRST_SECONDS, max=RETRY_MAX_SECONDS),
            stop=stop_never,
            sleep=self._clock.sleep,
            before_sleep=self._tell,
        )
        first = self._generation is None
        live: Generation = await retrying(
            Generation.claim, self._store, self.model, self.name, reshape=first
        )
        generation, marks = live.pointer.generation, live.pointer.marks
        if self._generation not in {None, generation}:
            self._tidy_at = self._clock.monotonic() + GRACE_SECONDS
        self._generation = generation
        await self._show(marks)
        log.info("projector.writes", read_model=self.name, generation=generation, after=marks)
        return live

    async def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("projector.waits", read_model=self.name, error=str(error))
        await self._look_ahead()

    async def _follow(self, live: Generation) -> None:
        async with aclosing(follow_all(self._sources, live.pointer.marks)) as arrivals:
            async for arrived in arrivals:
                began = self._clock.monotonic()
                await self._take(live, arrived)
                took_seconds = self._clock.monotonic() - began
                await self._show(live.pointer.marks)
                if len(arrived.items) < ITEMS_MAX:
                    # What comes alone is shown at once; what comes in a stream is gathered, since a
                    # transaction costs as much for one document as for fifty.
                    pause_seconds = max(GATHER_SECONDS, GATHER_TIMES * took_seconds)
                    await self._clock.sleep(min(pause_seconds, GATHER_SECONDS_MAX))

    async def _take(self, target: Generation, arrived: Arrived[ItemT]) -> None:
        writes = newest_of_each(await self._project(arrived.items))
        causes = [item.traceparent for item in arrived.items]
        async with self._turn:
            with span_for(self._tracer, f"project {self.name}", causes):
                await target.write(writes, arrived.marks)
        self._documents.inc(len(writes))

    async def mend(self, put: Put, seen: Document | None) -> bool:
        """Write a document over what was seen in its place; only whoever leads can.

        Returns:
            False where this process does not write any more, or something else stands there by
            now: nothing was written.

        Raises:
            Retryable: as `Generation.write`.
        """
        async with self._turn:
            try:
                return self._live is not None and await self._live.mend(put, seen)
            except Displaced:
                return False

    async def _show(self, marks: Marks) -> None:
        self._marks = marks
        self._head = max(self._head, self.position)
        self._lag.set(self.lag())
        async with self._moved:
            self._moved.notify_all()

    async def _watch(self, live: Generation) -> None:
        """See that the store still shows what was written last, and how far the source is."""
        async with self._turn:
            await live.check()
        await self._look_ahead()
        if self._tidy_at is not None and self._clock.monotonic() >= self._tidy_at:
            keep = {live.pointer.generation, self._shadow}
            self._tidy_at = None
            await tidy(self._store, self.model, keep)

    async def _look_ahead(self) -> None:
        try:
            self._head = max(sum(await self._heads()), self.position)
        except Retryable as error:
            log.info("projector.source_silent", read_model=self.name, error=str(error))
        self._lag.set(self.lag())

    async def _heads(self) -> Marks:
        return tuple([await source.head() for source in self._sources])

    # Standing by

    async def _look_who_writes(self) -> None:
        """Tell another writer, who is left alone, from a store that lost something."""
        try:
            found = await read_pointer(self._store, self.name)
        except Retryable:
            return
        same = found is not None and found.generation == self._generation
        self._rival = same and found is not None and found.seq >= self.position
        log.info("projector.displaced", read_model=self.name, by_rival=self._rival)

    async def _stand_by(self) -> None:
        """Wait until the other writer stalls; whatever else happens to the store ends it too."""
        moved_at = self._clock.monotonic()
        while self._clock.monotonic() < moved_at + STALL_SECONDS:
            found = await read_pointer(self._store, self.name)
            if found is None or found.generation != self._generation or found.seq < self.position:
                break
            await self._look_ahead()
            if found.seq > self.position or found.seq >= self._head:
                moved_at = self._clock.monotonic()
            await self._show(found.marks)
            self.healthy = True
            await self._clock.sleep(WATCH_SECONDS)
        self._rival = False

    async def wait_for(
        self, seq: int, *, part: int = 0, timeout_seconds: float = WAIT_FOR_SECONDS
    ) -> None:
        """Wait until the read model shows a sequence, of one of its sources where it has several.

        Raises:
            Refused: it does not within the bound (`Unavailable`).
        """
        try:
            async with asyncio.timeout(timeout_seconds), self._moved:
                await self._moved.wait_for(lambda: self._marks[part] >= seq)
        except TimeoutError:
            shown = self._marks[part]
            behind = f"The list of {self.name} (it shows sequence {shown}, not yet {seq})"
            raise Refused(Unavailable(what=behind, retry_after_seconds=2)) from None

    # Rebuilding

    async def rebuild(self, on_progress: Progress | None = None) -> int:
        """Make the read model anew from the beginning while the present one serves.

        Args:
            on_progress: hears the sequence reached and the sequence to reach.

        Returns:
            The new generation.

        Raises:
            Retryable: the store does not answer, or lost the half that was there; the present one
                goes on serving. Also where none serves for so long (`LIVE_SECONDS`).
        """
        if self._rebuilding.locked():
            raise Conflict(f"read model {self.name} is being rebuilt already")
        async with self._rebuilding:
            live = await self._until_live()
            # A pointer is made before its collections: those alone do not show its number.
            number = max(await next_generation(self._store, self.model), live + 1)
            self._shadow = number
            try:
                shadow = await Generation.claim(
                    self._store, self.model, self.model.collection(number), generation=number
                )
                await self._fill(shadow, on_progress)
            except Displaced as error:
                raise StoreUnavailable(f"the store lost {error} during its rebuild") from None
            finally:
                self._shadow = None
                self._tidy_at = self._clock.monotonic() + GRACE_SECONDS
        return number

    async def _until_live(self) -> int:
        """Wait for the generation that serves, and give its number.

        Where the store lost it a moment ago, its writer begins another: two that begin at once
        would begin the same.
        """
        try:
            async with asyncio.timeout(LIVE_SECONDS):
                while True:
                    found = await read_pointer(self._store, self.name)
                    if self.healthy and found and found.generation == self._generation:
                        return found.generation
                    await self._clock.sleep(LIVE_POLL_SECONDS)
        except TimeoutError:
            what = f"read model {self.name} was not kept for {LIVE_SECONDS:g} s, nothing to replace"
            raise StoreUnavailable(what) from None

    async def _fill(self, shadow: Generation, on_progress: Progress | None) -> None:
        goal = await self._heads()
        if await self._serve(shadow, goal):
            return
        async with aclosing(follow_all(self._sources, self.model.beginning)) as arrivals:
            async for arrived in arrivals:
                await self._take(shadow, arrived)
                if on_progress is not None:
                    on_progress(shadow.pointer.seq, max(sum(goal), shadow.pointer.seq))
                if await self._serve(shadow, goal):
                    return

    async def _serve(self, shadow: Generation, goal: Marks) -> bool:
        """Let the shadow serve once it is level; our own writer waits meanwhile."""
        if not level(shadow.pointer.marks, goal):
            return False
        async with self._turn:
            return await swap(self._store, self.model, shadow.pointer)
