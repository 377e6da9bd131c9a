"""Requests that wait for the next release: woken by the log, bounded in number and time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from contracts.errors import Refused, Unavailable

News = Callable[[], Awaitable[bool]]
"""Waits for a release; false once the time is over."""


class Waiting:
    """Who waits for which log."""

    def __init__(self, waiting_max: int) -> None:
        """Let at most so many wait at once."""
        self._max = waiting_max
        self._events: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._count = 0

    def wake(self, name: str) -> None:
        """Tell everyone who waits for this log."""
        for event in self._events.get(name, ()):
            event.set()

    @asynccontextmanager
    async def on(self, name: str, wait_seconds: float) -> AsyncGenerator[News]:
        """Wait for one log, for so long at most in all.

        Raises:
            Refused: too many wait already (`Unavailable`).
        """
        if self._count >= self._max:
            raise Refused(Unavailable(what="The long poll of configurations"))
        event = asyncio.Event()
        self._events[name].add(event)
        self._count += 1
        until = asyncio.get_running_loop().time() + wait_seconds

        async def news() -> bool:
            try:
                async with asyncio.timeout_at(until):
                    await event.wait()
            except TimeoutError:
                return False
            event.clear()
            return True

        try:
            yield news
        finally:
            self._count -= 1
            self._events[name].discard(event)
            if not self._events[name]:
                del self._events[name]
