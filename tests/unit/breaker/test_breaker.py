# ruff: noqa: ANN401, ARG002, S311 - listeners have the signatures of aiobreaker; chance is no secret
# pyright: reportPrivateUsage=false
"""The breaker around real calls: what callers see, what is left behind, what is told."""

import asyncio
import os
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC
from functools import partial
from typing import Any

import aiobreaker
import pytest

from infra.breaker import (
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerError,
    RequestTimeoutError,
    State,
    StateChange,
)
from infra.breaker.testing import BreakerLab, breakers
from infra.clock import SYSTEM

__all__ = ["breakers"]

CALLS = int(os.environ.get("TRACSEQ_BREAKER_CALLS", "3000"))
"""Random calls with cancellation; `100000` for the whole run."""
SCHEDULES = int(os.environ.get("TRACSEQ_BREAKER_SCHEDULES", "30"))
"""Random schedules of 1,000 simultaneous callers; `1000` for the whole run."""


async def fine(value: int = 1) -> int:
    """Work."""
    return value


async def fail() -> int:
    """Do not."""
    raise ValueError("broken")


async def hang() -> int:
    """Never answer."""
    await asyncio.Event().wait()
    return 0


def empty(breaker: CircuitBreaker) -> bool:
    """Say whether nothing is left of any call."""
    core = breaker._core
    left = (core.in_flight, core.probes, len(breaker._deadlines), len(breaker._blocks))
    return left == (0, 0, 0, 0)


async def test_results_and_errors_are_the_callers_own(breakers: BreakerLab) -> None:
    """A call gives what the function gives, with its arguments, and raises what it raises."""
    breaker = breakers.make()

    assert await breaker.call(fine, value=7) == 7
    with pytest.raises(ValueError, match="broken"):
        await breaker.call(fail)
    assert breaker.snapshot().succeeded == breaker.snapshot().failed == 1
    assert empty(breaker)


async def test_it_opens_tries_again_and_closes(breakers: BreakerLab) -> None:
    """Five failures open it, thirty seconds later trials run, three successes close it."""
    breaker = breakers.make()
    changes = list[StateChange]()
    breaker.watch(changes.append)

    for _ in range(5):
        with pytest.raises(ValueError, match="broken"):
            await breaker.call(fail)
    with pytest.raises(CircuitBreakerError) as refused:
        await breaker.call(fine)
    breakers.move(30)
    for _ in range(3):
        await breaker.call(fine)

    assert refused.value.retry_after == 30
    assert refused.value.reason == "open"
    assert refused.value.reopen_time.tzinfo is UTC
    assert "'dependency' is open: try again in 30.0 s" in str(refused.value)
    assert [change.new for change in changes] == [State.OPEN, State.HALF_OPEN, State.CLOSED]


async def test_a_breaker_is_an_aiobreaker(breakers: BreakerLab) -> None:
    """Its types, states and errors are those that programs for aiobreaker know."""
    breaker = breakers.make(state=State.FORCED_OPEN)

    assert isinstance(breaker, aiobreaker.CircuitBreaker)
    assert breaker.current_state is aiobreaker.CircuitBreakerState.OPEN
    assert breaker.state.state is aiobreaker.CircuitBreakerState.OPEN
    with pytest.raises(aiobreaker.CircuitBreakerError):
        await breaker.state.call_async(fine)


async def test_forced_open_stays_until_reset(breakers: BreakerLab) -> None:
    """Time does not close it; a reset does."""
    breaker = breakers.make(state=State.FORCED_OPEN)

    breakers.move(86_400)
    with pytest.raises(CircuitBreakerError, match="by hand"):
        await breaker.call(fine)
    breaker.reset()

    assert await breaker.call(fine) == 1


async def test_a_full_breaker_refuses_without_counting_a_failure(breakers: BreakerLab) -> None:
    """The call over the limit is refused at once, and says when to come again."""
    breaker = breakers.make(config=CircuitBreakerConfig(max_concurrent_requests=2))
    hanging = [asyncio.create_task(breaker.call(hang)) for _ in range(2)]
    await SYSTEM.sleep(0)

    with pytest.raises(CircuitBreakerError) as refused:
        await breaker.call(fine)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)

    assert (refused.value.reason, refused.value.retry_after) == ("full", 1)
    assert (breaker.snapshot().failed, breaker.snapshot().neutral) == (0, 2)
    assert empty(breaker)


