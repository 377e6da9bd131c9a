"""docs/operations.md: what it promises of backups, done with a real system."""

import asyncio
import shutil
import signal
from pathlib import Path

from services.cli.exits import Exit
from tests.docs import markdown
from tests.fixtures.cli import Up, run_cli

PAGE = "docs/operations.md"
FURNISH = str(markdown.ROOT / "examples/furnish.sh")
ATTEMPTS_MAX = 20
SHELL_SECONDS_MAX = 120.0


async def shell(command: str, folder: Path) -> None:
    """Type a command in a folder."""
    process = await asyncio.create_subprocess_shell(command, cwd=folder)
    async with asyncio.timeout(SHELL_SECONDS_MAX):
        assert await process.wait() == 0, command


async def test_the_brokers_folder_alone_brings_everything_back(tmp_path: Path) -> None:
    """Read models come back from the logs, to what they were; nothing else need be copied."""
    first, second = tmp_path / "first", tmp_path / "second"
    async with Up(first) as up:
        await shell(f"sh '{FURNISH}' {up.info.edge_url}", tmp_path)
        manifest = str(markdown.ROOT / "examples/manifest-20.csv")
        submitted = await run_cli("submit", manifest, "--json", "--data", str(first))
        before = await run_cli("history", "barcode", "LAB-0001", "--json", "--data", str(first))
        await up.stop(signal.SIGKILL)

    assert submitted.code == 0, submitted.err
    shutil.copytree(first / "nats", second / "nats")
    async with Up(second):
        after = await run_cli("history", "barcode", "LAB-0001", "--json", "--data", str(second))
        rebuilt = await run_cli("rebuild", "--json", "--data", str(second))
        listed = await run_cli("saga", "list", "--json", "--data", str(second))

    assert after.document == before.document
    assert rebuilt.code == 0, rebuilt.err
    assert [one["transaction_id"] for one in listed.document["items"]] == [
        submitted.document["transaction_id"]
    ]


async def test_a_broker_that_was_ended_by_hand_is_started_again(tmp_path: Path) -> None:
    """The command for a full disk finds the broker's process, and the system goes on without it."""
    (command,) = [one for one in markdown.commands(PAGE) if one.startswith("kill ")]
    async with Up(tmp_path / ".tracseq", "--only", "edge") as up:
        await shell(command, tmp_path)
        note = ("publish", "person.note_taken", '{"text": "the broker is back"}')
        codes: list[int] = []
        while Exit.DONE not in codes and len(codes) < ATTEMPTS_MAX:
            codes.append((await run_cli(*note, "--json", "--data", str(up.data))).code)

        assert codes[-1] == Exit.DONE
        assert up.info.children["nats-server"] not in up.pids
