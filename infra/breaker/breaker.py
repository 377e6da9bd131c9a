"""The breaker that calls go through: `await breaker.call(...)`, `@breaker`, `async with breaker`.

A caller sees its own result and its own error, or one of `infra.breaker.errors`. Refused calls are
never queued and never tried. Nothing on the way of a call waits, logs or locks, unless the state
changes.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction
from math import inf
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

from infra.breaker.base import BreakerBase
from infra.breaker.core import Outcome, Rejection, State, Token
from infra.breaker.errors import FailedResultError, RequestTimeoutError

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_CLOSED = State.CLOSED
_SUCCESS, _FAILURE, _NEUTRAL = Outcome.SUCCESS, Outcome.FAILURE, Outcome.NEUTRAL


class CircuitBreaker(BreakerBase):
    """Guards the calls to one dependency; an `aiobreaker.CircuitBreaker`.

    Raises, from every way in:
        CircuitBreakerError: the call was refused; `reason` and `retry_after` say more.
        RequestTimeoutError: the call took longer than `request_timeout`.
    """

    async def call(  # noqa: C901 - one more function would be a tenth of what a call costs
        self, func: Callable[P, Awaitable[ResultT]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ResultT:
        """Call an async function with these arguments and give its result."""
        if self._off or getattr(func, "_ignore_on_call", False):
            return await func(*args, **kwargs)
        core = self._core
        # Closed, without a bound and without a measure, nobody asks when the call began.
        now = self._monotonic() if self._clocked or core.state is not _CLOSED else inf
        token = core.admit(now)
        if isinstance(token, Rejection):
            raise self._refusal(token, now)
        serial = 0
        try:
            if self._extras or core.state is not self._told:
                self._before(func, *args, **kwargs)
            if self._timed:
                serial = self._deadlines.start(now)
            result = await func(*args, **kwargs)
        except BaseException as error:
            instead = self._raised(token, serial, error)
            if instead is None:
                raise
            try:
                raise instead from error
            finally:
                # An error that is a local of its own traceback would wait for the collector.
                del instead
        if serial and self._deadlines.finish(serial):
            serial = 0
        if serial or self._extras:
            self._returned(token, serial, result)
        else:
            # `_done`, written out for what nearly every call is.
            core.done(token, _SUCCESS, self._monotonic() if core.measures else now)
            if core.state is not self._told:
                self._announce()
        return result

    def call_async(self, func: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - aiobreaker's
        """Do what `call` does, under aiobreaker's name for it."""
        return self.call(func, *args, **kwargs)

    @overload
    def __call__(self, func: FunctionT, /) -> FunctionT: ...

    @overload
    def __call__(
        self, func: None = None, /, *, ignore_on_call: bool = True
    ) -> Callable[[FunctionT], FunctionT]: ...

    def __call__(
        self, func: Callable[..., Any] | None = None, /, *, ignore_on_call: bool = True
    ) -> Callable[..., Any]:
        """Decorate an async function, an async generator function, or a `partial` of one.

        A generator is one call from its first item to its end; `request_timeout` bounds the wait
        for each item, not what is done with it.

        Args:
            func: what is decorated; without it, a decorator is given.
            ignore_on_call: `call` does not guard a decorated function a second time.

        Raises:
            TypeError: it is not async.
        """

        def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401 - as the function
            if isasyncgenfunction(function):
                return self._guard_stream(function)
            if not iscoroutinefunction(function):
                raise TypeError(
                    f"circuit breaker {self.name!r} guards async functions and {function!r} is "
                    "none: make it one, or run it in a thread and guard that"
                )

            @wraps(function)
            async def guarded(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the function
                return await self.call(function, *args, **kwargs)

            vars(guarded)["_ignore_on_call"] = ignore_on_call
            return guarded

        return decorate if func is None else decorate(func)

    async def __aenter__(self) -> Self:
        """Begin a guarded block, in the task that will end it."""
        entry = None if self._off else self._enter()
        task = cast("asyncio.Task[object]", asyncio.current_task())
        self._blocks.setdefault(task, []).append(entry)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the block; its error goes on, unless it was the cancellation by the deadline."""
        task = cast("asyncio.Task[object]", asyncio.current_task())
        entries = self._blocks[task]
        entry = entries.pop()
        if not entries:
            del self._blocks[task]
        if entry is None:
            return
        if error is None:
            self._returned(*entry, None, judged=False)
        elif (instead := self._raised(*entry, error)) is not None:
            try:
                raise instead from error
            finally:
                del instead, error

    def _guard_stream(self, function: Callable[..., AsyncGenerator[Any, Any]]) -> Any:  # noqa: ANN401
        @wraps(function)
        async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401
            token = None if self._off else self._admit(function, *args, **kwargs)
            stream = function(*args, **kwargs)
            sent: Any = None
            # What the consumer does with an item, or throws in its place, is not the dependency's.
            consuming = False
            consumed_seconds = 0.0
            error: BaseException | None = None
            try:
                while True:
                    item = await self._next(stream, sent, guarded=token is not None)
                    paused, consuming = self._monotonic(), True
                    sent = yield item
                    consuming = False
                    consumed_seconds += self._monotonic() - paused
            except StopAsyncIteration:
                pass
            except BaseException as raised:
                error = raised
                raise
            finally:
                if token is not None:
                    token = (token[0], token[1] + consumed_seconds)
                    outcome = _NEUTRAL if consuming else self._judged(error)
                    self._done(token, outcome, error)
                error = None  # as in `call`
                await stream.aclose()

        return guarded

    async def _next(self, stream: AsyncGenerator[Any, Any], sent: Any, *, guarded: bool) -> Any:  # noqa: ANN401
        """Wait for the next item, so long as a call may take."""
        if not (guarded and self._timed):
            return await stream.asend(sent)
        began = self._monotonic()
        serial = self._deadlines.start(began)
        try:
            item = await stream.asend(sent)
        except BaseException as error:
            if (
                not self._deadlines.finish(serial)
                and self._settle(serial)
                and isinstance(error, asyncio.CancelledError)
            ):
                raise RequestTimeoutError(self.name, self._monotonic() - began) from error
            raise
        if not self._deadlines.finish(serial):
            self._settle(serial)
        return item

    def _enter(self) -> tuple[Token, int]:
        token = self._admit(self.__aenter__)
        try:
            return (token, self._deadlines.start(token[1]) if self._timed else 0)
        except BaseException as error:
            self._raised(token, 0, error)
            raise

    def _admit(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Token:  # noqa: ANN401
        now = self._monotonic()
        token = self._core.admit(now)
        if isinstance(token, Rejection):
            raise self._refusal(token, now)
        self._before(func, *args, **kwargs)
        return token

    def _before(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._announce()
        self._tell("before_call", func, *args, **kwargs)

    def _returned(self, token: Token, serial: int, result: object, *, judged: bool = True) -> None:
        """Count a call that gave a result."""
        outcome, error = _SUCCESS, None
        if serial and not self._deadlines.finish(serial):
            # It swallowed the cancellation: the result is the caller's, the time was up even so.
            self._settle(serial)
            outcome, error = _FAILURE, FailedResultError(self.name, result)
        elif (
            judged
            and self._failure_result is not None
            and self._holds(self._failure_result, result)
        ):
            outcome, error = _FAILURE, FailedResultError(self.name, result)
        self._done(token, outcome, error)

    def _raised(self, token: Token, serial: int, error: BaseException) -> Exception | None:
        """Count a call that raised; gives the error to raise in place of its own, if any."""
        if not serial or self._deadlines.finish(serial):
            self._done(token, self._judged(error), error)
            return None
        only_ours = self._settle(serial)
        instead: Exception | None = None
        if only_ours and isinstance(error, asyncio.CancelledError):
            instead = RequestTimeoutError(self.name, self._monotonic() - token[1])
        self._done(token, _FAILURE, instead or error)
        return instead

    def _settle(self, serial: int) -> bool:
        self._timed_out += 1
        return self._deadlines.settle(serial)

    def _judged(self, error: BaseException | None) -> Outcome:
        if error is None:
            return _SUCCESS
        # What is no `Exception` (cancelled, closed, interrupted) came from outside.
        return (
            _FAILURE if isinstance(error, Exception) and self.is_system_error(error) else _NEUTRAL
        )

    def _done(self, token: Token, outcome: Outcome, error: BaseException | None) -> None:
        core = self._core
        core.done(token, outcome, self._monotonic())
        if self._listeners:
            if outcome is _SUCCESS:
                self._tell("success")
            elif outcome is _FAILURE:
                self._tell("failure", error)
        if core.state is not self._told:
            self._announce()
