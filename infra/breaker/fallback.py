"""What to do instead while a dependency is unwell: named, logged, and only for that reason.

A fallback is for a dependency that does not answer. A refusal or a bug of one's own goes through.
"""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, cast

import structlog

from infra.breaker.errors import CircuitBreakerError, RequestTimeoutError

ResultT = TypeVar("ResultT")

UNWELL: tuple[type[Exception], ...] = (CircuitBreakerError, RequestTimeoutError)
"""What a breaker itself raises."""

log = structlog.get_logger(__name__)


async def fallback(
    attempt: Awaitable[ResultT],
    instead: Callable[[Exception], ResultT | Awaitable[ResultT]],
    *,
    name: str,
    on: tuple[type[Exception], ...] = UNWELL,
) -> ResultT:
    """Give what is attempted, or what is done instead where that fails in one of these ways.

    Args:
        attempt: usually `breaker.call(...)`.
        instead: given the error, gives a result or awaits one; its own errors go through.
        name: what is done instead, in a word or two, for the log.
        on: the errors that call for it.
    """
    try:
        return await attempt
    except on as error:
        log.info("fallback_used", fallback=name, error=type(error).__name__)
        result = instead(error)
        if isawaitable(result):
            return await cast("Awaitable[ResultT]", result)
        return result
