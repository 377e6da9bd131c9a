"""The broker, for commands that speak to it directly. People wait, so the wait for it is short."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from infra.bus.bus import Bus
from infra.bus.connection import BrokerUnavailable, Connection
from services.cli import running

CONNECT_SECONDS_MAX = 4.0
NAME = "cli"


@asynccontextmanager
async def connection_to(data: Path) -> AsyncGenerator[Connection]:
    """Connect to the broker of the running system.

    Raises:
        CliError: none is known.
        BrokerUnavailable: it does not answer.
    """
    url = running.nats_url(data)
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            connection = await Connection.connect(url, NAME)
    except TimeoutError:
        raise BrokerUnavailable(f"the broker at {url} does not answer") from None
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def bus_to(data: Path) -> AsyncGenerator[Bus]:
    """Open a bus to the running system; raises as `connection_to`."""
    async with connection_to(data) as connection:
        bus = Bus(connection, source=NAME)
        yield bus
