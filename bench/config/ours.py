"""Our side: the configuration service as `tracseq up` runs it, and a bus to change it over."""

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import nats
from nats.js.api import RePublish, StreamConfig

from bench.config.fleet import Fleet, Update, fleet
from bench.config.floor_watchers import REPEATED, STORED, STREAM
from bench.config.watchers import ENVIRONMENT, SERVICE
from bench.house.parts import open_bus
from contracts.config import SetConfig
from infra.bus.bus import Bus

UP_WITHIN_SECONDS = 60
ASK_SECONDS = 30.0


@asynccontextmanager
async def system(profile: str) -> AsyncGenerator[str]:
    """Run the service and its servers; gives where the broker is."""
    with tempfile.TemporaryDirectory(prefix="tracseq-bench-config-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services", "up", "--data", folder, "--port-base", "0"),
            *("--only", "config", "--profile", profile, "--isolated", "--json"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            if process.stdout is None:
                raise RuntimeError("its output is piped")
            async with asyncio.timeout(UP_WITHIN_SECONDS):
                info = json.loads(await process.stdout.readline())
            yield info["nats_url"]
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


@asynccontextmanager
async def watched(nats_url: str) -> AsyncGenerator[tuple[Fleet, Update, Bus]]:
    """Run the clients and a bus that changes what they hold."""
    async with (
        open_bus(nats_url) as bus,
        fleet(sys.executable, "bench.config.watchers", nats_url) as watching,
    ):
        # A service that is configured at all has a layer beneath its environments.
        beneath = SetConfig(service=SERVICE, name="number", value=0)
        await bus.ask(beneath, timeout_seconds=ASK_SECONDS)

        async def update(number: int) -> float:
            began = time.monotonic()
            command = SetConfig(
                service=SERVICE, name="number", environment=ENVIRONMENT, value=number
            )
            await bus.ask(command, timeout_seconds=ASK_SECONDS)
            return began

        yield watching, update, bus


@asynccontextmanager
async def floor(nats_url: str) -> AsyncGenerator[tuple[Fleet, Update]]:
    """Run bare subscribers, and one that publishes into a stream whose messages are repeated."""
    client = await nats.connect(nats_url)
    js = client.jetstream()
    repeated = RePublish(src=STORED, dest=REPEATED)
    await js.add_stream(StreamConfig(name=STREAM, subjects=[STORED], republish=repeated))

    async def update(number: int) -> float:
        began = time.monotonic()
        await js.publish(STORED, str(number).encode())
        return began

    try:
        async with fleet(sys.executable, "bench.config.floor_watchers", nats_url) as watching:
            yield watching, update
    finally:
        await client.close()
