"""The whole system: how soon `tracseq up` is there, what it weighs, how fast sagas are."""

import asyncio
import json
import signal
import sys
import tempfile
import time

import psutil

from bench.house.parts import AT_ONCE, open_bus
from bench.load import drive
from bench.report import Report
from contracts.storage import AddContainer, ContainerKind, CreateLocation
from contracts.transaction import GetTransaction, SubmitManifest
from contracts.types import Zone
from infra.bus.bus import Bus
from infra.ids import new_id

STARTUP_LIMIT_SECONDS = 60


async def system(report: Report, scale: float) -> None:
    """Measure start-up and memory, then sagas over the running system."""
    with tempfile.TemporaryDirectory(prefix="tracseq-bench-") as folder:
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services", "up", "--data", folder, "--port-base", "0", "--json",
            "--profile", "dev",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None  # noqa: S101 - asked for above
            async with asyncio.timeout(STARTUP_LIMIT_SECONDS):
                info = json.loads(await process.stdout.readline())
            seconds = time.perf_counter() - started
            memory = _resident_mb(process.pid)
            report.row(what="up", seconds=seconds, resident_mb=memory)
            report.at_most("tracseq up, ready", seconds, 8.0, "s")
            report.at_most("tracseq up, resident in all", memory, 700.0, "MB")
            await _sagas(report, info["nats_url"], scale)
            report.row(what="up, after the sagas", resident_mb=_resident_mb(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def _resident_mb(pid: int) -> float:
    parent = psutil.Process(pid)
    everyone = [parent, *parent.children(recursive=True)]
    return sum(process.memory_info().rss for process in everyone) / 1024**2


async def _sagas(report: Report, nats_url: str, scale: float) -> None:
    async with open_bus(nats_url) as bus:
        await _furnish(bus, boxes=12)
        for at_once in AT_ONCE:
            count = max(10, int((40 if at_once == 1 else 150) * scale))

            async def intake(_: int) -> None:
                key = new_id().hex[:20].upper()
                text = f"Sample ID,Sample Type,Storage Temp\n{key},DNA,-20\n"
                file = await bus.files.put(text.encode(), name=f"{key}.csv")
                taken = await bus.ask(SubmitManifest(file=file), timeout_seconds=30)
                ended = await bus.ask(
                    GetTransaction(transaction_id=taken.transaction_id, wait_seconds=30),
                    timeout_seconds=40,
                )
                if ended.status != "completed":
                    raise RuntimeError(f"a saga ended {ended.status}: {ended.failure}")

            seen = await drive(intake, count=count, at_once=at_once)
            report.row(
                what="saga",
                at_once=at_once,
                per_second=seen.per_second,
                p50_ms=seen.latency_ms(0.5),
                p99_ms=seen.latency_ms(0.99),
            )


async def _furnish(bus: Bus, *, boxes: int) -> None:
    room = await bus.ask(CreateLocation(name=f"Room {new_id().hex[:6]}"))
    freezer = await bus.ask(
        AddContainer(
            kind=ContainerKind.FREEZER,
            name="F",
            location_id=room.location_id,
            zone=Zone.FROZEN,
        )
    )
    rack = await bus.ask(
        AddContainer(kind=ContainerKind.RACK, name="R", parent_id=freezer.container_id)
    )
    for number in range(boxes):
        await bus.ask(
            AddContainer(
                kind=ContainerKind.BOX,
                name=f"B{number}",
                parent_id=rack.container_id,
                rows=10,
                columns=10,
            )
        )
