"""The thirteen defects of aiobreaker 1.2.0: each shown on it, and absent from ours, in any zone."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.unit.breaker.defects import CHECKS

HERE = Path(__file__).resolve().parent
ZONES = ("America/Los_Angeles", "America/St_Johns", "Asia/Kolkata", "Asia/Tokyo")


@cache
def found_in(zone: str) -> dict[str, dict[str, str | None]]:
    """Run every check in a process of its own, in a time zone, with warnings as errors."""
    root = HERE.parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "defects.py")],
        env={**os.environ, "TZ": zone, "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str | None]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("check", [check.__name__ for check in CHECKS])
@pytest.mark.parametrize("zone", ZONES)
def test_a_defect_of_aiobreaker_is_none_of_ours(zone: str, check: str) -> None:
    """The same check fails on plain aiobreaker and holds for our breaker."""
    found = found_in(zone)[check]

    assert found["ours"] is None
    assert found["plain"] is not None


def test_every_defect_is_checked() -> None:
    """The checks number the defects from 1 to 13."""
    numbers = {int((check.__doc__ or "0").partition(":")[0]) for check in CHECKS}

    assert numbers == set(range(1, 14))
