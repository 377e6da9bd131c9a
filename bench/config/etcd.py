"""etcd beside ours: Debian's server, aetcd's clients, the same fifty of them in two processes."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.config.fleet import Fleet, Update, fleet
from bench.peers import environment
from bench.peers.environment import PeerMissingError
from bench.peers.worker import running
from infra.supervisor import Program, free_port
from infra.supervisor.ports import LOOPBACK

LINE_WITHIN_SECONDS = 30


@asynccontextmanager
async def etcd() -> AsyncGenerator[tuple[Fleet, Update]]:
    """Run the server, its watchers and one that updates.

    Raises:
        PeerMissingError: etcd is not here, or its client cannot be installed.
    """
    program = shutil.which("etcd")
    if program is None:
        raise PeerMissingError("etcd is not on PATH; Debian has it as etcd-server")
    python = await environment.python()
    port, peer_port = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="tracseq-bench-etcd-") as given:
        folder = Path(given)
        url, peer_url = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{peer_port}"
        server = Program(
            name="etcd",
            argv=(
                *(program, "--data-dir", str(folder / "data"), "--name", "bench"),
                *("--listen-client-urls", url, "--advertise-client-urls", url),
                *("--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url),
                *("--initial-cluster", f"bench={peer_url}", "--log-level", "error"),
            ),
            ready=lambda _: _listens(port),
            log_file=folder / "etcd.log",
            cwd=folder,
        )
        async with (
            running([server]),
            fleet(python, "bench.peers.etcd_watchers", str(port)) as watching,
            _updater(python, port) as update,
        ):
            yield watching, update


@asynccontextmanager
async def _updater(python: Path, port: int) -> AsyncGenerator[Update]:
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "bench.peers.etcd_updater", str(port)),
        cwd=environment.ROOT,
        env=environment.environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("an updater is piped")
    told, asked = process.stdout, process.stdin

    async def answer() -> dict[str, float]:
        async with asyncio.timeout(LINE_WITHIN_SECONDS):
            line = await told.readline()
        if not line:
            raise PeerMissingError(f"it ended with {await process.wait()}; see above")
        document: dict[str, float] = json.loads(line)
        return document

    async def update(number: int) -> float:
        asked.write(f"{number}\n".encode())
        return (await answer())["began"]

    try:
        await answer()
        yield update
    finally:
        process.kill()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True
