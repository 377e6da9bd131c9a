"""The calls that rates are judged by: the last N of them, or those of the last seconds.

Each window keeps running totals, so that adding a call costs the same however large it is. It
judges nothing and asks no clock.
"""

from collections import deque
from typing import Protocol

CALL = 1
FAILED = 2
SLOW = 4

SLOTS = 10
"""Parts of a time window: so many counters, whatever the traffic."""


class Window(Protocol):
    """Calls of the recent past, counted."""

    calls: int
    failures: int
    slow: int

    def add(self, mark: int, now: float) -> None:
        """Count one call: `CALL`, with `FAILED` and `SLOW` added where it was."""
        ...

    def forget(self, now: float) -> None:
        """Drop what is too old."""
        ...


class CountWindow:
    """The last `size` calls."""

    __slots__ = ("_next", "_ring", "calls", "failures", "slow")

    def __init__(self, size: int) -> None:
        """Begin empty."""
        self.calls = 0
        self.failures = 0
        self.slow = 0
        self._ring = bytearray(size)
        self._next = 0

    def add(self, mark: int, now: float) -> None:  # noqa: ARG002 - the other kind needs it
        """Count one call in place of the oldest."""
        ring, at = self._ring, self._next
        old = ring[at]
        if old != mark:
            ring[at] = mark
            self.calls += 1 - (old & CALL)
            self.failures += ((mark & FAILED) - (old & FAILED)) >> 1
            self.slow += ((mark & SLOW) - (old & SLOW)) >> 2
        self._next = (at + 1) % len(ring)

    def forget(self, now: float) -> None:
        """Drop nothing: here only newer calls displace older ones."""


class TimeWindow:
    """The calls of the last `seconds`, to a tenth of that."""

    __slots__ = ("_slots", "_width", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        """Begin empty."""
        self.calls = 0
        self.failures = 0
        self.slow = 0
        self._width = seconds / SLOTS
        # [number, calls, failures, slow]; at most SLOTS of them, the oldest first.
        self._slots: deque[list[int]] = deque()

    def add(self, mark: int, now: float) -> None:
        """Count one call in the slot of its time."""
        self.forget(now)
        number = int(now / self._width)
        slots = self._slots
        if not slots or slots[-1][0] != number:
            slots.append([number, 0, 0, 0])
        slot = slots[-1]
        failed, slow = (mark & FAILED) >> 1, (mark & SLOW) >> 2
        slot[1] += 1
        slot[2] += failed
        slot[3] += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def forget(self, now: float) -> None:
        """Drop the slots that have left the window."""
        oldest = int(now / self._width) - SLOTS
        slots = self._slots
        while slots and slots[0][0] <= oldest:
            _, calls, failures, slow = slots.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow
