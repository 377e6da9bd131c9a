"""Children of the supervisor, with real processes: they come up, come back, and end with us."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra.supervisor import (
    Child,
    ChildFailedError,
    NatsServer,
    Program,
    RestartPolicy,
    Supervisor,
)
from tests.fixtures.processes import gone, until

ROOT = Path(__file__).resolve().parents[3]
WAIT_SECONDS = 60.0
IMPATIENT = RestartPolicy(failures_max=2, pause_first_seconds=0.01, pause_max_seconds=0.02)

PARENT_WITH_CHILDREN = """
import asyncio, sys
from pathlib import Path
from infra.supervisor import DocumentStore, NatsServer, Supervisor

async def main():
    folder = Path(sys.argv[1])
    async with Supervisor() as supervisor:
        await supervisor.start(
            NatsServer(folder / "nats").program(), DocumentStore(folder / "store").program()
        )
        print(*(child.pid for child in supervisor.children), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def python_program(folder: Path, code: str) -> Program:
    """Make a program of a few lines of Python that is ready once it has written `ready`."""
    marker = folder / "ready"

    async def is_ready(_pid: int) -> bool:
        return marker.exists()

    return Program(
        name="lines",
        argv=(sys.executable, "-c", code),
        ready=is_ready,
        log_file=folder / "lines.log",
        cwd=folder,
    )


async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the parent ends the broker and the document store."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT_WITH_CHILDREN, str(tmp_path)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pids = [int(word) for word in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert not any(gone(pid) for pid in pids)

    parent.kill()
    await parent.wait()

    await until(lambda: all(gone(pid) for pid in pids))


async def test_a_child_that_dies_comes_back_on_its_port(tmp_path: Path) -> None:
    """A broker that was killed is started again, and listens where it did."""
    server = NatsServer(tmp_path)
    changes: list[str] = []
    async with Supervisor(on_change=lambda: changes.append("back")) as supervisor:
        (child,) = await supervisor.start(server.program())
        pid, url = child.pid, server.url
        assert pid is not None

        os.kill(pid, signal.SIGKILL)
        await until(lambda: bool(changes))

        assert child.pid not in {None, pid}
        assert child.restarts == 1
        assert server.url == url
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()


async def test_a_child_that_will_not_stay_up_is_given_up(tmp_path: Path) -> None:
    """After the last death in a row that the policy allows, whoever waits is told."""
    code = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(0.2)"
    async with Supervisor(policy=IMPATIENT) as supervisor:
        (child,) = await supervisor.start(python_program(tmp_path, code))

        error = await asyncio.wait_for(supervisor.lost(), WAIT_SECONDS)

        assert "lines died 3 times in a row (exit code 0 at last)" in str(error)
        assert child.restarts == 2


async def test_a_program_that_ends_at_once_is_refused_with_its_last_words(tmp_path: Path) -> None:
    """The error quotes what the program said and names its log."""
    code = "import sys; sys.exit('no such disk')"
    child = Child(python_program(tmp_path, code))

    with pytest.raises(ChildFailedError, match="ended at once with code 1") as caught:
        await child.start()

    assert "no such disk" in str(caught.value)
    assert str(tmp_path / "lines.log") in str(caught.value)
    assert child.pid is None


async def test_a_program_that_is_not_ready_in_time_is_ended(tmp_path: Path) -> None:
    """Nothing is left running of what did not become ready."""
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    child = Child(replace(python_program(tmp_path, code), ready_within_seconds=0.5))

    with pytest.raises(ChildFailedError, match=r"was not ready within 0\.5 s"):
        await child.start()

    assert gone(int((tmp_path / "lines.log").read_text()))


async def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    """Stopping is bounded, whatever the child thinks of it, and takes its own children too."""
    code = (
        "import pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('other').write_text(str(other.pid))\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(60)"
    )
    child = Child(replace(python_program(tmp_path, code), stop_within_seconds=0.3))
    await child.start()
    pid = child.pid
    assert pid is not None

    await asyncio.wait_for(child.stop(), WAIT_SECONDS)

    assert gone(pid)
    await until(lambda: gone(int((tmp_path / "other").read_text())))


async def test_groups_stop_in_reverse_order(tmp_path: Path) -> None:
    """What was started last, and may need the others, stops first."""
    code = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        "    with open('../order', 'a') as file: file.write(pathlib.Path.cwd().name + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "pathlib.Path('ready').touch()\n"
        "time.sleep(60)"
    )
    async with Supervisor() as supervisor:
        for name in ("first", "second", "third"):
            (tmp_path / name).mkdir()
            await supervisor.start(python_program(tmp_path / name, code))

    assert (tmp_path / "order").read_text().split() == ["third", "second", "first"]
