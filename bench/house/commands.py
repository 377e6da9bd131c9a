"""Commands: the way from the bus to a service and back, beside the raw floor."""

import asyncio
import json
import statistics
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.aio.msg import Msg

from bench import floor as raw_floor
from bench.house.parts import AT_ONCE, ROUNDS, Servers, both, open_bus, process, sample, service
from bench.load import drive
from bench.report import Report
from infra.ids import new_id


async def commands(report: Report, servers: Servers, scale: float) -> None:
    """Measure registering a sample over the bus, and the same by hand."""
    async with (
        service("sample", servers),
        floor(servers.nats_url) as ask_floor,
        open_bus(servers.nats_url) as bus,
    ):
        ratios: dict[int, float] = {}
        p50_ms = 0.0
        for at_once in AT_ONCE:
            count = max(100, int((600 if at_once == 1 else 2_000) * scale))
            found: list[float] = []
            for _ in range(ROUNDS):
                raw = await drive(lambda _: ask_floor(), count=count, at_once=at_once)
                ours = await drive(lambda _: bus.ask(sample()), count=count, at_once=at_once)
                found.append(ours.per_second / raw.per_second)
                both(report, "command", at_once, ours=ours, other=raw, other_name="floor")
                if at_once == 1:
                    p50_ms = ours.latency_ms(0.5)
            ratios[at_once] = statistics.median(found)
        report.at_least("command over raw floor, 16 at once", ratios[16], 0.5, "ratio")
        report.at_least("command over raw floor, 64 at once", ratios[64], 0.5, "ratio")
        report.at_most("command alone, p50", p50_ms, 3.0, "ms")


@asynccontextmanager
async def floor(nats_url: str) -> AsyncGenerator[Any]:
    """Run the raw floor in a process of its own; give what asks it."""
    client = await nats.connect(nats_url)
    js = client.jetstream()
    await raw_floor.provision(js)
    inbox = client.new_inbox()
    waiting: dict[str, asyncio.Future[bytes]] = {}

    async def on_reply(message: Msg) -> None:
        waiting.pop(message.subject.rpartition(".")[2]).set_result(message.data)

    await client.subscribe(f"{inbox}.*", cb=on_reply)

    async def ask() -> bytes:
        key = new_id().hex
        body = json.dumps({"barcode": f"B{key[:20]}", "name": "n", "type": "DNA"}).encode()
        reply = waiting[key] = asyncio.get_running_loop().create_future()
        headers = {"Nats-Msg-Id": key, "reply": f"{inbox}.{key}"}
        await js.publish("floor.cmd.register", body, headers=headers)
        answer: bytes = await reply
        return answer

    async with process("bench.floor", nats_url):
        yield ask
    await client.close()
