"""Programs that hold a live configuration: `... watchers NATS_URL COUNT NUMBER`; killed at the end.

Each has a connection of its own, as a service has. On `drop` they lose their connections one after
the other, as by a broken cable, and come back by themselves.
"""

import asyncio
import sys
from functools import partial
from typing import Annotated

import uvloop
from pydantic import Field

from bench.peers.counting import Counting, tell
from contracts.config_types import Environment
from infra.bus.bus import Bus
from infra.config.client import ConfigClient
from infra.config.configuration import Identity
from infra.config.live import LiveSettings
from infra.telemetry import logs

SERVICE = "bench-service"
ENVIRONMENT = Environment.DEVELOPMENT


class Numbered(LiveSettings):
    """What the bench changes."""

    number: Annotated[int, Field(ge=0)] = 0


async def _client(url: str, name: str) -> tuple[Bus, ConfigClient[Numbered]]:
    bus = await Bus.open(url, source="bench")
    identity = Identity(program="bench", service=SERVICE, environment=ENVIRONMENT, instance=name)
    return bus, ConfigClient(Numbered, identity, bus, program_version="bench")


async def main(url: str, count: int, process: int) -> None:
    """Open the clients, say that all listen, then count; drop a connection for each line read."""
    # What is told goes to standard output, and log lines must not.
    logs.configure(level="error", fmt="console")
    counting, buses = Counting(count), list[Bus]()
    async with asyncio.TaskGroup() as running:
        for index in range(count):
            bus, client = await _client(url, f"bench-{process}-{index}")
            client.on_change(partial(_saw, counting, index))
            await client.start()
            _saw(counting, index, client.current)
            running.create_task(client.run())
            buses.append(bus)
        tell({"ready": True})
        loop = asyncio.get_running_loop()
        dropped = 0
        while await loop.run_in_executor(None, sys.stdin.readline):
            _cut(buses[dropped % count])
            dropped += 1


def _saw(counting: Counting, index: int, live: Numbered) -> None:
    counting.saw(index, live.number)


def _cut(bus: Bus) -> None:
    """Cut a connection below the client's feet."""
    transport = bus.connection.nats._transport  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - a cable has no API
    if transport is not None:
        transport.close()  # type: ignore[no-untyped-call]  # the library has no types there


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
