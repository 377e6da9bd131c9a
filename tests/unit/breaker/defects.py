# ruff: noqa: ANN401 - a breaker of either kind, of which one has no types
"""What plain aiobreaker does wrong, each as a check that holds where it is done right.

Run as a program (`python -W error defects.py`) it tries every check on plain aiobreaker and on
ours, and prints for each what went wrong, or null: so that it can be run in any time zone.
"""

import asyncio
import json
import sys
from abc import ABCMeta
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol

import aiobreaker
import structlog

from infra.breaker import CircuitBreaker, CircuitBreakerConfig
from infra.clock import SYSTEM

SOON = 0.02


class Make(Protocol):
    """Makes a breaker of either kind."""

    def __call__(
        self,
        fail_max: int = 1,
        seconds: float = 60.0,
        *,
        bound_seconds: float = 10.0,
        trials: int = 1,
        **options: Any,
    ) -> Any:
        """Make one that opens after `fail_max` failures, for `seconds`."""
        ...


def plain(
    fail_max: int = 1,
    seconds: float = 60.0,
    *,
    bound_seconds: float = 10.0,  # noqa: ARG001 - it has none
    trials: int = 1,  # noqa: ARG001 - it has none
    **options: Any,
) -> Any:
    """Make aiobreaker's own."""
    return aiobreaker.CircuitBreaker(fail_max, timedelta(seconds=seconds), **options)


def ours(
    fail_max: int = 1,
    seconds: float = 60.0,
    *,
    bound_seconds: float = 10.0,
    trials: int = 1,
    **options: Any,
) -> Any:
    """Make ours."""
    config = CircuitBreakerConfig(
        failure_threshold=fail_max,
        recovery_timeout=seconds,
        request_timeout=bound_seconds,
        half_open_max=trials,
    )
    return CircuitBreaker("dependency", config, **options)


async def fine() -> str:
    """Work."""
    return "fine"


async def fail() -> str:
    """Do not."""
    raise ValueError("broken")


async def tried(breaker: Any, func: Callable[[], Awaitable[object]] = fail) -> Exception | None:
    """Call through a breaker and give what was raised."""
    try:
        await breaker.call_async(func)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    return None


async def dates_are_right_in_every_zone(make: Make) -> None:
    """1: the time until it tries again lies between nothing and the time it stays open."""
    breaker = make(seconds=2.0)
    await tried(breaker)
    error = await tried(breaker)
    assert isinstance(error, aiobreaker.CircuitBreakerError)
    assert timedelta(0) < error.time_remaining <= timedelta(seconds=2)
    assert timedelta(0) < breaker.time_until_open <= timedelta(seconds=2)


async def a_closed_breaker_has_no_date(make: Make) -> None:
    """2: one that never opened says so."""
    assert make().opens_at is None


async def trial_calls_are_limited(make: Make) -> None:
    """3: a dependency that recovers is not run over."""
    breaker = make(seconds=SOON)
    await tried(breaker)
    await SYSTEM.sleep(2 * SOON)
    running = most = 0

    async def probe() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await SYSTEM.sleep(SOON)
        running -= 1

    await asyncio.gather(*(tried(breaker, probe) for _ in range(100)))
    assert most == 1, f"{most} trial calls at once"


async def a_late_success_does_not_close(make: Make) -> None:
    """4: a trial that failed since knows better."""
    breaker = make(seconds=SOON, trials=2)
    await tried(breaker)
    await SYSTEM.sleep(2 * SOON)
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()

    slow = asyncio.create_task(tried(breaker, later))
    await SYSTEM.sleep(0)
    await tried(breaker)
    go.set()
    await slow
    assert breaker.current_state is aiobreaker.CircuitBreakerState.OPEN


async def late_failures_do_not_keep_it_open(make: Make) -> None:
    """5: calls that began before it opened do not push on when it tries again."""
    breaker = make(seconds=0.2)
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        raise ValueError("broken")

    slow = asyncio.create_task(tried(breaker, later))
    await SYSTEM.sleep(0)
    await tried(breaker)
    await SYSTEM.sleep(0.15)
    go.set()
    await slow
    await SYSTEM.sleep(0.07)
    assert await tried(breaker, fine) is None


