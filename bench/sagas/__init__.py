"""The saga engine beside its peers: the same five steps, in turns, on one machine in one run.

The profile `safe` is what compares with DBOS and Restate: all three sync what they acknowledge.
What `dev` does stands beside it, and is held against nobody.
"""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.peers import contenders
from bench.peers.environment import PeerMissingError
from bench.peers.protocol import Order
from bench.peers.worker import Worker, cpu_seconds
from bench.report import Report, percentile
from bench.sagas import ours

AT_ONCE = (1, 16, 64)
ROUNDS = 3
SECONDS = 4.0
QUICK_SECONDS = 0.7
WARM_UP = Order(at_once=16, seconds=0.5)

SAFE = "tracseq safe"
DEV = "tracseq dev"
MESSAGES_SAFE = "tracseq messages safe"
MESSAGES_DEV = "tracseq messages dev"
DBOS_SQLITE = "dbos sqlite"
DBOS_POSTGRES = "dbos postgres"
RESTATE = "restate"

Open = Callable[[Path], AbstractAsyncContextManager[Worker]]

CONTENDERS: Mapping[str, Open] = {
    SAFE: partial(ours.in_process, profile="safe"),
    DEV: partial(ours.in_process, profile="dev"),
    MESSAGES_SAFE: partial(ours.messages, profile="safe"),
    MESSAGES_DEV: partial(ours.messages, profile="dev"),
    DBOS_SQLITE: contenders.dbos_sqlite,
    DBOS_POSTGRES: contenders.dbos_postgres,
    RESTATE: contenders.restate,
}


@dataclass(slots=True)
class Seen:
    """What one contender did with so many in flight, round by round."""

    per_second: list[float] = field(default_factory=list[float])
    p50_ms: list[float] = field(default_factory=list[float])
    p99_ms: list[float] = field(default_factory=list[float])
    cpu_per_1000: list[float] = field(default_factory=list[float])

    def medians(self) -> dict[str, Any]:
        """Give what a row says of all rounds."""
        return {
            "per_second": statistics.median(self.per_second),
            "p50_ms": statistics.median(self.p50_ms),
            "p99_ms": statistics.median(self.p99_ms),
            "cpu_seconds_per_1000": statistics.median(self.cpu_per_1000),
            "rounds_per_second": [round(rate, 1) for rate in self.per_second],
        }


Results = dict[tuple[str, int], Seen]


async def run(scale: float) -> Report:
    """Measure everything; below 1, `scale` means one short round."""
    rounds, seconds = (1, QUICK_SECONDS) if scale < 1 else (ROUNDS, SECONDS)
    report = Report("sagas")
    results: Results = {}
    async with AsyncExitStack() as stack:
        workers = await _open(report, stack)
        for number in range(rounds):
            for at_once in AT_ONCE:
                for name in list(workers):
                    try:
                        seen = results.setdefault((name, at_once), Seen())
                        await measure(workers[name], Order(at_once, seconds), seen)
                    except PeerMissingError as missing:
                        report.row(what=name, round=number, failed=str(missing))
                        del workers[name]
    _tell(report, results)
    _against_peers(report, results)
    _alone(report, results)
    return report


async def _open(report: Report, stack: AsyncExitStack) -> dict[str, Worker]:
    """Start everyone; whoever cannot be started is skipped, with the reason."""
    workers: dict[str, Worker] = {}
    top = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracseq-bench-")))
    for name, open_ in CONTENDERS.items():
        folder = top / name.replace(" ", "-")
        folder.mkdir()
        try:
            worker = await stack.enter_async_context(open_(folder))
            await worker.run(WARM_UP)
        except PeerMissingError as missing:
            report.row(what=name, skipped=str(missing))
        else:
            workers[name] = worker
    return workers


async def measure(worker: Worker, order: Order, seen: Seen) -> None:
    """Run one closed loop and note what it did and what it cost."""
    before = cpu_seconds(worker.pids)
    ran = await worker.run(order)
    used = cpu_seconds(worker.pids) - before
    seen.per_second.append(ran.per_second)
    seen.p50_ms.append(percentile(ran.latencies_ms, 0.5))
    seen.p99_ms.append(percentile(ran.latencies_ms, 0.99))
    seen.cpu_per_1000.append(used / len(ran.latencies_ms) * 1000)


def _tell(report: Report, results: Results) -> None:
    for (name, at_once), seen in sorted(results.items(), key=lambda item: item[0][1]):
        if seen.per_second:
            report.row(what=name, at_once=at_once, **seen.medians())


def _against_peers(report: Report, results: Results) -> None:
    pairs = [(SAFE, DBOS_POSTGRES, at_once, 5.0) for at_once in AT_ONCE]
    pairs += [(SAFE, RESTATE, at_once, 2.0) for at_once in AT_ONCE]
    pairs += [(MESSAGES_SAFE, RESTATE, at_once, 1.0) for at_once in (16, 64)]
    pairs += [(MESSAGES_DEV, RESTATE, at_once, 1.0) for at_once in (16, 64)]
    for name, peer, at_once, target in pairs:
        one, other = results.get((name, at_once)), results.get((peer, at_once))
        if one is None or other is None:
            continue
        # Round by round: the machine was the same then for both.
        ratios = [a / b for a, b in zip(one.per_second, other.per_second, strict=False)]
        if ratios:
            what = f"{name} over {peer}, {at_once} in flight"
            report.at_least(what, statistics.median(ratios), target, "x")


def _alone(report: Report, results: Results) -> None:
    for name in (MESSAGES_SAFE, MESSAGES_DEV):
        many, one = results.get((name, 64)), results.get((name, 1))
        if many is not None and many.p99_ms:
            p99_ms = statistics.median(many.p99_ms)
            report.at_most(f"{name}, 64 in flight, p99", p99_ms, 250.0, "ms")
        if one is not None and one.p50_ms:
            report.at_most(f"{name}, 1 in flight, p50", statistics.median(one.p50_ms), 10.0, "ms")
