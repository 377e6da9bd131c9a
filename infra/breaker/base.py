"""aiobreaker's breaker with our core in it: everything about a breaker except the calls.

What a program knows of `aiobreaker.CircuitBreaker` (state objects, listeners, excluded exceptions,
dates) works here and tells the truth. Its storage is not used: a breaker decides by what it saw
itself, and no call waits for anyone's memory.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import inf
from random import random
from types import MappingProxyType
from typing import Any

import aiobreaker
import structlog
from aiobreaker import CircuitBreakerListener, CircuitBreakerState
from aiobreaker.state import (
    CircuitBreakerBaseState,
    CircuitClosedState,
    CircuitHalfOpenState,
    CircuitOpenState,
)

from infra.breaker.advice import Advice, Peers
from infra.breaker.config import CircuitBreakerConfig
from infra.breaker.core import OPEN, Core, Rejection, State, Token
from infra.breaker.deadlines import Deadlines
from infra.breaker.errors import CircuitBreakerError
from infra.breaker.snapshot import BreakerSnapshot, StateChange
from infra.clock import SYSTEM, Clock

log = structlog.get_logger(__name__)

Exclusion = type[BaseException] | Callable[[Exception], bool]
"""A class of errors that say nothing about a dependency's health, or a function that knows."""


Block = tuple[Token, int] | None
"""A guarded block under way: its token and deadline (0: none); None while the breaker is off."""


class _Delegating(CircuitBreakerBaseState):
    """A state object whose calls go the way of all others."""

    def call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the base's
        return self._breaker.call(func, *args, **kwargs)

    call_async = call


class _Closed(_Delegating, CircuitClosedState):
    pass


class _Open(_Delegating, CircuitOpenState):
    pass


class _HalfOpen(_Delegating, CircuitHalfOpenState):
    pass


_STATES = MappingProxyType(
    {
        State.CLOSED: CircuitBreakerState.CLOSED,
        State.OPEN: CircuitBreakerState.OPEN,
        State.HALF_OPEN: CircuitBreakerState.HALF_OPEN,
        State.FORCED_OPEN: CircuitBreakerState.OPEN,
    }
)