async def test_half_open_lets_exactly_its_limit_through() -> None:
    """Of 1,000 simultaneous callers, in many random schedules, the limit runs and no more."""
    for seed in range(SCHEDULES):
        chance = random.Random(seed)
        limit = chance.randint(1, 5)
        config = CircuitBreakerConfig(half_open_max=limit, success_threshold=1_000)
        breaker = CircuitBreaker("dependency", config)
        breaker.half_open()
        entered = 0
        go = asyncio.Event()

        async def trial(go: asyncio.Event = go) -> None:
            nonlocal entered
            entered += 1
            await go.wait()

        async def caller(
            delays: int, breaker: CircuitBreaker = breaker, go: asyncio.Event = go
        ) -> None:
            for _ in range(delays):
                await SYSTEM.sleep(0)
            await breaker.call(partial(trial, go))

        callers = [asyncio.create_task(caller(chance.randint(0, 3))) for _ in range(1_000)]
        for _ in range(6):
            await SYSTEM.sleep(0)
        assert entered == limit
        go.set()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert sum(isinstance(result, CircuitBreakerError) for result in results) == 1_000 - limit
        assert empty(breaker)


async def test_a_call_that_takes_too_long_is_cancelled_and_has_failed(breakers: BreakerLab) -> None:
    """Its caller gets a timeout, the task is not left cancelled."""
    breaker = breakers.make(config=CircuitBreakerConfig(request_timeout=10, failure_threshold=1))
    calling = asyncio.create_task(breaker.call(hang))
    await SYSTEM.sleep(0)

    breakers.move(9.9)
    await SYSTEM.sleep(0)
    assert not calling.done()
    breakers.move(0.1)
    with pytest.raises(RequestTimeoutError, match="no answer within 10 s"):
        await calling

    assert calling.cancelling() == 0
    assert breaker.breaker_state is State.OPEN
    assert breaker.snapshot().timed_out == 1
    assert empty(breaker)


async def test_the_timer_ends_calls_by_itself() -> None:
    """Without anyone's help three calls end, and not before their time."""
    breaker = CircuitBreaker("dependency", CircuitBreakerConfig(request_timeout=0.05))
    began = SYSTEM.monotonic()

    results = await asyncio.gather(*(breaker.call(hang) for _ in range(3)), return_exceptions=True)

    assert [type(result) for result in results] == [RequestTimeoutError] * 3
    assert SYSTEM.monotonic() - began >= 0.05
    assert empty(breaker)


async def test_a_cancellation_from_outside_is_never_taken_for_a_timeout(
    breakers: BreakerLab,
) -> None:
    """Cancelled in the same moment as its time is up, a task ends cancelled."""
    breaker = breakers.make()
    calling = asyncio.create_task(breaker.call(hang))
    await SYSTEM.sleep(0)

    breakers.move(10)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    assert calling.cancelled()
    assert empty(breaker)


async def test_a_result_in_spite_of_the_timeout_is_the_callers(breakers: BreakerLab) -> None:
    """A function that swallows the cancellation gives its result; the failure counts."""
    breaker = breakers.make()

    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "late"

    calling = asyncio.create_task(breaker.call(stubborn))
    await SYSTEM.sleep(0)
    breakers.move(10)

    assert await calling == "late"
    assert calling.cancelling() == 0
    assert breaker.snapshot().failed == 1
    assert empty(breaker)


def test_a_breaker_goes_on_in_another_event_loop() -> None:
    """The loop that it began in may be closed."""
    breaker = CircuitBreaker("dependency", CircuitBreakerConfig(request_timeout=0.02))

    for _ in range(2):
        with pytest.raises(RequestTimeoutError):
            asyncio.run(breaker.call(hang))

    assert empty(breaker)


async def _step(chance: random.Random, breaker: CircuitBreaker, depth: int = 0) -> None:
    """Wait some turns, call further in, fail or not: at every await it may be cancelled."""
    for _ in range(chance.randint(0, 3)):
        await SYSTEM.sleep(0)
    if depth < 2 and chance.random() < 0.3:
        await breaker.call(_step, chance, breaker, depth + 1)
    if chance.random() < 0.1:
        raise ValueError("broken")
    if chance.random() < 0.15:
        await asyncio.Event().wait()


