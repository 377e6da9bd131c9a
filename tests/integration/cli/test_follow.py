"""`tracseq events --follow`: what happens is shown as it happens, over restarts of the edge too."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from services.cli import running
from services.cli.exits import Exit
from tests.fixtures.cli import ROOT, Up, environment, run_cli
from tests.fixtures.processes import until

SECONDS_MAX = 120


async def test_following_goes_on_over_a_restart_of_the_edge(tmp_path: Path) -> None:
    """Nothing is missed and nothing shown twice when the edge dies in between."""
    data = tmp_path / "data"

    async def publish(reading: str) -> None:
        body = json.dumps({"sensor": reading, "celsius": -80})
        arguments = ("publish", "sensor.temperature_read", body, "--data", str(data))
        assert (await run_cli(*arguments)).code == Exit.DONE

    async with Up(data, "--only", "edge", "--isolated") as up:
        follow = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services", "events", "--follow", "--json"),
            *("--type", "sensor.temperature_read", "--data", str(data)),
            cwd=ROOT,
            env=environment({}),
            stdin=DEVNULL,
            stdout=PIPE,
        )
        assert follow.stdout is not None
        pid = up.info.children["edge"]
        assert pid is not None
        async with asyncio.timeout(SECONDS_MAX):
            # Published until it is seen: following begins with what comes after its start.
            first = asyncio.create_task(follow.stdout.readline())
            while not first.done():
                await publish("before")

            os.kill(pid, signal.SIGKILL)
            await publish("between")

            def is_back() -> bool:
                info = running.find(data)
                return info is not None and info.children["edge"] not in {None, pid}

            await until(is_back)
            await publish("after")
            seen = [json.loads(await first)]
            while seen[-1]["data"]["sensor"] != "after":
                seen.append(json.loads(await follow.stdout.readline()))

        assert [event["seq"] for event in seen] == list(range(seen[0]["seq"], seen[-1]["seq"] + 1))
        assert {"before", "between", "after"} == {event["data"]["sensor"] for event in seen}

        follow.send_signal(signal.SIGINT)
        assert await follow.wait() == Exit.INTERRUPTED