async def an_excluded_error_is_no_success(make: Make) -> None:
    """6: failures on either side of it are still in a row."""
    breaker = make(2, exclude=[KeyError])

    async def excluded() -> None:
        raise KeyError("not the dependency's fault")

    await tried(breaker)
    await tried(breaker, excluded)
    await tried(breaker)
    assert breaker.current_state is aiobreaker.CircuitBreakerState.OPEN


class AbstractError(Exception, metaclass=ABCMeta):
    """An error whose class is no plain `type`."""


async def an_abstract_exclusion_excludes_itself_only(make: Make) -> None:
    """7: other errors still count."""
    breaker = make(exclude=[AbstractError])
    await tried(breaker)
    assert breaker.current_state is aiobreaker.CircuitBreakerState.OPEN


async def calls_that_take_too_long_count(make: Make) -> None:
    """8: three that are given up are three failures."""
    breaker = make(5, bound_seconds=SOON)

    async def hang() -> None:
        await asyncio.Event().wait()

    for _ in range(3):
        with suppress(TimeoutError):
            # The outer bound is what plain aiobreaker leaves one to.
            async with asyncio.timeout(2 * SOON):
                await breaker.call_async(hang)
    assert breaker.fail_counter == 3


async def call_awaits(make: Make) -> None:
    """9: `call` of an async function counts how it ended."""
    breaker = make(5)
    with suppress(ValueError):
        called = breaker.call(fail)
        assert isawaitable(called)
        await called
    assert breaker.fail_counter == 1


async def the_caller_sees_its_own_error(make: Make) -> None:
    """10: also the call that opens it."""
    assert isinstance(await tried(make()), ValueError)


async def no_time_is_no_time(make: Make) -> None:
    """11: a breaker that stays open for 0 seconds tries again at once."""
    breaker = make(seconds=0.0)
    await tried(breaker)
    assert await tried(breaker, fine) is None


class Raising(aiobreaker.CircuitBreakerListener):
    """A listener with a bug."""

    def success(self, breaker: Any) -> None:  # noqa: ARG002 - the base's
        """Fail."""
        raise RuntimeError("a bug in a listener")


async def a_listener_fails_no_call(make: Make) -> None:
    """12: its bug is its own."""
    assert await tried(make(listeners=[Raising()]), fine) is None


async def generators_are_guarded(make: Make) -> None:
    """13: one that breaks off is a failure."""
    breaker = make()

    async def stream() -> AsyncGenerator[int]:
        yield 1
        raise ValueError("broke off")

    with suppress(ValueError):
        async for _ in breaker(stream)():
            pass
    assert breaker.current_state is aiobreaker.CircuitBreakerState.OPEN


async def partials_are_decorated(make: Make) -> None:
    """13: as any other async function."""

    async def echo(text: str) -> str:
        return text

    assert await make()(partial(echo, "fine"))() == "fine"


CHECKS = (
    dates_are_right_in_every_zone,
    a_closed_breaker_has_no_date,
    trial_calls_are_limited,
    a_late_success_does_not_close,
    late_failures_do_not_keep_it_open,
    an_excluded_error_is_no_success,
    an_abstract_exclusion_excludes_itself_only,
    calls_that_take_too_long_count,
    call_awaits,
    the_caller_sees_its_own_error,
    no_time_is_no_time,
    a_listener_fails_no_call,
    generators_are_guarded,
    partials_are_decorated,
)


async def main() -> None:
    """Try every check on both kinds."""
    found = dict[str, dict[str, str | None]]()
    for check in CHECKS:
        found[check.__name__] = {}
        for kind, make in (("plain", plain), ("ours", ours)):
            problem = None
            try:
                await check(make)
            except Exception as error:  # noqa: BLE001 - what is wrong shows in many ways
                problem = f"{type(error).__name__}: {error}"
            found[check.__name__][kind] = problem
    print(json.dumps(found))  # noqa: T201 - a program's result


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main())
