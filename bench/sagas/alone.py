"""One contender without the others, for whoever tunes it: `... alone "tracseq safe" SECONDS`.

Compare nothing with what it prints: only what ran in turns was measured on the same machine.
"""

import sys
import tempfile
from pathlib import Path

import uvloop

from bench.peers.protocol import Order
from bench.report import Report
from bench.sagas import AT_ONCE, CONTENDERS, Seen, measure


async def main(name: str, seconds: float) -> None:
    """Run it with one, 16 and 64 in flight, and print a row for each."""
    report = Report(name)
    with tempfile.TemporaryDirectory(prefix="tracseq-bench-") as top:
        folder = Path(top) / "alone"
        folder.mkdir()
        async with CONTENDERS[name](folder) as worker:
            await worker.run(Order(at_once=1, seconds=seconds))
            for at_once in AT_ONCE:
                seen = Seen()
                await measure(worker, Order(at_once, seconds), seen)
                report.row(what=name, at_once=at_once, **seen.medians())
    report.print(as_json=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2])))
