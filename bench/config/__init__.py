"""Configuration that changes while programs run: how soon all fifty have it, and what it costs.

Beside etcd with the same clients in two processes, and beside bare subscribers of the same broker,
in turns. etcd syncs what it acknowledges, so it stands beside profile `safe`.
"""

import asyncio
import time
import timeit
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.config.etcd import etcd
from bench.config.fleet import SEEN_WITHIN_SECONDS, Fleet, Update, updates
from bench.config.ours import floor, system, watched
from bench.config.watchers import ENVIRONMENT, Numbered
from bench.peers.environment import PeerMissingError
from bench.report import Report, percentile
from contracts.config import BulkConfig
from infra.bus.bus import Bus
from infra.bus.outcomes import RESTART_SKEW_SECONDS
from infra.clock import SYSTEM
from infra.config.configuration import Configuration, Identity

ROUNDS = 5
UPDATES = 200
"""In each round, of each side."""
FIRST_UPDATES = 50
LAST_UPDATES = 10_000
RECONNECTS = 20
KEYS = 1_000
BULKS = 20
READS = 2_000_000
MEAN_OF = 5


async def run(scale: float) -> Report:
    """Measure; `scale` is the share of the updates and reads."""
    report = Report("config")
    _reads(report, scale)
    for profile in ("dev", "safe"):
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(system(profile))
            watching, update, bus = await stack.enter_async_context(watched(url))
            sides = {"ours": Side(watching, update)}
            await _first_updates(report, profile, sides["ours"])
            sides["floor"] = Side(*await stack.enter_async_context(floor(url)))
            try:
                sides["etcd"] = Side(*await stack.enter_async_context(etcd()))
            except PeerMissingError as missing:
                report.row(what="update", side="etcd", skipped=str(missing))
            await _updates(report, profile, sides, max(20, int(UPDATES * scale)))
            await _bulks(report, profile, bus)
            if profile == "safe":
                await _reconnects(report, sides["ours"], max(200, int(LAST_UPDATES * scale)))
    return report


@dataclass(slots=True)
class Side:
    """One way to tell fifty clients, and the newest number that they were told."""

    fleet: Fleet
    update: Update
    last: int = 0

    def numbers(self, count: int) -> Sequence[int]:
        """Give the next numbers."""
        first, self.last = self.last + 1, self.last + count
        return range(first, self.last + 1)


async def _first_updates(report: Report, profile: str, side: Side) -> None:
    """Measure what is true for seconds only: whether a command came before is looked up then."""
    seen = await updates(side.fleet, side.update, side.numbers(FIRST_UPDATES))
    report.row(
        what="update to all 50 in the first seconds of the service",
        profile=profile,
        p50_ms=percentile(seen, 0.5),
        p99_ms=percentile(seen, 0.99),
    )
    await SYSTEM.sleep(RESTART_SKEW_SECONDS)


async def _updates(report: Report, profile: str, sides: dict[str, Side], count: int) -> None:
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            seen[name] += await updates(side.fleet, side.update, side.numbers(count))
    halves = {name: percentile(times, 0.5) for name, times in seen.items()}
    for name, times in seen.items():
        report.row(
            what="update to all 50",
            profile=profile,
            side=name,
            p50_ms=halves[name],
            p99_ms=percentile(times, 0.99),
        )
    report.at_most(f"update to all 50, p50 ({profile})", halves["ours"], 5, "ms")
    p99 = percentile(seen["ours"], 0.99)
    report.at_most(f"update to all 50, p99 ({profile})", p99, 25, "ms")
    report.row(what="ours over floor, p50", profile=profile, ratio=halves["ours"] / halves["floor"])
    if "etcd" in halves:
        ratio = halves["ours"] / halves["etcd"]
        report.row(what="ours over etcd, p50", profile=profile, ratio=ratio)


async def _bulks(report: Report, profile: str, bus: Bus) -> None:
    times_ms: list[float] = []
    for number in range(BULKS):
        command = BulkConfig(
            service="bulk-service",
            environment=ENVIRONMENT,
            values={f"key_{index}": f"value {index} of {number}" for index in range(KEYS)},
        )
        began = time.perf_counter()
        await bus.ask(command, timeout_seconds=30)
        times_ms.append((time.perf_counter() - began) * 1e3)
    half = percentile(times_ms, 0.5)
    report.row(what="bulk of 1,000 keys", profile=profile, p50_ms=half, max_ms=max(times_ms))
    report.at_most(f"bulk of 1,000 keys, p50 ({profile})", half, 60, "ms")


async def _reconnects(report: Report, side: Side, count: int) -> None:
    every = max(1, count // RECONNECTS)
    began = time.perf_counter()
    numbers = side.numbers(count)
    # What the watchers tell is read meanwhile: who cannot say what it saw stands still.
    seeing = asyncio.create_task(side.fleet.all_saw(side.last))
    for number in numbers:
        if number % every == 0:
            side.fleet.drop_one(number // every)
        await side.update(number)
    try:
        async with asyncio.timeout(SEEN_WITHIN_SECONDS):
            await seeing
        without = 0
    except TimeoutError:
        without = 1
    report.row(
        what="updates with connections cut",
        updates=count,
        cuts=count // every,
        seconds=time.perf_counter() - began,
    )
    report.at_most(f"processes without the last of {count} updates", without, 0, "processes")


def _reads(report: Report, scale: float) -> None:
    count = max(100_000, int(READS * scale))
    identity = Identity(
        program="bench", service="bench-service", environment=ENVIRONMENT, instance="reads"
    )
    held, plain = Configuration(Numbered, identity), Numbered()
    cost_ns: dict[str, float] = {}
    for name, statement in (("plain", "plain.number"), ("held", "held.current.number")):
        best = min(
            timeit.repeat(
                statement, globals={"plain": plain, "held": held}, number=count, repeat=MEAN_OF
            )
        )
        cost_ns[name] = best / count * 1e9
    report.row(what="read", held_ns=cost_ns["held"], plain_ns=cost_ns["plain"])
    report.at_most(
        "cached read over a plain attribute", cost_ns["held"] - cost_ns["plain"], 100, "ns"
    )
