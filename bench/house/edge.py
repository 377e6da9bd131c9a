"""The edge: HTTP to a registered sample and back, beside a service written by hand."""

import asyncio
import json
import statistics
from contextlib import AsyncExitStack

from bench.house.parts import HOST, ROUNDS, Servers, both, process, sample, service
from bench.http_load import HttpLoad
from bench.load import drive
from bench.report import Report
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.supervisor.ports import free_base


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
            peer = await drive(ask_peer, count=count // 3, at_once=at_once)
            ours = await drive(ask_ours, count=count, at_once=at_once)
            found.append(ours.per_second / peer.per_second)
            both(report, "edge", at_once, ours=ours, other=peer, other_name="peer")
        report.at_least(
            "edge over FastAPI and motor, 16 at once", statistics.median(found), 3.0, "ratio"
        )


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
