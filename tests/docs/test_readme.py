"""README.md: every command that it says to type is typed, against a running system."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.running import RunInfo
from tests.docs import markdown
from tests.fixtures.cli import Up, environment
from tests.fixtures.otlp import OtlpReceiver

PAGE = "README.md"
EDGE = "http://127.0.0.1:8089"
COMMAND_SECONDS_MAX = 120.0
JUST = str(Path(sys.executable).with_name("just"))
LASTING = {
    "./dev demo": "exec tracseq demo",
    "./dev test": "exec pytest -n 3",
    "./dev up": "exec tracseq up",
    "TRACSEQ_OTLP_ENDPOINT=http://127.0.0.1:4318 ./dev up": "exec tracseq up",
}
"""What goes on, or takes long -> what its recipe runs. The demo runs in tests/e2e, the tests are
these, and `up` is what the other commands speak to here, with its traces received."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A command that was typed."""

    command: str
    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Laboratory:
    """A running system, its traces received."""

    data: Path
    info: RunInfo
    traces: OtlpReceiver

    async def type(self, command: str, put: Mapping[str, str]) -> Typed:
        """Type a command as the page has it, with other addresses and places."""
        told = command.replace(EDGE, str(self.info.edge_url)).replace("./dev ", f"'{JUST}' ")
        for name, value in put.items():
            told = told.replace(name, value)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", told),
            cwd=markdown.ROOT,
            env=environment({"TRACSEQ_DATA": str(self.data)}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(COMMAND_SECONDS_MAX):
            said, _ = await process.communicate()
        return Typed(command, process.returncode or 0, said.decode())


@pytest.fixture
async def laboratory(tmp_path: Path) -> AsyncGenerator[Laboratory]:
    """Start what `./dev up` starts, on free ports, told where traces go as the page says it."""
    data = tmp_path / "data"
    with OtlpReceiver() as traces:
        async with Up(data, env={"TRACSEQ_OTLP_ENDPOINT": traces.endpoint}) as up:
            yield Laboratory(data, up.info, traces)


def test_the_recipes_that_last_are_the_commands_they_stand_for() -> None:
    """`./dev RECIPE` becomes `just RECIPE`, and each recipe runs what is tested elsewhere."""
    environ = {**os.environ, "PATH": f"{Path(JUST).parent}{os.pathsep}{os.environ['PATH']}"}
    for command, runs in LASTING.items():
        recipe = command.rpartition("./dev ")[2]
        done = subprocess.run(
            (JUST, "--dry-run", recipe),
            cwd=markdown.ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert f"{runs} " in done.stderr, command

    assert LASTING.keys() <= set(markdown.commands(PAGE))


async def test_every_command_does_what_the_page_says(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    """In the order of the page, each one ends with 0 and is answered without a problem."""
    put = {"history.json": str(tmp_path / "history.json")}
    typed: list[Typed] = []
    for command in markdown.commands(PAGE):
        if command in LASTING:
            continue
        done = await laboratory.type(command, put)
        typed.append(done)
        assert done.code == 0, done
        assert "urn:tracseq:problem:" not in done.said, done
        if (found := re.search(r'"transaction_id":"([0-9a-f-]{36})"', done.said)) is not None:
            put["TRANSACTION_ID"] = found[1]

    said = {one.command: one.said for one in typed}
    assert len(said) >= 12
    assert '"status":"completed"' in next(text for c, text in said.items() if "Prefer" in c)
    assert "FRZ-1" in said["./dev tracseq events --since 10m"]
    assert "1 of 1 histories" in said["./dev tracseq saga replay history.json"]
    await asyncio.to_thread(
        laboratory.traces.wait_for, "POST /api/v1/submissions", timeout_seconds=60
    )


def test_every_page_that_is_linked_is_there() -> None:
    """No relative link of a page of the documentation leads nowhere."""
    pages = ["README.md", "CONTRIBUTING.md", *_pages()]
    wrong = [
        f"{page}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", markdown.read(page))
        if not ((markdown.ROOT / page).parent / link).exists()
    ]

    assert wrong == []


def _pages() -> list[str]:
    found = (markdown.ROOT / "docs").rglob("*.md")
    return sorted(str(path.relative_to(markdown.ROOT)) for path in found)