async def _any_way(chance: random.Random, breaker: CircuitBreaker) -> None:
    async def stream() -> AsyncGenerator[int]:
        for number in range(3):
            await _step(chance, breaker, 2)
            yield number

    way = chance.randint(0, 2)
    if way == 0:
        await breaker.call(_step, chance, breaker)
    elif way == 1:
        async with breaker:
            await _step(chance, breaker)
    else:
        async for _ in breaker(stream)():
            await SYSTEM.sleep(0)


async def test_random_calls_with_cancellation_leave_nothing_behind(breakers: BreakerLab) -> None:
    """Whatever is cancelled, timed out, refused or switched, nothing stays in flight."""
    chance = random.Random(20_261_122)
    config = CircuitBreakerConfig(
        failure_threshold=5,
        recovery_timeout=1,
        request_timeout=2,
        max_concurrent_requests=8,
        failure_rate=0.5,
        half_open_max=2,
    )
    breaker = breakers.make(config=config)
    # In the order they began: a set has an order of its own in every run, and with it other calls
    # would be cancelled each time.
    running = list[asyncio.Task[None]]()
    for _ in range(CALLS):
        running.append(asyncio.create_task(_any_way(chance, breaker)))
        if chance.random() < 0.2:
            chance.choice(running).cancel()
        if chance.random() < 0.3:
            breakers.move(chance.random())
        if chance.random() < 0.03:
            chance.choice([breaker.reset, breaker.force_open, breaker.open, breaker.half_open])()
        await SYSTEM.sleep(0)
        running = [task for task in running if not task.done() or _ended(task)]
    while running:
        breakers.move(2)
        for _ in range(20):
            await SYSTEM.sleep(0)
        running = [task for task in running if not task.done() or _ended(task)]

    seen = breaker.snapshot()
    assert empty(breaker)
    # Every way to end and every way to be refused was among them, and not just once.
    ends = (seen.succeeded, seen.failed, seen.neutral, seen.timed_out, seen.late)
    assert min(*ends, *seen.rejected.values()) > CALLS / 100, seen


def _ended(task: asyncio.Task[None]) -> bool:
    """Take what a task ended with, which may be anything but a mistake; always False."""
    expected = (ValueError, CircuitBreakerError, RequestTimeoutError)
    if not task.cancelled() and (error := task.exception()) is not None:
        assert isinstance(error, expected), error
    return False


