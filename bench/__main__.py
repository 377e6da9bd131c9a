"""`python -m bench NAME [--json]`: run one bench and print what it found."""

import argparse
import asyncio
import sys

import uvloop

from bench import breaker, house

BENCHES = {"breaker": breaker.run, "house": house.run}


def main() -> int:
    """Run the bench that is named; 0 where it ran, whatever it found."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHES), help="which bench")
    parser.add_argument("--json", action="store_true", help="print the report as the last line")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a look")
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(BENCHES[given.name](0.1 if given.quick else 1.0))
    report.print(as_json=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
