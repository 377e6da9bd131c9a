"""What a circuit breaker costs, beside the others, and whether it keeps its promises under load.

Costs are nanoseconds over the bare call, the least of several rounds, all in one run and process. A
peer that is not installed gets a row with the reason, and no check counts it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any

import aiobreaker

from bench.breaker_advice import advice
from bench.report import Report, percentile
from infra.breaker import (
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerError,
    RequestTimeoutError,
)
from infra.clock import SYSTEM
from infra.runtime.run import collect_garbage_rarely
from infra.telemetry import logs

Call = Callable[[], Awaitable[object]]

ROUNDS = 100
CALLS = 2_000
OURS = "tracseq"
BARE = ("bare", "call")
IN_FLIGHT = 10_000
TIMEOUT_SECONDS = 10.0
OUTAGE_SECONDS = 30.0
OUTAGE_RATE = 500
RECOVERY_SECONDS = 5.0


async def run(scale: float) -> Report:
    """Run everything; `scale` shortens it."""
    report = Report("breaker")
    # Thousands of breakers open here; nobody wants to read of each.
    logs.configure(level="error")
    await _costs(report, scale)
    await _lateness(report)
    await _outage(report, scale)
    await advice(report, scale)
    return report


async def _fine() -> None:
    return None


async def _fail() -> None:
    raise ConnectionError("down")


async def _hang() -> None:
    await asyncio.Event().wait()


async def _costs(report: Report, scale: float) -> None:
    calls = _ours()
    for name, prepare in PEERS.items():
        try:
            calls[name, "closed"], calls[name, "rejected"] = await prepare()
        except ModuleNotFoundError as missing:
            report.row(what=name, skipped=f"{missing.name} is not installed (group bench)")
    bare = await _least({**calls, BARE: _fine}, max(200, int(CALLS * scale)))
    report.row(what="bare call", ns=bare[BARE])
    cost = {key: ns - bare[BARE] for key, ns in bare.items() if key != BARE}
    for name in dict.fromkeys(name for name, _ in cost):
        row = {f"{kind}_ns": ns for (other, kind), ns in cost.items() if other == name}
        report.row(what=name, **row)
    best = {
        kind: min(ns for (name, other), ns in cost.items() if name in PEERS and other == kind)
        for kind in ("closed", "rejected")
    }
    report.at_most("closed, no timeout", cost[OURS, "closed"], 500, "ns")
    report.at_most("closed, timeout, bulkhead, window", cost[OURS, "bounded"], 1_500, "ns")
    report.at_most("rejected", cost[OURS, "rejected"], 1_200, "ns")
    for kind, ns in best.items():
        report.at_least(f"fastest peer over ours, {kind}", ns / cost[OURS, kind], 1.0, "x")


def _ours() -> dict[tuple[str, str], Call]:
    plain = CircuitBreaker("plain", CircuitBreakerConfig(request_timeout=None))
    full = CircuitBreaker("full", CircuitBreakerConfig(failure_rate=0.5))
    opened = CircuitBreaker("open", CircuitBreakerConfig(recovery_timeout=3_600))
    opened.open()
    return {
        (OURS, "closed"): partial(plain.call, _fine),
        (OURS, "bounded"): partial(full.call, _fine),
        (OURS, "rejected"): _quiet(partial(opened.call, _fine), CircuitBreakerError),
    }


async def _least(calls: Mapping[tuple[str, str], Call], count: int) -> dict[tuple[str, str], float]:
    """Give the nanoseconds of one call of each, in the quietest of the rounds.

    They take turns, so that a noisy moment of the machine falls on all of them.
    """
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for key, call in calls.items():
            began = perf_counter()
            for _ in range(count):
                await call()
            least[key] = min(least[key], (perf_counter() - began) / count * 1e9)
    return least


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
        partial(closed.call_async, _fine),
        _quiet(partial(opened.call_async, _fine), aiobreaker.CircuitBreakerError),
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

    return partial(call, closed), _quiet(partial(call, opened), library.CircuitBreakerError)


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
    # As every service does at its start: a full collection over so many tasks takes longer than
    # they may be late.
    collect_garbage_rarely()
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

    asked = calls = 0
    while recovered_at is None and SYSTEM.monotonic() < up_at + 3 * RECOVERY_SECONDS:
        due = (SYSTEM.monotonic() - began) * OUTAGE_RATE
        while asked < due and recovered_at is None:
            called = perf_counter()
            try:
                await breaker.call(upstream)
                recovered_at = SYSTEM.monotonic()
            except (CircuitBreakerError, ConnectionError):
                waits_ms.append((perf_counter() - called) * 1e3)
            asked += 1
            calls += SYSTEM.monotonic() < up_at
        await SYSTEM.sleep(1 / OUTAGE_RATE)
    recovery_seconds = (recovered_at or float("inf")) - up_at
    cut = 1 - arrived / max(1, calls)
    report.row(
        what="outage",
        seconds=outage_seconds,
        calls_per_second=calls / outage_seconds,
        arrived=arrived,
        recovery_seconds=recovery_seconds,
    )
    report.at_most("callers while open, p99", percentile(waits_ms, 0.99), 5, "ms")
    report.at_least("traffic cut", cut * 100, 99, "%")
    report.at_most("recovered after", recovery_seconds, RECOVERY_SECONDS + 1, "s")
