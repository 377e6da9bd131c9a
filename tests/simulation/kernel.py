"""Time that passes only from one event to the next, and the trace of what happened.

A heap of calls, each with the microsecond at which it is due. Nothing waits, nothing runs beside
anything else, and two calls at the same moment go in the order in which they were asked for.
"""

import heapq
from collections.abc import Callable
from hashlib import sha256
from typing import Any

SECOND = 1_000_000
"""All times here are whole microseconds since the world began."""
MILLISECOND = 1_000


class Kernel:
    """The clock and the trace of one world."""

    def __init__(self) -> None:
        """Begin at 0, with nothing to do."""
        self.now = 0
        self.trace: list[str] = []
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._asked = 0

    def after(self, wait: int, call: Callable[..., None], *given: object) -> None:
        """Call something later."""
        self._asked += 1
        heapq.heappush(self._heap, (self.now + wait, self._asked, call, given))

    def say(self, who: str, what: str) -> None:
        """Write a line of the trace."""
        self.trace.append(f"{self.now} {who} {what}")

    def run(self, events_max: int) -> bool:
        """Let time pass until nothing is left to do; False where the bound came first."""
        heap = self._heap
        for _ in range(events_max):
            if not heap:
                return True
            self.now, _, call, given = heapq.heappop(heap)
            call(*given)
        return False

    def clear(self) -> None:
        """Forget what was still to be done."""
        self._heap.clear()

    def hash(self) -> str:
        """Give the hexadecimal SHA-256 of the trace."""
        return sha256("\n".join(self.trace).encode()).hexdigest()


def readable(line: str) -> str:
    """Write a line of the trace for people: seconds, who, what."""
    at, who, what = line.split(" ", 2)
    return f"{int(at) / SECOND:>12.6f} s  {who:<8} {what}"
