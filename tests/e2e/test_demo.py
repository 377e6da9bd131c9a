"""`tracseq demo`: what a newcomer types first, from its start to the last process that is gone."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

import psutil

from infra.clock import SYSTEM
from tests.fixtures.cli import ROOT, environment
from tests.fixtures.processes import gone

HUNG_SECONDS = 180.0
LOOK_SECONDS = 0.2


async def test_the_demo_shows_everything_and_leaves_nothing_running(tmp_path: Path) -> None:
    """It ends with 0, each part was told, no process and no folder is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", "demo"),
        cwd=ROOT,
        env=environment({"TMPDIR": str(tmp_path)}),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    children: set[int] = set()
    watching = asyncio.create_task(_watch(process.pid, children))
    try:
        async with asyncio.timeout(HUNG_SECONDS):
            said = (await process.communicate())[0].decode()
    finally:
        watching.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == 0, said
    for part in ("manifest-20.csv", "manifest-20.xlsx", "The boxes", "manifest-bad-rows.csv"):
        assert part in said
    for part in ("no room at -80", "every transition as recorded", "Where to look next"):
        assert part in said
    assert len(children) >= 2
    assert [pid for pid in children if not gone(pid)] == []
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def _watch(pid: int, children: set[int]) -> None:
    """Remember every process that the demo starts."""
    while True:
        try:
            children.update(child.pid for child in psutil.Process(pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return
        await SYSTEM.sleep(LOOK_SECONDS)
