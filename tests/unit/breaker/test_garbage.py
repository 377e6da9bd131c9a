"""A call that took too long leaves nothing behind that only the collector of cycles would find.

With thousands of calls in flight a collection takes a tenth of a second, and every timer is late.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from weakref import ref

import pytest

from infra.breaker import CircuitBreaker, CircuitBreakerConfig, RequestTimeoutError

CONFIG = CircuitBreakerConfig(request_timeout=0.01)


@pytest.fixture
def no_collector() -> Generator[None]:
    """Let nothing be collected but by its last reference."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def forever() -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def by_call(breaker: CircuitBreaker) -> None:
    """Call a function."""
    await breaker.call(forever)


async def by_block(breaker: CircuitBreaker) -> None:
    """Guard a block."""
    async with breaker:
        await forever()


async def by_stream(breaker: CircuitBreaker) -> None:
    """Wait for an item."""

    @breaker
    async def items() -> AsyncGenerator[int]:
        await forever()
        yield 1

    async for _ in items():
        pass


async def ended(way: Callable[[CircuitBreaker], Awaitable[None]]) -> "ref[RequestTimeoutError]":
    """Let a call take too long; give what is left of its error."""
    try:
        await way(CircuitBreaker("slow", CONFIG))
    except RequestTimeoutError as error:
        return ref(error)
    raise AssertionError("it was not ended")


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("way", [by_call, by_block, by_stream])
async def test_an_error_goes_with_its_last_reference(
    way: Callable[[CircuitBreaker], Awaitable[None]],
) -> None:
    """It is no part of a cycle, and neither are the frames it came through."""
    left = await asyncio.create_task(ended(way))

    assert left() is None
