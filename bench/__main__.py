"""`python -m bench NAME [--json]`: run one bench and print what it found."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module

import uvloop

from bench.report import Report

Run = Callable[[float], Coroutine[None, None, Report]]
BENCHES = ("breaker", "config", "house", "replay", "sagas", "scale")


def main() -> int:
    """Run the bench that is named; 0 where it ran, whatever it found."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("name", choices=BENCHES, help="which bench")
    parser.add_argument("--json", action="store_true", help="print the report as the last line")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    given = parser.parse_args()
    # Only the one: that of the sagas makes messages known that no other process should know.
    run: Run = import_module(f"bench.{given.name}").run
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(0.1 if given.quick else 1.0))
    report.print(as_json=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
