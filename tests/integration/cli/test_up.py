"""`tracseq up` with real processes: is found, is alone, recovers, leaves nothing behind."""

import os
import signal
import socket
from pathlib import Path

import pytest

from infra.supervisor.ports import free_base
from services import catalog
from services.cli import running
from services.cli.exits import Exit
from tests.fixtures.cli import Up, run_cli
from tests.fixtures.processes import gone, until

MODES = [(), ("--isolated",)]


def ids(options: tuple[str, ...]) -> str:
    """Name a mode."""
    return "isolated" if options else "one-process"


@pytest.mark.parametrize("mode", MODES, ids=ids)
async def test_a_system_is_found_by_its_data_and_stops_when_told(
    tmp_path: Path, mode: tuple[str, ...]
) -> None:
    """Other commands need only its data directory; SIGTERM ends it with 0 and leaves no process."""
    data = tmp_path / "data"
    async with Up(data, *mode) as up:
        pids = up.pids
        assert len(pids) == 3 + (len(catalog.NAMES) if mode else 0)

        reading = '{"sensor": "F1", "celsius": -80.5}'
        arguments = ("publish", "sensor.temperature_read", reading)
        published = await run_cli(*arguments, "--data", str(data), "--json")
        listed = await run_cli("saga", "list", "--data", str(data), "--json")
        assert (published.code, published.document["stream"]) == (Exit.DONE, "LAB")
        rebuilt = await run_cli("rebuild", "sample", "--data", str(data), "--json")
        assert (listed.code, listed.document["total"]) == (Exit.DONE, 0)
        assert (rebuilt.code, rebuilt.document["failed"]) == (Exit.DONE, [])
        assert rebuilt.document["rebuilt"][0]["read_model"] == "samples"

        assert await up.stop(signal.SIGTERM) == Exit.DONE

    assert all(gone(pid) for pid in pids)
    assert running.find(data) is None


@pytest.mark.parametrize("mode", MODES, ids=ids)
async def test_a_system_that_is_killed_leaves_nothing_running(
    tmp_path: Path, mode: tuple[str, ...]
) -> None:
    """SIGKILL of `up` ends every child; its data can be used again at once."""
    data = tmp_path / "data"
    async with Up(data, *mode) as up:
        pids = up.pids
        await up.stop(signal.SIGKILL)
        await until(lambda: all(gone(pid) for pid in pids))

    async with Up(data, *mode) as again:
        assert again.info.pid not in pids


async def test_a_data_directory_has_one_system(tmp_path: Path) -> None:
    """A second `up` is refused, and told which process is there."""
    data = tmp_path / "data"
    async with Up(data, "--only", "edge") as up:
        second = await run_cli("up", "--data", str(data), "--port-base", "0")

        assert second.code == Exit.REFUSED
        assert f"in use by process {up.info.pid}" in second.err
        assert "--data" in second.err


async def test_a_taken_port_is_named_with_who_needs_it(tmp_path: Path) -> None:
    """The remedy is another base; nothing was started."""
    base = free_base(catalog.ports(0).values())
    ports = catalog.ports(base)
    with socket.create_server(("127.0.0.1", ports["edge"])):
        ended = await run_cli("up", "--data", str(tmp_path / "data"), "--port-base", str(base))

    assert ended.code == Exit.REFUSED
    assert f"{ports['edge']} (for edge)" in ended.err
    assert "--port-base" in ended.err
    assert not (tmp_path / "data" / "nats").exists()


async def test_a_killed_service_comes_back(tmp_path: Path) -> None:
    """A service process that dies is started again; the file says its new id."""
    data = tmp_path / "data"
    async with Up(data, "--only", "sample", "--isolated") as up:
        pid = up.info.children["sample"]
        assert pid is not None

        os.kill(pid, signal.SIGKILL)

        def is_back() -> bool:
            info = running.find(data)
            return info is not None and info.children["sample"] not in {None, pid}

        await until(is_back)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "sample,freezer"), "'freezer' is no service"),
        (("--port-base", "70000"), "leaves no room"),
        (("--profile", "reckless"), "reckless"),
    ],
)
async def test_options_that_make_no_sense_are_wrong_usage(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """Exit code 2, before anything is touched."""
    ended = await run_cli("up", "--data", str(tmp_path / "data"), *options)

    assert ended.code == Exit.USAGE
    assert said in ended.err
    assert not (tmp_path / "data").exists()


BAD_ROWS = "sample id,sample type,storage temperature\nA-1,DNA,-80\nA-2,Unobtainium,-80\n"


async def test_a_manifest_with_a_bad_row_is_refused_with_the_row(tmp_path: Path) -> None:
    """`submit` waits, exits with 1 and names the row; what came to nothing may be tried again."""
    data, manifest = tmp_path / "data", tmp_path / "bad.csv"
    manifest.write_text(BAD_ROWS)
    async with Up(data) as up:
        first = await run_cli("submit", str(manifest), "--data", str(data))
        again = await run_cli("submit", str(manifest), "--data", str(data), "--json")
        shown = await run_cli("saga", "list", "--json", "--data", str(data))
        replayed = await run_cli("saga", "replay", "--json", "--data", str(data))
        assert await up.stop(signal.SIGINT) == Exit.DONE

    assert (first.code, again.code) == (Exit.REFUSED, Exit.REFUSED)
    assert "Unobtainium" in first.err
    assert "Traceback" not in first.err
    assert again.document["status"] == "compensated"
    transactions = [t["transaction_id"] for t in shown.document["items"]]
    assert transactions[0] == again.document["transaction_id"]
    assert len(transactions) == 2
    assert (replayed.code, replayed.document["diverged"]) == (Exit.DONE, [])
