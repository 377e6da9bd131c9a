"""Whoever waits for a saga to end: woken by its transitions, and bounded in number and time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

WAITERS_MAX = 2_000
"""Requests that may wait at once; one more is answered with what is known now."""
LOOK_AGAIN_SECONDS = 1.0
"""Another instance may have carried the saga on: what cannot wake us is looked at."""

StateT = TypeVar("StateT")


class Waiting:
    """Wakes those who wait for a saga."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiters: dict[UUID, set[asyncio.Event]] = {}
        self._count = 0

    def changed(self, saga_id: UUID) -> None:
        """Wake everybody who waits for this saga."""
        for waiter in self._waiters.get(saga_id, ()):
            waiter.set()

    async def until(
        self,
        saga_id: UUID,
        look: Callable[[], Awaitable[StateT]],
        done: Callable[[StateT], bool],
        *,
        seconds: float,
    ) -> StateT:
        """Look until it is done or the time is over; give what was seen last."""
        waiter = asyncio.Event()
        self._waiters.setdefault(saga_id, set()).add(waiter)
        self._count += 1
        try:
            seen = await look()
            if self._count > WAITERS_MAX:
                return seen
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not done(seen):
                        with suppress(TimeoutError):
                            await asyncio.wait_for(waiter.wait(), LOOK_AGAIN_SECONDS)
                        waiter.clear()
                        seen = await look()
            return seen
        finally:
            self._count -= 1
            self._waiters[saga_id].discard(waiter)
            if not self._waiters[saga_id]:
                del self._waiters[saga_id]
