"""The servers of the peers: PostgreSQL and Restate, as they come, on loopback, data in a folder.

Both sync what they acknowledge: that is their default, and what profile `safe` is compared with.
"""

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.http_load import HttpLoad
from bench.peers import environment
from bench.peers.environment import PeerMissingError
from infra.supervisor import Program, free_port
from infra.supervisor.ports import LOOPBACK

POSTGRES_HOMES = Path("/usr/lib/postgresql")
"""Where Debian and its relatives keep the programs of each version."""
POSTGRES_USER = "postgres"
SERVICE = "bench.peers.restate_service"
REGISTER_WITHIN_SECONDS = 20


class Postgres:
    """A cluster of its own: made empty, never the machine's."""

    def __init__(self, folder: Path) -> None:
        """Prepare; nothing is made."""
        self.port = free_port()
        self._folder = folder
        self._bin = _postgres_bin()
        # PostgreSQL refuses to run as root.
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            # What changes the user cuts the tie to our life, so it is tied again.
            who = (f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--clear-groups")
            self._as_user = (_program("setpriv"), *who, "--pdeathsig=INT")

    @property
    def url(self) -> str:
        """Where DBOS finds it; it makes the database itself."""
        return f"postgresql+psycopg://{POSTGRES_USER}@{LOOPBACK}:{self.port}/bench"

    async def make(self) -> None:
        """Make the cluster.

        Raises:
            PeerMissingError: it cannot be made.
        """
        self._folder.mkdir()
        if self._as_user:
            # The way to it must be open to that user too: two folders above are the bench's own.
            for above in (self._folder.parent, self._folder.parent.parent):
                above.chmod(0o711)
            shutil.chown(self._folder, POSTGRES_USER)
        command = (str(self._bin / "initdb"), "--username", POSTGRES_USER, "--auth", "trust")
        process = await asyncio.create_subprocess_exec(
            *(*self._as_user, *command, "--pgdata", str(self._folder / "data")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._folder,
        )
        said, _ = await process.communicate()
        if process.returncode != 0:
            raise PeerMissingError(f"initdb failed: {said.decode(errors='replace')[-300:]}")

    def program(self, log_file: Path) -> Program:
        """Say how to run it."""
        options = {"listen_addresses": LOOPBACK, "port": self.port, "unix_socket_directories": ""}
        flags = (part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        server = (str(self._bin / "postgres"), "-D", str(self._folder / "data"))
        return Program(
            name="postgres",
            argv=(*self._as_user, *server, *flags),
            ready=self._ready,
            log_file=log_file,
            cwd=self._folder,
        )

    async def _ready(self, _pid: int) -> bool:
        process = await asyncio.create_subprocess_exec(
            *(str(self._bin / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port))
        )
        return await process.wait() == 0


class Restate:
    """The server, and the service that it calls."""

    def __init__(self, server: Path, python: Path, folder: Path) -> None:
        """Prepare; nothing is started."""
        self.ingress_port = free_port()
        self._admin_port = free_port()
        self._node_port = free_port()
        self._service_port = free_port()
        self._server = server
        self._python = python
        self._folder = folder

    def programs(self) -> Sequence[Program]:
        """Say how to run both."""
        places = {
            "": self._node_port,
            "ingress": self.ingress_port,
            "admin": self._admin_port,
        }
        lines = ["disable-telemetry = true", 'listen-mode = "tcp"', f'bind-ip = "{LOOPBACK}"']
        for table, port in places.items():
            lines += [f"[{table}]"] if table else []
            lines += [f"bind-port = {port}", f'bind-address = "{LOOPBACK}:{port}"']
        configuration = self._folder / "restate.toml"
        configuration.write_text("\n".join([*lines, ""]))
        place = ("--config-file", str(configuration), "--base-dir", str(self._folder / "data"))
        return (
            Program(
                name="restate-server",
                argv=(str(self._server), *place, "--no-logo"),
                ready=lambda _: _listens(self._admin_port, self.ingress_port),
                log_file=self._folder / "server.log",
                cwd=self._folder,
                ready_within_seconds=30,
            ),
            Program(
                name="restate-service",
                argv=(str(self._python), "-m", SERVICE, str(self._service_port)),
                ready=lambda _: _listens(self._service_port),
                log_file=self._folder / "service.log",
                cwd=environment.ROOT,
                env=environment.environment(),
            ),
        )

    async def register(self) -> None:
        """Tell the server of the service, once it takes that.

        Raises:
            PeerMissingError: it does not.
        """
        body = json.dumps({"uri": f"http://{LOOPBACK}:{self._service_port}"}).encode()
        try:
            async with asyncio.timeout(REGISTER_WITHIN_SECONDS):
                async with HttpLoad(LOOPBACK, self._admin_port, 1) as admin:
                    status, said = await admin.post("/deployments", body)
        except (TimeoutError, OSError, EOFError) as error:
            raise PeerMissingError(f"Restate did not take its service: {error!r}") from error
        if status not in {200, 201}:
            raise PeerMissingError(f"Restate refused its service: {status} {said[:300]!r}")


def _postgres_bin() -> Path:
    homes = [path for path in POSTGRES_HOMES.glob("*/bin") if (path / "initdb").exists()]
    if homes:
        return max(homes, key=lambda path: float(path.parent.name))
    return Path(_program("initdb", package="postgresql")).parent


def _program(name: str, *, package: str = "util-linux") -> str:
    found = shutil.which(name)
    if found is None:
        raise PeerMissingError(f"{name} is not installed (Debian: apt-get install {package})")
    return found


async def _listens(*ports: int) -> bool:
    for port in ports:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return True
