"""What a circuit breaker costs, beside the others, and whether it keeps its promises under load.

Costs are nanoseconds over the bare call, the least of several rounds, all in one run and process. A
peer that is not installed gets a row with the reason, and no check counts it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import aiobreaker

from bench.report import Report, percentile
from infra.breaker import (
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerError,
    RequestTimeoutError,
)
from infra.clock import SYSTEM

Call = Callable[[], Awaitable[object]]

ROUNDS = 15
CALLS = 20_000
IN_FLIGHT = 10_000
TIMEOUT_SECONDS = 10.0
OUTAGE_SECONDS = 30.0
OUTAGE_RATE = 500
RECOVERY_SECONDS = 5.0


async def run(scale: float) -> Report:
    """Run everything; `scale` shortens it."""
    report = Report("breaker")
    await _costs(report, scale)
    await _lateness(report)
    await _outage(report, scale)
    return report


async def _fine() -> None:
    return None


async def _fail() -> None:
    raise ConnectionError("down")


async def _hang() -> None:
    await asyncio.Event().wait()


async def _costs(report: Report, scale: float) -> None:
    calls = max(1_000, int(CALLS * scale))
    bare = await _least(_fine, calls)
    report.row(what="bare call", ns=bare)
    ours = await _ours(report, bare, calls)
    peers = list[float]()
    for name, prepare in PEERS.items():
        try:
            closed, opened = await prepare()
        except ModuleNotFoundError as missing:
            report.row(what=name, skipped=f"{missing.name} is not installed (group bench)")
            continue
        peers.append(await _least(closed, calls) - bare)
        report.row(what=name, closed_ns=peers[-1], rejected_ns=await _least(opened, calls) - bare)
    report.at_most("closed, no timeout", ours["closed"], 500, "ns")
    report.at_most("closed, timeout, bulkhead, window", ours["bounded"], 1_500, "ns")
    report.at_most("rejected", ours["rejected"], 1_200, "ns")
    report.at_least("fastest peer over ours", min(peers) / ours["closed"], 1.0, "x")


async def _ours(report: Report, bare: float, calls: int) -> dict[str, float]:
    plain = CircuitBreaker("plain", CircuitBreakerConfig(request_timeout=None))
    full = CircuitBreaker("full", CircuitBreakerConfig(failure_rate=0.5))
    opened = CircuitBreaker("open")
    opened.open()

    async def rejected() -> None:
        try:
            await opened.call(_fine)
        except CircuitBreakerError:
            return

    found = {
        "closed": await _least(lambda: plain.call(_fine), calls) - bare,
        "bounded": await _least(lambda: full.call(_fine), calls) - bare,
        "rejected": await _least(rejected, calls) - bare,
    }
    report.row(
        what="tracseq",
        closed_ns=found["closed"],
        bounded_ns=found["bounded"],
        rejected_ns=found["rejected"],
    )
    return found


async def _least(call: Call, calls: int) -> float:
    """Give the nanoseconds of one call, in the quietest of the rounds."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = perf_counter()
        for _ in range(calls):
            await call()
        least = min(least, perf_counter() - began)
    return least / calls * 1e9


def _quiet(call: Call, refusal: type[Exception]) -> Call:
    async def quiet() -> None:
        try:
            await call()
        except refusal:
            return

    return quiet


Prepared = tuple[Call, Call]
"""A call through a closed breaker, and one that an open breaker rejects."""


async def _aiobreaker() -> Prepared:
    closed, opened = aiobreaker.CircuitBreaker(), aiobreaker.CircuitBreaker()
    opened.open()
    return (
        lambda: closed.call_async(_fine),
        _quiet(lambda: opened.call_async(_fine), aiobreaker.CircuitBreakerError),
    )


async def _pybreaker() -> Prepared:
    library: Any = import_module("pybreaker")
    closed, opened = library.CircuitBreaker(), library.CircuitBreaker()
    opened.open()

    def work() -> None:
        return None

    # It guards plain functions only: the coroutine around it is what a caller needs as well.
    async def call(breaker: Any) -> None:  # noqa: ANN401 - has no types
        breaker.call(work)

    return lambda: call(closed), _quiet(lambda: call(opened), library.CircuitBreakerError)


async def _circuitbreaker() -> Prepared:
    library: Any = import_module("circuitbreaker")
    closed: Any = library.circuit(name="closed")(_fine)
    opened: Any = library.circuit(name="opened", failure_threshold=1)(_fail)
    await _quiet(opened, ConnectionError)()
    return closed, _quiet(opened, library.CircuitBreakerError)


