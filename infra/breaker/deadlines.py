"""One timer for all calls of a breaker: they share one bound, so they end in the order they began.

`asyncio.timeout` makes a timer for each call, which costs more than everything else a breaker does.
What it gets right is kept: only a call's own task is cancelled, a cancellation from outside is
never taken for the deadline, and none is left behind on the task. It belongs to one running loop.
"""

import asyncio
from asyncio import current_task
from collections.abc import Callable
from math import inf

TICK_SECONDS = 0.001
"""The finest step of an event loop's timer; an earlier wake-up waits at least so long again."""


class Deadlines:
    """The calls under way that may not last; empty whenever none is."""

    __slots__ = ("_loop", "_monotonic", "_seconds", "_serial", "_timer", "expired", "pending")

    def __init__(self, seconds: float | None, monotonic: Callable[[], float]) -> None:
        """Bound calls to so many seconds of that clock; None does not bound them."""
        self._seconds = inf if seconds is None else seconds
        self._monotonic = monotonic
        self._serial = 0
        self.pending: dict[int, tuple[asyncio.Task[object], int, float]] = {}
        """By serial, so in the order they began: task, its cancellations before, when it began."""
        self.expired: dict[int, tuple[asyncio.Task[object], int]] = {}
        """Those whose time was up and that have not ended yet."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Count the calls under way."""
        return len(self.pending) + len(self.expired)

    def start(self, began: float) -> int:
        """Bound the running task from `began` on; the number is for `finish`.

        Raises:
            RuntimeError: no task of asyncio is running.
        """
        # Asking which loop runs costs more than all the rest here; nearly always it is the same.
        task = None if self._loop is None else current_task(self._loop)
        if task is None:
            task = self._move()
        self._serial = serial = self._serial + 1
        self.pending[serial] = (task, task.cancelling(), began)
        if self._timer is None:
            self._arm(began)
        return serial

    def finish(self, serial: int) -> bool:
        """End one call; False where its time was up, and `settle` is still to be asked."""
        return self.pending.pop(serial, None) is not None

    def settle(self, serial: int) -> bool:
        """Take back the cancellation of a call whose time was up.

        Returns:
            Whether it was the only one: if not, someone else wants the task to end too.
        """
        task, before = self.expired.pop(serial)
        return task.uncancel() <= before

    def configure(self, seconds: float | None) -> None:
        """Bound calls otherwise from now on, those under way too."""
        self._seconds = inf if seconds is None else seconds
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.pending:
            self._arm(self._oldest())

    def expire(self) -> None:
        """Cancel what is past its time. The timer does it; a test that moves its clock may too."""
        if not self.pending:
            return
        latest = self._monotonic() - self._seconds
        running = current_task()
        due = list[int]()
        for serial, (task, _, began) in self.pending.items():
            if began > latest:
                break
            # Whoever asks for this is not itself waiting for the dependency.
            if task is not running:
                due.append(serial)
        for serial in due:
            task, before, _ = self.pending.pop(serial)
            self.expired[serial] = (task, before)
            task.cancel()

    def _move(self) -> asyncio.Task[object]:
        """Go over to the running loop: the one before is gone, and its timer with it."""
        task = current_task()
        if task is None:
            raise RuntimeError("a circuit breaker with a request_timeout needs a running task")
        self._loop = task.get_loop()
        self._timer = None
        return task

    def _arm(self, began: float) -> None:
        if self._loop is None or self._loop.is_closed() or self._seconds == inf:
            return
        delay = began + self._seconds - self._monotonic()
        self._timer = self._loop.call_later(max(delay, TICK_SECONDS), self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.expire()
        if self.pending:
            self._arm(self._oldest())

    def _oldest(self) -> float:
        _, _, began = next(iter(self.pending.values()))
        return began