class Listener(aiobreaker.CircuitBreakerListener):
    """Notes what it is told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.told = list[str]()

    def before_call(self, breaker: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        """Note a call."""
        self.told.append("before")

    def success(self, breaker: Any) -> None:
        """Note a success."""
        self.told.append("success")

    def failure(self, breaker: Any, exception: Exception) -> None:
        """Note a failure."""
        self.told.append(type(exception).__name__)

    def state_change(self, breaker: Any, old: Any, new: Any) -> None:
        """Note a change."""
        self.told.append(f"{old.state.name} to {new.state.name}")


async def test_listeners_are_told_of_calls_and_changes(breakers: BreakerLab) -> None:
    """In the order in which things happen."""
    listener = Listener()
    config = CircuitBreakerConfig(failure_threshold=1)
    breaker = breakers.make(config=config, listeners=[listener])

    await breaker.call(fine)
    with suppress(ValueError):
        await breaker.call(fail)

    expected = ["before", "success", "before", "ValueError", "CLOSED to OPEN"]
    assert listener.told == expected


async def test_a_bad_result_counts_and_is_still_the_callers(breakers: BreakerLab) -> None:
    """What `failure_result` recognises opens the breaker; a judge with a bug does not."""

    def small(value: int) -> bool:
        return 1 / value < 0.2

    config = CircuitBreakerConfig(failure_threshold=1)
    breaker = breakers.make(config=config, failure_result=small)

    assert await breaker.call(fine, 0) == 0
    assert breaker.snapshot().state is State.CLOSED
    assert await breaker.call(fine, 9) == 9
    assert breaker.snapshot().state is State.OPEN


async def test_a_block_is_guarded_as_a_call(breakers: BreakerLab) -> None:
    """Success, failure and timeout of `async with` count, also one inside another."""
    breaker = breakers.make()

    async with breaker, breaker:
        assert breaker.snapshot().in_flight == 2
    with pytest.raises(ValueError, match="broken"):
        async with breaker:
            await fail()

    async def block() -> None:
        async with breaker:
            await hang()

    calling = asyncio.create_task(block())
    await SYSTEM.sleep(0)
    breakers.move(10)
    with pytest.raises(RequestTimeoutError):
        await calling

    assert (breaker.snapshot().succeeded, breaker.snapshot().failed) == (2, 2)
    assert empty(breaker)


async def test_a_stream_is_one_call(breakers: BreakerLab) -> None:
    """It holds its place until it ends; what its consumer does takes none of its time."""
    breaker = breakers.make()

    @breaker
    async def stream(count: int) -> AsyncGenerator[int]:
        for number in range(count):
            yield number

    items = list[int]()
    async for item in stream(3):
        items.append(item)
        breakers.move(60)
        assert breaker.snapshot().in_flight == 1
    one = stream(3)
    assert await anext(one) == 0
    await one.aclose()

    assert items == [0, 1, 2]
    assert (breaker.snapshot().succeeded, breaker.snapshot().neutral) == (1, 1)
    assert empty(breaker)


async def test_an_item_that_does_not_come_is_a_timeout(breakers: BreakerLab) -> None:
    """Each wait for an item is bounded."""
    breaker = breakers.make()

    @breaker
    async def stream() -> AsyncGenerator[int]:
        yield 1
        await hang()

    async def consume() -> None:
        async for _ in stream():
            pass

    calling = asyncio.create_task(consume())
    await SYSTEM.sleep(0)
    breakers.move(10)
    with pytest.raises(RequestTimeoutError):
        await calling

    assert (breaker.snapshot().failed, breaker.snapshot().timed_out) == (1, 1)
    assert empty(breaker)


async def test_a_decorated_function_is_guarded_once(breakers: BreakerLab) -> None:
    """Given to `call` it takes one place, not two."""
    breaker = breakers.make(config=CircuitBreakerConfig(max_concurrent_requests=1))

    assert await breaker.call(breaker(fine), 5) == 5
    with pytest.raises(CircuitBreakerError):
        await breaker.call(breaker(ignore_on_call=False)(fine))


def test_only_async_functions_are_decorated(breakers: BreakerLab) -> None:
    """Others are refused with the remedy."""
    with pytest.raises(TypeError, match="run it in a thread"):
        breakers.make()(len)


async def test_switched_off_calls_go_straight_through(breakers: BreakerLab) -> None:
    """Nothing is refused or counted, in any way in."""
    breaker = breakers.make(state=State.FORCED_OPEN, enabled=False)

    @breaker
    async def stream() -> AsyncGenerator[int]:
        yield 1

    assert await breaker.call(fine) == 1
    async with breaker:
        pass
    assert [item async for item in stream()] == [1]
    assert breaker.snapshot().succeeded == 0


async def test_new_numbers_apply_to_what_is_under_way(breakers: BreakerLab) -> None:
    """State and counters stay; thresholds, times and bounds are the new ones at once."""
    breaker = breakers.make()
    calling = asyncio.create_task(breaker.call(hang))
    await SYSTEM.sleep(0)
    for _ in range(2):
        with suppress(ValueError):
            await breaker.call(fail)

    breaker.configure(CircuitBreakerConfig(failure_threshold=3, request_timeout=5))
    breakers.move(5)
    with pytest.raises(RequestTimeoutError):
        await calling
    assert breaker.breaker_state is State.OPEN
    breaker.timeout_duration = breaker.timeout_duration / 10
    breakers.move(3)

    assert await breaker.call(fine) == 1


async def test_a_call_that_began_unmeasured_is_never_slow(breakers: BreakerLab) -> None:
    """Numbers that measure calls, put into force while it runs, judge those that begin later."""
    breaker = breakers.make(config=CircuitBreakerConfig(request_timeout=None))
    go = asyncio.Event()
    calling = asyncio.create_task(breaker.call(go.wait))
    await SYSTEM.sleep(0)

    breaker.configure(CircuitBreakerConfig(slow_call_seconds=1, slow_call_rate=0.5))
    breakers.move(5)
    go.set()
    await calling

    assert (breaker.snapshot().succeeded, breaker.snapshot().slow) == (1, 0)
    assert empty(breaker)
