"""What every part of the bench needs: the servers, a service, another process, a bus, a row."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.load import Measured
from bench.report import Report
from contracts.sample import RegisterSample, SampleDetails
from contracts.types import SampleType, Zone
from infra.bus.bus import Bus
from infra.ids import new_id
from infra.supervisor import Child
from infra.supervisor.ports import free_base
from infra.supervisor.service import service_program
from services.catalog import SERVICES

ROUNDS = 3
AT_ONCE = (1, 16, 64)
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that both sides of a comparison use, and where logs go."""

    nats_url: str
    mongo_url: str
    folder: Path


def sample() -> RegisterSample:
    """Make a registration that nobody made before."""
    return RegisterSample(
        details=SampleDetails(
            barcode=f"B{new_id().hex[:20]}", name="n", sample_type=SampleType.DNA, zone=Zone.FROZEN
        )
    )


@asynccontextmanager
async def open_bus(nats_url: str) -> AsyncGenerator[Bus]:
    """Open a bus for the bench itself."""
    bus = await Bus.open(nats_url, source="bench")
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def process(module: str, *args: str, ready: str | None = "ready") -> AsyncGenerator[None]:
    """Run a module in a process of its own; it is killed afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *args, stdout=asyncio.subprocess.PIPE if ready else None
    )
    try:
        if ready and process.stdout is not None:
            await process.stdout.readline()
        yield
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def service(name: str, servers: Servers) -> AsyncGenerator[int]:
    """Run a service in a process of its own; give its port."""
    module = next(service.module for service in SERVICES if service.name == name)
    chosen = free_base([0])
    environment = {
        "TRACSEQ_NATS_URL": servers.nats_url,
        "TRACSEQ_MONGO_URL": servers.mongo_url,
        "TRACSEQ_LOG_LEVEL": "warning",
        f"TRACSEQ_{name.upper()}_HTTP_PORT": str(chosen),
    }
    program = service_program(
        name, module=module, port=chosen, env=environment, log_file=servers.folder / f"{name}.log"
    )
    child = Child(program)
    await child.start()
    try:
        yield chosen
    finally:
        await child.stop()


def both(
    report: Report, what: str, at_once: int, *, ours: Measured, other: Measured, other_name: str
) -> None:
    """Note ours and the other side by side."""
    report.row(
        what=what,
        at_once=at_once,
        ours_per_second=ours.per_second,
        ours_p50_ms=ours.latency_ms(0.5),
        ours_p99_ms=ours.latency_ms(0.99),
        **{
            f"{other_name}_per_second": other.per_second,
            f"{other_name}_p50_ms": other.latency_ms(0.5),
        },
        ratio=ours.per_second / other.per_second,
    )
