"""What a caller may see of a breaker: it refused, or it ended a call that took too long.

Both are `Retryable` (the world is unwell). Anything else a caller sees is its own function's error,
never wrapped and never replaced.
"""

from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

import aiobreaker

from contracts.errors import Retryable, Unavailable
from infra.breaker.core import Rejection
from infra.clock import Clock


class CircuitBreakerError(aiobreaker.CircuitBreakerError, Retryable):
    """A call was refused without being tried; nothing was sent."""

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0917 - an exception's own constructor takes nothing by name
            self, breaker: str, rejection: Rejection, retry_after: float, now: float, clock: Clock
        ) -> None:
            """Carry who refused, why, for how many seconds more, and when that was."""

    else:
        # What is carried stays in `args`: refusing costs next to nothing, and the sentence and the
        # dates, which aiobreaker has made here, are made for those who ask.
        __init__ = Exception.__init__

    @property
    def breaker(self) -> str:
        """The name of who refused."""
        breaker: str = self.args[0]
        return breaker

    @property
    def rejection(self) -> Rejection:
        """Why, as the core says it."""
        rejection: Rejection = self.args[1]
        return rejection

    @property
    def retry_after(self) -> float:
        """Seconds, from when it was refused, after which a call has a chance."""
        retry_after: float = self.args[2]
        return retry_after

    @property
    def reason(self) -> str:
        """Why: `open`, `probing`, `forced_open` or `full`."""
        return self.rejection.reason

    @property
    def time_remaining(self) -> timedelta:
        """How long from now until a call has a chance; never negative."""
        passed = self._clock.monotonic() - self.args[3]
        return timedelta(seconds=max(0.0, self.retry_after - passed))

    @property
    def reopen_time(self) -> datetime:
        """When a call has a chance, in UTC and aware."""
        return self._clock.now() + self.time_remaining

    @property
    def _clock(self) -> Clock:
        clock: Clock = self.args[4]
        return clock

    @property
    def message(self) -> str:
        """The sentence for people."""
        return (
            f"circuit breaker {self.breaker!r} {self.rejection.says}: "
            f"try again in {self.retry_after:.1f} s"
        )

    def refusal(self, what: str) -> Unavailable:
        """Say it to whoever asked, where there is nothing to do instead: 503 with `Retry-After`.

        Args:
            what: the dependency, as people call it: "The document store".
        """
        return Unavailable(
            what=f"{what} (circuit breaker {self.breaker} {self.rejection.says})",
            retry_after_seconds=max(1, ceil(self.retry_after)),
        )

    async def sleep_until_open(self) -> None:
        """Wait until a call has a chance."""
        await self._clock.sleep(self.time_remaining.total_seconds())

    def __str__(self) -> str:
        return self.message


class RequestTimeoutError(TimeoutError, Retryable):
    """A call took longer than the breaker's `request_timeout`, and was cancelled."""

    def __init__(self, breaker: str, seconds: float) -> None:
        """Say whose bound it was."""
        super().__init__(f"circuit breaker {breaker!r}: no answer within {seconds:g} s")
        self.breaker = breaker
        self.seconds = seconds


class FailedResultError(Exception):
    """Told to listeners, never raised: a call returned what its breaker counts as a failure."""

    def __init__(self, breaker: str, result: object) -> None:
        """Carry the result."""
        super().__init__(f"circuit breaker {breaker!r}: a result counts as a failure")
        self.result = result


class UnknownBreakerError(LookupError):
    """No breaker has this name."""
