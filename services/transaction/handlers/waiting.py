"""Whoever waits for a saga to end: told of its transitions, and bounded in number and time.

Nothing is read here for what this process did itself: a transition brings the state along.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from contracts.aggregate import Loaded
from sagas.engine.state import SagaState

WAITERS_MAX = 2_000
"""Requests that may wait at once; one more is answered with what is known now."""
LOOK_AGAIN_SECONDS = 1.0
"""Another instance may have carried the saga on: what cannot wake us is looked at."""

Seen = Loaded[SagaState]
Look = Callable[[], Awaitable[Seen]]


@dataclass(slots=True, eq=False)
class _Waiter:
    """One who waits, and the newest of what was seen of the saga."""

    done: Callable[[Seen], bool]
    newest: Seen | None = None
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, seen: Seen) -> Seen:
        """Take in what was seen, maybe late; give the newest, and wake up where that will do."""
        if self.newest is None or seen.seq > self.newest.seq:
            self.newest = seen
        if self.done(self.newest):
            self.woken.set()
        return self.newest


class Waiting:
    """Wakes those who wait for a saga."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiters: dict[UUID, set[_Waiter]] = {}
        self._count = 0

    def changed(self, saga_id: UUID, seen: Seen) -> None:
        """Tell everybody who waits for this saga how it stands; who waits for that is woken."""
        for waiter in self._waiters.get(saga_id, ()):
            waiter.tell(seen)

    async def until(
        self, saga_id: UUID, look: Look, done: Callable[[Seen], bool], *, seconds: float
    ) -> Seen:
        """Look until it is done or the time is over; give the newest that was seen."""
        waiter = _Waiter(done)
        self._waiters.setdefault(saga_id, set()).add(waiter)
        self._count += 1
        try:
            # What is looked at last may be older than what came meanwhile.
            seen = waiter.tell(await look())
            if self._count > WAITERS_MAX:
                return seen
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not waiter.woken.is_set():
                        # Not `wait_for`: where it is woken and cancelled at once it forgets the
                        # cancellation, and with it that the time is over.
                        with suppress(TimeoutError):
                            async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                                await waiter.woken.wait()
                            break
                        waiter.tell(await look())
            return waiter.newest or seen
        finally:
            self._count -= 1
            self._waiters[saga_id].discard(waiter)
            if not self._waiters[saga_id]:
                del self._waiters[saga_id]
