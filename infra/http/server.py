"""The HTTP server: uvicorn in the running loop, several per process, started by the runtime.

It installs no signal handlers and configures no logging: both belong to the process.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Generator

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 2_048
DRAIN_SECONDS = 10.0
"""How long requests may take to end after `stop`."""
KEEP_ALIVE_SECONDS = 65
"""Longer than what proxies keep a connection for, so that they close first."""
HEADER_BYTES_MAX = 64 * 1024


class PortTakenError(OSError):
    """Another process listens there."""


class HttpServer:
    """Serves one application on one port."""

    def __init__(
        self, app: ASGIApp, *, host: str, port: int, on_stop: Callable[[], None] | None = None
    ) -> None:
        """Bind nothing yet. `on_stop` is called when draining begins; port 0 means any free one."""
        self._host = host
        self.port = port
        """The port; from `start` on the one that is bound."""
        self._on_stop = on_stop
        self._serving: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(DRAIN_SECONDS),
            )
        )

    @property
    def url(self) -> str:
        """The address of the root, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Bind and serve; returns when requests are taken.

        Raises:
            PortTakenError: another process listens there.
            OSError: the address cannot be bound.
        """
        listener = _bind(self._host, self.port)
        self.port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]), name=f"http {self.url}")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        if self._serving.done():
            listening.cancel()
            self._serving.result()

    async def stop(self) -> None:
        """Take no more requests, let those under way end, close all within `DRAIN_SECONDS`."""
        if self._serving is None:
            return
        if self._on_stop is not None:
            self._on_stop()
        self._server.should_exit = True
        await self._serving
        self._serving = None


class _Server(uvicorn.Server):
    """Leaves signals to the process, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind, and say so."""
        await super().startup(sockets)
        self.listening.set()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = (
                f"port {port} on {host} is taken: stop what listens there, or choose another port"
            )
            raise PortTakenError(error.errno, message) from error
        raise
    listener.settimeout(0)
    return listener
