"""docs/configuration.md: every command that it says to type is typed, in its order."""

import asyncio
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from contracts.config_types import Environment
from tests.docs import markdown
from tests.fixtures.cli import Up, environment, run_cli

PAGE = "docs/configuration.md"
COMMAND_SECONDS_MAX = 120.0
SERVICE = "http://localhost:8091"
EXITS_WITH_1 = "   # exits with 1"
PROTECTED = {"TRACSEQ_CONFIG_PROTECTED": json.dumps([Environment.PRODUCTION])}
AGAIN = "TRACSEQ_CONFIG_PROTECTED='[\"production\"]' ./dev up"
"""Where the page has the system started anew, with an environment that is protected."""
CHANGE_REQUEST = re.compile(r"tracseq config approve ([0-9a-f-]{36})")


@dataclass(frozen=True, slots=True)
class Typed:
    """A command that was typed."""

    command: str
    code: int
    said: str


def failing() -> set[str]:
    """Give the commands that the page says end with 1."""
    lines = markdown.read(PAGE).splitlines()
    return {one[2:].partition("   # ")[0] for one in lines if one.endswith(EXITS_WITH_1)}


async def typed(command: str, up: Up, folder: Path, put: dict[str, str]) -> Typed:
    """Type a command as the page has it, in a folder, with other addresses and values."""
    told = command.replace("./dev tracseq", f"'{sys.executable}' -m services")
    told = told.replace(SERVICE, up.info.services["config"])
    for name, value in put.items():
        told = told.replace(name, value)
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", told),
        cwd=folder,
        env=environment({"TRACSEQ_DATA": str(up.data), "PYTHONPATH": str(markdown.ROOT)}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(COMMAND_SECONDS_MAX):
        said, _ = await process.communicate()
    return Typed(command, process.returncode or 0, said.decode())


async def production_version(up: Up) -> str:
    """Say which version of production anybody sees."""
    get = ("config", "get", "sample-service", "--env", "production", "--json")
    shown = await run_cli(*get, "--data", str(up.data))
    return str(shown.document["version"])


async def type_all(commands: list[str], up: Up, folder: Path) -> dict[str, str]:
    """Type commands in their order, each of which ends as the page says; give what they said."""
    said: dict[str, str] = {}
    put: dict[str, str] = {}
    for command in commands:
        if "PRODUCTION_VERSION" in command:
            put["PRODUCTION_VERSION"] = await production_version(up)
        done = await typed(command, up, folder, put)
        assert done.code == (1 if command in failing() else 0), done
        assert "Unforeseen" not in done.said, done
        said[command] = done.said
        if (found := CHANGE_REQUEST.search(done.said)) is not None:
            put["CHANGE_REQUEST"] = found[1]
    return said


async def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    """Each ends with 0, or with 1 where the page says so, and the outcome is as told."""
    commands = markdown.commands(PAGE)
    here = commands.index(AGAIN)
    said: dict[str, str] = {}
    async with Up(tmp_path / "data") as up:
        said |= await type_all(commands[:here], up, tmp_path)
    async with Up(tmp_path / "data", env=PROTECTED) as up:
        said |= await type_all(commands[here + 1 :], up, tmp_path)
        explained = await run_cli(
            *("config", "explain", "sample-service", "max_batch_size", "--env", "production"),
            *("--json", "--data", str(up.data)),
        )

    def told(*parts: str) -> str:
        return next(text for one, text in said.items() if all(part in one for part in parts))

    assert len(commands) >= 30
    assert "is so already" in told("config import")
    assert "Somebody else must consent" in told("--expect PRODUCTION_VERSION")
    assert explained.document["layers"][0]["value"] == 900
    assert explained.document["set_by"] == "ada"
    assert "finished" in told("rollout list")
    assert "(secret)" in told("config get auth-service --env staging")
    assert "is whole" in told("config verify sample-service.jsonl")
    assert "is at version" in told("--expect 1")


def test_the_page_names_failures_as_such() -> None:
    """What ends with 1 is known by its comment, and is a command of the page."""
    assert len(failing()) == 1
    assert failing() <= set(markdown.commands(PAGE))
