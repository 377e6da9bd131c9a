"""The peers' own environment, `.venv-bench`: made on demand from locked files, and only there.

Python packages come from `requirements-bench.lock`, every one checked against its hash; Restate's
server from npm, by the integrity of its lock. What cannot be had is a reason to skip, no failure.
"""

import asyncio
import fcntl
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-bench"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements-bench.lock"

BASE = str(Path(sys.executable).resolve())
"""The real interpreter: this one is an environment itself."""

NODE_FILES = Path(__file__).with_name("restate")
NODE = VENV / "node"

INSTALL_WITHIN_SECONDS = 600
WORDS_MAX = 300
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class PeerMissingError(Exception):
    """A peer cannot run here; the text is the reason that stands in its row."""


async def python() -> Path:
    """Give the Python that has the peers' libraries; the first call installs them.

    Raises:
        PeerMissingError: they cannot be installed.
    """
    wanted = hashlib.sha256(str(VENV).encode() + LOCK.read_bytes()).hexdigest()
    # The lock is on a file that is there anyway; the kernel lets it go with its holder.
    with LOCK.open("rb") as held:
        await asyncio.to_thread(fcntl.flock, held, fcntl.LOCK_EX)
        stamp = VENV / "provisioned"
        if not _is(stamp, wanted):
            _say("making .venv-bench from requirements-bench.lock (once; a minute or so)")
            await _run(BASE, "-m", "venv", "--clear", str(VENV))
            pip = (str(PYTHON), "-m", "pip", "install", "--no-input", "--no-cache-dir", "--quiet")
            await _run(*pip, "--require-hashes", "--requirement", str(LOCK))
            stamp.write_text(wanted)
    return PYTHON


async def restate_server() -> Path:
    """Give Restate's server; the first call installs it. `python` was called before.

    Raises:
        PeerMissingError: npm is not there, or has no server for this machine.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise PeerMissingError("npm is not on PATH; Restate's server is an npm package")
    machine = _MACHINES.get(platform.machine().lower(), platform.machine())
    package = f"restate-server-{sys.platform}-{machine}"
    program = NODE / "node_modules" / "@restatedev" / package / "bin" / "restate-server"
    wanted = hashlib.sha256((NODE_FILES / "package-lock.json").read_bytes()).hexdigest()
    stamp = NODE / "provisioned"
    if not _is(stamp, wanted):
        _say("installing Restate's server from npm (once)")
        shutil.copytree(NODE_FILES, NODE, dirs_exist_ok=True)
        # Without scripts: the server's package has one, which only reports the installation.
        await _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=NODE)
        if not program.exists():
            raise PeerMissingError(f"npm has no @restatedev/{package}")
        stamp.write_text(wanted)
    return program


def environment() -> Mapping[str, str]:
    """Give the environment for a peer's process: ours, with nothing of our own Python in it."""
    ours = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in ours}


async def _run(*command: str, cwd: Path = ROOT) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env=environment(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(INSTALL_WITHIN_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PeerMissingError(f"{_name(command)} took over {INSTALL_WITHIN_SECONDS} s") from None
    if process.returncode != 0:
        words = said.decode(errors="replace").strip()[-WORDS_MAX:]
        raise PeerMissingError(f"{_name(command)} failed with {process.returncode}: {words}")


def _name(command: tuple[str, ...]) -> str:
    return " ".join([Path(command[0]).name, *command[1:4]])


def _is(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
