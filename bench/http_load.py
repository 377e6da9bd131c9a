"""A bare HTTP/1.1 client for load: keeps connections, reads status and body, knows nothing else."""

import asyncio
from types import TracebackType
from typing import Self


class HttpLoad:
    """So many connections to one address, handed out one at a time."""

    def __init__(self, host: str, port: int, connections: int) -> None:
        """Open nothing yet."""
        self._host = host
        self._port = port
        self._connections = connections
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )

    async def __aenter__(self) -> Self:
        """Connect."""
        for _ in range(self._connections):
            self._free.put_nowait(await asyncio.open_connection(self._host, self._port))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Send JSON and give status and body."""
        reader, writer = await self._free.get()
        try:
            head = (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in lines
                if line.lower().startswith(b"content-length:")
            )
            return int(lines[0].split(b" ")[1]), await reader.readexactly(length)
        finally:
            self._free.put_nowait((reader, writer))
