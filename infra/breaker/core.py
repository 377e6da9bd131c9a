"""The decisions of a breaker, and nothing else: who may call, and what an outcome changes.

Pure: time and chance are handed in, nothing is awaited, called back or raised. Every admitted call
ends with exactly one `done`. A token knows the generation it was given in; each change of state
begins a new one, so that a late answer cannot close, open or hold up what came after it.

What others saw is advice: it makes a closed breaker careful and shifts the next trial of an open
one, within the breaker's own numbers.
"""

from collections.abc import Callable
from enum import Enum
from math import inf
from typing import Final, final

from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.window import CALL, FAILED, SLOW, CountWindow, TimeWindow, Window

Token = tuple[int, float]
"""An admitted call: its generation, and when it began."""

RETRY_SOON_SECONDS = 1.0
"""When to come again where a call's end, not a point in time, makes room."""
CAREFUL_FAILURES = 2
"""In a row, that open a breaker while others advise care. One alone may be chance: among many calls
there is always one, and an outage of one instance would become everybody's."""
BACKOFF_STEPS_MAX = 64
"""Trials after which back-off certainly stands at its maximum; keeps the power finite."""


class State(Enum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    """Open until `reset`, whatever the time."""


class Outcome(Enum):
    """How a call ended, as far as the dependency's health goes."""

    SUCCESS = "success"
    FAILURE = "failure"
    NEUTRAL = "neutral"
    """Says nothing about it: cancelled from outside, or an error that is excluded."""


@final
class Rejection:
    """Why a call may not begin; one of the constants of this module."""

    __slots__ = ("reason", "says")

    def __init__(self, reason: str, says: str) -> None:
        """Name it, for metrics and for people."""
        self.reason = reason
        self.says = says


# No Enum: asking whether something is one of its members costs more than the rest of admitting.
OPEN: Final = Rejection("open", "is open")
PROBING: Final = Rejection("probing", "is half-open and has its trial calls under way")
FORCED: Final = Rejection("forced_open", "was opened by hand and stays so until it is reset")
FULL: Final = Rejection("full", "has as many calls under way as it allows")
REJECTIONS: Final = (OPEN, PROBING, FORCED, FULL)

_CLOSED, _HALF_OPEN, _OPEN = State.CLOSED, State.HALF_OPEN, State.OPEN
_SUCCESS, _FAILURE, _NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL


class Core:
    """One breaker's state; `now` is always seconds of one clock that never goes backwards."""

    __slots__ = (
        "_careful_until",
        "_chance",
        "_config",
        "_hastened",
        "_in_flight_max",
        "_opened_at",
        "_reopens_at",
        "_shortened_by",
        "_slow_seconds",
        "_threshold",
        "_window",
        "advised",
        "failed",
        "failures",
        "generation",
        "in_flight",
        "late",
        "measures",
        "neutral",
        "probes",
        "rejected",
        "slow",
        "state",
        "succeeded",
        "successes",
        "trips",
    )

    def __init__(self, config: CircuitBreakerConfig, chance: Callable[[], float]) -> None:
        """Begin closed; `chance` gives numbers from 0 to below 1, for the jitter."""
        self.state = _CLOSED
        self.generation = 0
        self.in_flight = 0
        self.failures = 0
        """In a row, while closed."""
        self.probes = 0
        """Trial calls under way, while half-open."""
        self.successes = 0
        """Of trial calls, while half-open."""
        self.trips = 0
        """Times it opened since it was last closed."""
        self.succeeded = self.failed = self.neutral = self.slow = self.late = 0
        self.rejected = dict.fromkeys((rejection.reason for rejection in REJECTIONS), 0)
        self.advised = False
        """Whether it opened sooner than its own numbers say, because others advised care."""
        self._chance = chance
        self._careful_until = 0.0
        self._hastened = 0
        """Which trip was cut short, since another was answered; 0 for none."""
        self._opened_at = 0.0
        self._reopens_at = 0.0
        self._shortened_by = 0.0
        self._window: Window | None
        self._config = config
        self._adopt(config)

    def admit(self, now: float) -> Token | Rejection:
        """Let a call begin, or say why it may not."""
        if self.state is not _CLOSED:
            return self._admit_trial(now)
        if self.in_flight >= self._in_flight_max:
            self.rejected[FULL.reason] += 1
            return FULL
        self.in_flight += 1
        return (self.generation, now)

    def done(self, token: Token, outcome: Outcome, now: float) -> None:
        """Take note of how an admitted call ended; once for each token."""
        generation, began = token
        self.in_flight -= 1
        mark = CALL
        if self.measures and now - began >= self._slow_seconds:
            mark |= SLOW
            self.slow += 1
        if outcome is _SUCCESS:
            self.succeeded += 1
        elif outcome is _FAILURE:
            self.failed += 1
        else:
            self.neutral += 1
        if generation != self.generation:
            self.late += 1
        elif self.state is not _CLOSED:
            self._judge_probe(outcome, mark, now)
        elif outcome is _SUCCESS and self._window is None:
            self.failures = 0
        else:
            self._judge(outcome, mark, now)

    def configure(self, config: CircuitBreakerConfig) -> None:
        """Go on with other numbers: state, counters and calls under way stay as they are.

        A window of another shape begins empty. Open, it tries again when the new numbers say so.
        """
        before = self._config
        self._config = config
        self._adopt(config, keep_window=_shape(before) == _shape(config))
        self._reopens_at = self._reopening()

    def open(self, now: float) -> None:
        """Open as after a failure: it tries again by itself."""
        self._turn(_OPEN)
        self.trips += 1
        self._opened_at = now
        self._shortened_by = self._chance()
        self._reopens_at = self._reopening()

    def half_open(self) -> None:
        """Let trial calls through now."""
        self._turn(_HALF_OPEN)

    def force_open(self) -> None:
        """Open until `reset`."""
        self._turn(State.FORCED_OPEN)

    def reset(self) -> None:
        """Close, and forget failures, window, back-off and advice."""
        self._turn(_CLOSED)
        self.trips = 0
        self.advised = False
        self._careful_until = 0.0
        self._hastened = 0
        self._window = _window(self._config)

    def be_careful(self, until: float) -> None:
        """Open at few failures in a row until then; a time that has passed ends it."""
        self._careful_until = until

    def open_on_advice(self, now: float) -> None:
        """Open without a failure, where it is closed."""
        if self.state is _CLOSED:
            self.advised = True
            self.open(now)

    def leave_trial(self, began: float) -> None:
        """Leave the trial to another, who began one then: wait for its outcome, and no longer.

        Beyond what back-off may come to it is not put off: others may be cut off and this one not.
        Nor where somebody was answered already: then all may try.
        """
        if self._hastened == self.trips:
            return
        config = self._config
        self._shortened_by = self._chance()
        put_off = began + self._shortened(config.recovery_timeout)
        latest = self._opened_at + max(config.recovery_timeout, config.recovery_timeout_max)
        self._reopens_at = max(self._reopens_at, min(put_off, latest))

    def hasten(self, now: float) -> None:
        """Try soon, since another is answered again; once before it was closed itself."""
        if self.state is _OPEN and not self._hastened:
            self._hastened = self.trips
            soon = now + RETRY_SOON_SECONDS * self._chance()
            self._reopens_at = min(self._reopens_at, soon)

    def retry_after(self, rejection: Rejection, now: float) -> float:
        """Give the seconds after which a call that was refused so has a chance."""
        if rejection is OPEN:
            return max(0.0, self._reopens_at - now)
        return self._config.recovery_timeout if rejection is FORCED else RETRY_SOON_SECONDS

    def window(self, now: float) -> tuple[int, int, int]:
        """Give the calls, failures and slow calls that rates are judged by."""
        if self._window is None:
            return (0, 0, 0)
        self._window.forget(now)
        return (self._window.calls, self._window.failures, self._window.slow)

    def _admit_trial(self, now: float) -> Token | Rejection:
        """Judge a call while it is not closed; open becomes half-open when its time has come."""
        if self.state is _OPEN and now >= self._reopens_at:
            self._turn(_HALF_OPEN)
        if self.state is _OPEN:
            refused = OPEN
        elif self.state is State.FORCED_OPEN:
            refused = FORCED
        elif self.probes >= self._config.half_open_max:
            refused = PROBING
        elif self.in_flight >= self._in_flight_max:
            refused = FULL
        else:
            self.probes += 1
            self.in_flight += 1
            return (self.generation, now)
        self.rejected[refused.reason] += 1
        return refused

    def _reopening(self) -> float:
        """Work out when an open breaker tries again; of no meaning in any other state."""
        config = self._config
        steps = min(self.trips - 1, BACKOFF_STEPS_MAX)
        grown = config.recovery_timeout * config.backoff_factor**steps
        seconds = min(grown, max(config.recovery_timeout, config.recovery_timeout_max))
        return self._opened_at + self._shortened(seconds)

    def _shortened(self, seconds: float) -> float:
        return seconds * (1 - self._config.recovery_jitter * self._shortened_by)

    def _judge(self, outcome: Outcome, mark: int, now: float) -> None:
        if outcome is _NEUTRAL:
            return
        if outcome is _FAILURE:
            mark |= FAILED
            failures = self.failures = self.failures + 1
        else:
            failures = self.failures = 0
        window = self._window
        if window is not None:
            window.add(mark, now)
        if failures >= self._threshold or (
            # No rate is above 0 without one of these, and nearly every call ends here.
            window is not None and (window.failures or window.slow) and self._too_many(window)
        ):
            self.open(now)
        elif failures and failures >= CAREFUL_FAILURES and now < self._careful_until:
            self.open_on_advice(now)

    def _too_many(self, window: Window) -> bool:
        config, calls = self._config, window.calls
        if calls < config.minimum_calls:
            return False
        failures, slow = config.failure_rate, config.slow_call_rate
        return (failures is not None and window.failures >= failures * calls) or (
            slow is not None and window.slow >= slow * calls
        )

    def _judge_probe(self, outcome: Outcome, mark: int, now: float) -> None:
        self.probes -= 1
        if outcome is _NEUTRAL:
            return
        if mark & SLOW or outcome is _FAILURE:
            self.open(now)
            return
        self.successes += 1
        if self.successes >= self._config.success_threshold:
            self.reset()

    def _turn(self, state: State) -> None:
        self.state = state
        self.generation += 1
        self.failures = self.probes = self.successes = 0

    def _adopt(self, config: CircuitBreakerConfig, *, keep_window: bool = False) -> None:
        """Take what every call looks at out of the model, where reading is slow."""
        self.measures = config.judges_rates
        """Whether it matters when a success ended; if not, `done` takes any time for it."""
        self._in_flight_max = config.max_concurrent_requests
        self._threshold = inf if config.failure_threshold is None else config.failure_threshold
        self._slow_seconds = inf if config.slow_call_seconds is None else config.slow_call_seconds
        if not keep_window:
            self._window = _window(config)


def _shape(config: CircuitBreakerConfig) -> tuple[object, ...]:
    """Name what a window must be made anew for."""
    size = config.window_calls if config.window == "count" else config.window_seconds
    return (config.judges_rates, config.window, size)


def _window(config: CircuitBreakerConfig) -> Window | None:
    if not config.judges_rates:
        return None
    if config.window == "count":
        return CountWindow(config.window_calls)
    return TimeWindow(config.window_seconds)