async def _purgatory() -> Prepared:
    library: Any = import_module("purgatory")
    factory = library.AsyncCircuitBreakerFactory(default_threshold=1, default_ttl=3_600)
    closed: Any = factory("closed")(_fine)
    opened: Any = factory("opened")(_fail)
    await _quiet(opened, ConnectionError)()
    return closed, _quiet(opened, import_module("purgatory.domain.model").OpenedState)


async def _hyx() -> Prepared:
    library: Any = import_module("hyx.circuitbreaker")
    errors: Any = import_module("hyx.circuitbreaker.exceptions")
    make: Any = library.consecutive_breaker
    closed: Any = make(exceptions=Exception, failure_threshold=5, recovery_time_secs=3_600)(_fine)
    opened: Any = make(exceptions=Exception, failure_threshold=1, recovery_time_secs=3_600)(_fail)
    await _quiet(opened, ConnectionError)()
    await _quiet(opened, Exception)()
    return closed, _quiet(opened, errors.BreakerFailing)


PEERS: dict[str, Callable[[], Awaitable[Prepared]]] = {
    "aiobreaker": _aiobreaker,
    "pybreaker": _pybreaker,
    "circuitbreaker": _circuitbreaker,
    "purgatory": _purgatory,
    "hyx": _hyx,
}


async def _lateness(report: Report) -> None:
    """Keep 10,000 calls in flight, all of which hang, and see how late each is ended."""
    seconds = TIMEOUT_SECONDS
    config = CircuitBreakerConfig(
        request_timeout=seconds, max_concurrent_requests=2 * IN_FLIGHT, failure_threshold=10**9
    )
    breaker = CircuitBreaker("late", config)
    late_ms = list[float]()

    async def one() -> None:
        began = SYSTEM.monotonic()
        try:
            await breaker.call(_hang)
        except RequestTimeoutError:
            late_ms.append((SYSTEM.monotonic() - began - seconds) * 1e3)

    tasks = list[asyncio.Task[None]]()
    began = SYSTEM.monotonic()
    in_flight = 0
    # Begun evenly over two spans of the timeout: in the second one, ends and beginnings balance.
    while (passed := SYSTEM.monotonic() - began) < 2 * seconds:
        due = int(passed / seconds * IN_FLIGHT)
        tasks.extend(asyncio.create_task(one()) for _ in range(due - len(tasks)))
        await SYSTEM.sleep(0.001)
        in_flight = max(in_flight, breaker.snapshot().in_flight)
    await asyncio.gather(*tasks)
    p99, least = percentile(late_ms, 0.99), min(late_ms)
    report.row(what="timeouts", calls=len(late_ms), in_flight=in_flight, p99_ms=p99, least_ms=least)
    report.at_most("timeouts late, p99", p99, 5, "ms")
    report.at_least("timeouts early, least", least, 0, "ms")


async def _outage(report: Report, scale: float) -> None:
    """Let an upstream be down while callers go on as before, and see what reaches it."""
    outage_seconds = max(10.0, OUTAGE_SECONDS * scale)
    config = CircuitBreakerConfig(recovery_timeout=RECOVERY_SECONDS)
    breaker = CircuitBreaker("upstream", config)
    began = SYSTEM.monotonic()
    up_at = began + outage_seconds
    arrived = 0
    waits_ms = list[float]()
    recovered_at: float | None = None

    async def upstream() -> None:
        nonlocal arrived
        if SYSTEM.monotonic() < up_at:
            arrived += 1
            raise ConnectionError("down")

    calls = 0
    while recovered_at is None and SYSTEM.monotonic() < up_at + 3 * RECOVERY_SECONDS:
        called = perf_counter()
        try:
            await breaker.call(upstream)
            recovered_at = SYSTEM.monotonic()
        except (CircuitBreakerError, ConnectionError):
            waits_ms.append((perf_counter() - called) * 1e3)
        calls += SYSTEM.monotonic() < up_at
        await SYSTEM.sleep(1 / OUTAGE_RATE)
    recovery_seconds = (recovered_at or float("inf")) - up_at
    cut = 1 - arrived / max(1, calls)
    report.row(what="outage", calls=calls, arrived=arrived, recovery_seconds=recovery_seconds)
    report.at_most("callers while open, p99", percentile(waits_ms, 0.99), 5, "ms")
    report.at_least("traffic cut", cut * 100, 99, "%")
    report.at_most("recovered after", recovery_seconds, RECOVERY_SECONDS + 1, "s")