class BreakerBase(aiobreaker.CircuitBreaker):
    """State, configuration and listeners of a breaker; belongs to one event loop at a time."""

    def __init__(
        self,
        name: str,
        config: CircuitBreakerConfig | None = None,
        *,
        exclude: Iterable[Exclusion] = (),
        failure_result: Callable[[Any], bool] | None = None,
        listeners: Iterable[CircuitBreakerListener] = (),
        enabled: bool = True,
        clock: Clock = SYSTEM,
        chance: Callable[[], float] = random,
    ) -> None:
        """Begin closed.

        Args:
            name: of the dependency, as metrics and messages call it.
            config: the numbers; the defaults where none are given.
            exclude: errors that count neither for nor against the dependency.
            failure_result: says of a result that it is a failure; the caller still gets it.
            listeners: told of calls and changes; what they raise is logged and goes no further.
            enabled: switched off, calls go straight through, without bounds and uncounted.
            clock: what times are taken from.
            chance: numbers from 0 to below 1, for the jitter.
        """
        self._config = config or CircuitBreakerConfig()
        self._core = Core(self._config, chance)
        self._told = self._core.state
        self._clock = clock
        self._monotonic = clock.monotonic
        self._deadlines = Deadlines(self._config.request_timeout, clock.monotonic)
        self._timed = self._config.request_timeout is not None
        self._clocked = self._timed or self._core.measures
        self._timed_out = 0
        self._changes = 0
        self._peers = Peers()
        self._failure_result = failure_result
        self._off = not enabled
        self._watchers: list[Callable[[StateChange], None]] = []
        self._blocks: dict[asyncio.Task[object], list[Block]] = {}
        # Whether a call that went well is anyone's business but the core's.
        self._extras = failure_result is not None
        super().__init__(exclude=exclude, listeners=listeners, name=name)
        self._extras = self._extras or bool(self._listeners)
        closed, opened, half = _Closed(self), _Open(self), _HalfOpen(self)
        self._objects: dict[State, CircuitBreakerBaseState] = {
            State.CLOSED: closed,
            State.OPEN: opened,
            State.HALF_OPEN: half,
            State.FORCED_OPEN: opened,
        }

    # What it is told.

    @property
    def config(self) -> CircuitBreakerConfig:
        """The numbers in force."""
        return self._config

    def configure(self, config: CircuitBreakerConfig) -> None:
        """Put other numbers into force; state, counters and calls under way stay as they are."""
        self._config = config
        self._core.configure(config)
        self._deadlines.configure(config.request_timeout)
        self._timed = config.request_timeout is not None
        self._clocked = self._timed or self._core.measures

    @property
    def enabled(self) -> bool:
        """Whether it does anything at all."""
        return not self._off

    def switch(self, *, enabled: bool) -> None:
        """Switch it on or off; off, calls go straight through, without bounds and uncounted."""
        self._off = not enabled

    def open(self) -> None:
        """Open it as after a failure: it tries again by itself."""
        self._core.open(self._monotonic())
        self._announce()

    def half_open(self) -> None:
        """Let trial calls through now."""
        self._core.half_open()
        self._announce()

    def close(self) -> None:
        """Close it; the same as `reset`."""
        self.reset()

    def force_open(self, *, by: str | None = None) -> None:
        """Open it until `reset`, whatever the time; `by` is told to those who watch."""
        self._core.force_open()
        self._announce(by)

    def reset(self, *, by: str | None = None) -> None:
        """Close it, and forget failures, window and back-off; `by` is told to those who watch."""
        self._core.reset()
        self._announce(by)

    def hear(self, advice: Advice) -> None:
        """Take advice of another instance; no more than advice, as `infra.breaker.advice` says."""
        if not self._off:
            self._peers.hear(advice, self._core, self._config, self._monotonic())
            self._announce()

    @property
    def advised(self) -> bool:
        """Whether it opened sooner than its own numbers say, because others advised care."""
        return self._core.advised

    def expire_overdue(self) -> None:
        """Cancel calls past their `request_timeout`, as the timer does; for a clock that is moved.

        A real clock needs no such call.
        """
        self._deadlines.expire()

    def watch(self, watcher: Callable[[StateChange], None]) -> None:
        """Have changes of state told, with the states by their exact names."""
        self._watchers.append(watcher)

    def add_listener(self, listener: CircuitBreakerListener) -> None:
        """Have calls and changes told."""
        super().add_listener(listener)
        self._extras = True

    # What it says.

    @property
    def breaker_state(self) -> State:
        """What it does with calls, by its exact name; an open one shows it until the next call."""
        return self._core.state

    @property
    def state(self) -> CircuitBreakerBaseState:
        """The state as aiobreaker's object; forced-open is an open state there."""
        return self._objects[self._core.state]

    @property
    def current_state(self) -> CircuitBreakerState:
        """The state as aiobreaker's name for it."""
        return _STATES[self._core.state]

    @property
    def fail_counter(self) -> int:
        """Failures in a row."""
        return self._core.failures

    @property
    def fail_max(self) -> int:
        """The failures in a row that open it; 0 where only rates do."""
        return self._config.failure_threshold or 0

    @fail_max.setter
    def fail_max(self, number: int) -> None:
        self._reconfigure(failure_threshold=number)

    @property
    def timeout_duration(self) -> timedelta:
        """How long it stays open before it tries again."""
        return timedelta(seconds=self._config.recovery_timeout)

    @timeout_duration.setter
    def timeout_duration(self, timeout: timedelta) -> None:
        self._reconfigure(recovery_timeout=timeout.total_seconds())

    @property
    def opens_at(self) -> datetime | None:
        """When an open breaker tries again, in UTC and aware; None in any other state."""
        remaining = self.time_until_open
        return None if remaining is None else self._clock.now() + remaining

    @property
    def time_until_open(self) -> timedelta | None:
        """How long until an open breaker tries again; None in any other state, or if it is due."""
        seconds = self._seconds_until_open()
        return timedelta(seconds=seconds) if seconds > 0 else None

    async def sleep_until_open(self) -> None:
        """Wait until an open breaker tries again; not at all in any other state."""
        await self._clock.sleep(self._seconds_until_open())

    def is_system_error(self, exception: Exception) -> bool:
        """Say whether an error counts against the dependency: whether no exclusion fits it."""
        for exclusion in self._excluded_exceptions:
            # Also where the class of the class is not `type`, as with abstract base classes.
            if isinstance(exclusion, type):
                if isinstance(exception, exclusion):
                    return False
            elif self._holds(exclusion, exception):
                return False
        return True

    def snapshot(self) -> BreakerSnapshot:
        """Take what there is to see."""
        core = self._core
        calls, failures, slow = core.window(self._monotonic())
        return BreakerSnapshot(
            name=self.name,
            enabled=self.enabled,
            state=core.state,
            retry_after_seconds=self._seconds_until_open(),
            advised=core.advised,
            advised_by=self._peers.count(self._monotonic()),
            in_flight=core.in_flight,
            failures_in_row=core.failures,
            window_calls=calls,
            window_failures=failures,
            window_slow=slow,
            succeeded=core.succeeded,
            failed=core.failed,
            neutral=core.neutral,
            timed_out=self._timed_out,
            slow=core.slow,
            late=core.late,
            rejected=dict(core.rejected),
            changes=self._changes,
            config=self._config,
        )

    # What the calls need.

    def _holds(self, judge: Callable[[Any], bool], value: object) -> bool:
        """Ask a function that came from outside; one that fails says no."""
        try:
            return bool(judge(value))
        except Exception:  # a caller's result or error matters more than who judges it
            log.exception("circuit_breaker_judge_failed", breaker=self.name)
            return False

    def _refusal(self, rejection: Rejection, now: float) -> CircuitBreakerError:
        """Make the error for a call that may not begin."""
        core = self._core
        if now == inf:
            now = self._monotonic()
        retry_after = core.retry_after(rejection, now)
        if core.state is not self._told:
            self._announce()
        return CircuitBreakerError(self._name, rejection, retry_after, now, self._clock)

    def _tell(self, what: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the call's
        for listener in tuple(self._listeners):
            try:
                getattr(listener, what)(self, *args, **kwargs)
            except Exception:  # a listener is a guest: it never fails a call
                log.exception("circuit_breaker_listener_failed", breaker=self.name, told=what)

    def _announce(self, by: str | None = None) -> None:
        """Tell of a change of state, where there was one."""
        old, new = self._told, self._core.state
        if old is new:
            return
        self._told = new
        self._changes += 1
        log.warning("circuit_breaker_changed", breaker=self.name, old=old.value, new=new.value)
        self._tell("state_change", self._objects[old], self._objects[new])
        change = StateChange(self.name, old, new, self._clock.now(), by)
        for watcher in tuple(self._watchers):
            try:
                watcher(change)
            except Exception:  # as with listeners
                log.exception("circuit_breaker_watcher_failed", breaker=self.name)

    def _seconds_until_open(self) -> float:
        if self._core.state is not State.OPEN:
            return 0.0
        return self._core.retry_after(OPEN, self._monotonic())

    def _reconfigure(self, **values: object) -> None:
        self.configure(CircuitBreakerConfig.model_validate({**dict(self._config), **values}))
