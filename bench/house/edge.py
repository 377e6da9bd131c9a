"""The edge: HTTP to a registered sample and back, beside a service written by hand.

Both count as done when every answer is there and every event is published: that is what both
promise, and an outbox that is only written is work that is only put off.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from bench.house.parts import HOST, ROUNDS, Servers, both, open_bus, process, sample, service
from bench.http_load import HttpLoad
from bench.load import Measured, drive
from bench.report import Report
from contracts import subjects
from infra.bus.bus import Bus
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.supervisor.ports import free_base

PEER_EVENTS = "PEER_EVENTS"
EVENTS_WITHIN_SECONDS = 60


async def edge(report: Report, servers: Servers, scale: float) -> None:
    """Measure registering a sample over HTTP, and at the hand-written service."""
    count, at_once, port = max(100, int(1_500 * scale)), 16, free_base([0])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service("sample", servers))
        edge_port = await stack.enter_async_context(service("edge", servers))
        await stack.enter_async_context(
            process("bench.peer", servers.nats_url, servers.mongo_url, str(port), ready=None)
        )
        await _answers(port)
        events = await stack.enter_async_context(open_bus(servers.nats_url))
        ours_http = await stack.enter_async_context(HttpLoad(HOST, edge_port, at_once))
        peer_http = await stack.enter_async_context(HttpLoad(HOST, port, at_once))

        async def ask_ours(_: int) -> None:
            body = sample().model_dump_json().encode()
            status, answer = await ours_http.post("/api/v1/samples", body)
            _expect_created(status, answer)

        async def ask_peer(_: int) -> None:
            sample = {"barcode": f"B{new_id().hex[:20].upper()}", "name": "n"}
            body = json.dumps({**sample, "sample_type": "DNA", "zone": "-20C"}).encode()
            _expect_created(*await peer_http.post("/samples", body))

        found: list[float] = []
        for _ in range(ROUNDS):
            peer = await _told(events, PEER_EVENTS, ask_peer, count=count, at_once=at_once)
            ours = await _told(events, subjects.EVENTS, ask_ours, count=count, at_once=at_once)
            found.append(ours.per_second / peer.per_second)
            both(report, "edge", at_once, ours=ours, other=peer, other_name="peer")
        report.at_least(
            "edge over FastAPI and motor, 16 at once", statistics.median(found), 3.0, "ratio"
        )


async def _told(
    bus: Bus, stream: str, ask: Callable[[int], Awaitable[None]], *, count: int, at_once: int
) -> Measured:
    """Drive, and wait until the events of all that was asked are in their stream."""
    before = await bus.connection.head(stream)
    started = time.perf_counter()
    seen = await drive(ask, count=count, at_once=at_once)
    async with asyncio.timeout(EVENTS_WITHIN_SECONDS):
        while await bus.connection.head(stream) < before + count:
            await SYSTEM.sleep(0.01)
    return replace(seen, seconds=time.perf_counter() - started)


def _expect_created(status: int, answer: bytes) -> None:
    if status != 201:
        raise RuntimeError(f"{status}: {answer[:300]!r}")


async def _answers(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await SYSTEM.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError(f"nobody answers on port {port}")
