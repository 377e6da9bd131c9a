"""Our own part of the saga benches does what it says. The peers are not needed.

Each runs as a process of its own: the bench's messages must not become known to the tests.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.architecture import tree

REPLAYED = """
from bench.replay import TRANSITIONS, history, replayed
one, again, other = history(1), history(1), history(2)
assert one == again != other, "a history is made from its number alone"
assert len(one["entries"]) == TRANSITIONS
assert replayed([one, other], seconds=0.01) > 0
"""


def python(*arguments: str) -> str:
    """Run this Python at the root of the repository; give what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["tracseq dev", "tracseq safe", "tracseq messages dev"])
def test_our_sagas_come_to_their_end(name: str) -> None:
    """With 1, 16 and 64 in flight, rates, latencies and CPU are measured; all sagas complete."""
    said = python("-m", "bench.sagas.alone", name, "0.5")

    rows: list[dict[str, Any]] = json.loads(said.splitlines()[-1])["rows"]
    assert [row["at_once"] for row in rows] == [1, 16, 64]
    for row in rows:
        assert row["per_second"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["cpu_seconds_per_1000"] > 0


def test_generated_histories_replay() -> None:
    """They have twelve transitions each, are the same every time, and come out as recorded."""
    python("-c", REPLAYED)
