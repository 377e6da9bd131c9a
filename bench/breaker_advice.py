"""How soon the other instances of a service know that one of them saw an outage.

One process and one broker, a connection for each instance: the time is from the failure that opens
the breaker of one until the breaker of another has heard of it.
"""

import asyncio
import tempfile
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from time import perf_counter

from bench.report import Report, percentile
from infra.breaker import (
    BreakerRegistry,
    CircuitBreaker,
    CircuitBreakerConfig,
    State,
    StateChange,
)
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.runtime.advising import Adviser
from infra.supervisor import Child, NatsServer

PEERS = 50
ROUNDS = 100
ROUND_SECONDS_MAX = 2.0
"""After which what was not heard is lost."""
# Opens at once at what it hears, so that hearing is seen from outside.
HEARING = CircuitBreakerConfig(open_at_peers=1)


async def advice(report: Report, scale: float) -> None:
    """Open one breaker again and again, and see when the others know."""
    rounds = max(10, int(ROUNDS * scale))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracseq-bench-")))
        broker = NatsServer(folder)
        child = Child(broker.program())
        await child.start()
        stack.push_async_callback(child.stop)
        teller = await _instance(stack, broker.url, CircuitBreakerConfig(failure_threshold=1))
        others = Others([await _instance(stack, broker.url, HEARING) for _ in range(PEERS)])
        # What was told before all listened is no measure.
        while len(await others.hear(teller)) < PEERS:
            pass
        heard_ms = [await others.hear(teller) for _ in range(rounds)]
    known_ms = [one for found in heard_ms for one in found]
    lost = rounds * PEERS - len(known_ms)
    p50, p99 = percentile(known_ms, 0.5), percentile(known_ms, 0.99)
    report.row(what="advice", peers=PEERS, rounds=rounds, lost=lost, p50_ms=p50, p99_ms=p99)
    report.at_most("opening known by 50 others, p99", p99, 50, "ms")


async def _instance(
    stack: AsyncExitStack, url: str, config: CircuitBreakerConfig
) -> CircuitBreaker:
    """Run what an instance of a service has of advice; gives its breaker."""
    connection = await Connection.connect(url, "sample")
    stack.push_async_callback(connection.close)
    breakers = BreakerRegistry("sample")
    adviser = Adviser(connection, breakers, instance="bench", clock=SYSTEM, ids=new_id)
    stack.callback(asyncio.create_task(adviser.run()).cancel)
    return breakers.get("upstream", config)


async def _fail() -> None:
    raise ConnectionError("down")


class Others:
    """Those who hear, and when each did."""

    def __init__(self, breakers: list[CircuitBreaker]) -> None:
        """Watch them."""
        self._breakers = breakers
        self._began = 0.0
        self._known_ms = dict[int, float]()
        self._all = asyncio.Event()
        for number, breaker in enumerate(breakers):
            breaker.watch(partial(self._heard, number))

    def _heard(self, number: int, change: StateChange) -> None:
        if change.new is State.OPEN:
            self._known_ms[number] = (perf_counter() - self._began) * 1e3
            if len(self._known_ms) == len(self._breakers):
                self._all.set()

    async def hear(self, teller: CircuitBreaker) -> list[float]:
        """Open the one; gives the milliseconds of each that heard of it within the bound."""
        for breaker in (teller, *self._breakers):
            breaker.reset(by="bench")
        self._known_ms.clear()
        self._all.clear()
        self._began = perf_counter()
        with suppress(ConnectionError):
            await teller.call(_fail)
        with suppress(TimeoutError):
            async with asyncio.timeout(ROUND_SECONDS_MAX):
                await self._all.wait()
        return list(self._known_ms.values())
