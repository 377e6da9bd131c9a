"""The embedded document store as a child: secantusd-py, which speaks MongoDB's wire protocol.

A process of its own, never a library of ours: it is GPL, and beta. It holds read models alone,
which the logs rebuild, so it runs without a sync per write. Production is MongoDB itself.
"""

import asyncio
import struct
from pathlib import Path

from infra.supervisor.child import Program
from infra.supervisor.ports import LOOPBACK, free_port
from infra.supervisor.wheels import find_program

NAME = "secantusd-py"
PACKAGE = "secantusdb"
PING_TIMEOUT_SECONDS = 2.0
ANSWER_BYTES_MAX = 64 * 1024

_OP_MSG = 2013
_HEADER = struct.Struct("<iiii")  # length, request id, answer to, opcode
_OK = b"\x01ok\x00" + struct.pack("<d", 1.0)

FLAGS = {
    "--cache-size": "256M",
    "--noop-heartbeat-seconds": "10",
    "--oplog-retention-seconds": "3600",
    "--oplog-max-entries": "100000",
    "--log-level": "WARNING",
}


class DocumentStore:
    """A document store and where it listens."""

    def __init__(self, data_dir: Path, *, port: int = 0) -> None:
        """Prepare; nothing is started. Port 0: one that is free now."""
        self.port = port or free_port()
        self._data_dir = data_dir.resolve()

    @property
    def url(self) -> str:
        """Where clients connect.

        Without retryable writes: the store remembers each for half an hour and walks them all at
        the next. It closes what is idle for 300 s, so clients close first.
        """
        options = "retryWrites=false&maxIdleTimeMS=120000&serverSelectionTimeoutMS=5000"
        return f"mongodb://{LOOPBACK}:{self.port}/?{options}"

    def program(self, *, log_file: Path | None = None) -> Program:
        """Say how to run it.

        Raises:
            MissingProgramError: secantusd-py is not installed.
        """
        executable = find_program(NAME, package=PACKAGE)
        self._data_dir.mkdir(parents=True, exist_ok=True)
        # A file of our own: else it would look for one in the working directory and the home.
        configuration = self._data_dir / "secantusd.toml"
        configuration.write_text("# All options are on the command line.\n")
        place = (
            "--config",
            str(configuration),
            "--storage-path",
            str(self._data_dir / "documents"),
        )
        address = ("--host", LOOPBACK, "--port", str(self.port))
        flags = (part for flag in FLAGS.items() for part in flag)
        return Program(
            name=NAME,
            argv=(executable, *place, *address, *flags),
            ready=self._ready,
            cwd=self._data_dir,
            log_file=log_file or self._data_dir / f"{NAME}.log",
        )

    async def _ready(self, _pid: int) -> bool:
        """Say yes once it answers a ping: before that it may swallow the signal to stop."""
        try:
            async with asyncio.timeout(PING_TIMEOUT_SECONDS):
                return await ping(LOOPBACK, self.port)
        except (OSError, EOFError, TimeoutError):
            return False


async def ping(host: str, port: int) -> bool:
    """Ask a MongoDB whether it is well, by hand: the drivers belong to infra.store.

    Raises:
        OSError, EOFError: nobody is there, or whoever is there hung up.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(_ping_message())
        await writer.drain()
        length, _, _, opcode = _HEADER.unpack(await reader.readexactly(_HEADER.size))
        if opcode != _OP_MSG or not _HEADER.size < length <= ANSWER_BYTES_MAX:
            return False
        return _OK in await reader.readexactly(length - _HEADER.size)
    finally:
        writer.close()


def _ping_message() -> bytes:
    """Write `{ping: 1, $db: "admin"}` as BSON within an OP_MSG."""
    elements = b"\x10ping\x00" + struct.pack("<i", 1)
    elements += b"\x02$db\x00" + struct.pack("<i", len(b"admin\x00")) + b"admin\x00"
    document = struct.pack("<i", len(elements) + 5) + elements + b"\x00"
    body = struct.pack("<i", 0) + b"\x00" + document  # no flags; one section, of kind 0
    return _HEADER.pack(_HEADER.size + len(body), 1, 0, _OP_MSG) + body
