"""The house: commands, the edge, events, the projector, sagas, and what `tracseq up` costs.

Each part runs beside its floor or peer in the same run, alternating, on the same broker and store.
"""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import psutil
from nats.aio.msg import Msg
from pymongo import ReplaceOne, UpdateOne

from bench import floor
from bench.http_load import HttpLoad
from bench.load import Measured, drive
from bench.report import Report
from contracts.lab import TemperatureRead
from contracts.sample import RegisterSample, SampleDetails
from contracts.storage import AddContainer, ContainerKind, CreateLocation
from contracts.transaction import GetTransaction, SubmitManifest
from contracts.types import SampleType, Zone
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.store.client import Store
from infra.store.projector import Projector
from infra.store.read_model import Put, ReadModel, Write
from infra.supervisor import Child, DocumentStore, NatsServer
from infra.supervisor.ports import free_base
from infra.supervisor.service import service_program
from services.catalog import SERVICES

ROUNDS = 3
AT_ONCE = (1, 16, 64)
HOST = "127.0.0.1"
STARTUP_LIMIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that both sides of a comparison use, and where logs go."""

    nats_url: str
    mongo_url: str
    folder: Path


async def run(scale: float) -> Report:
    """Measure everything; `scale` 1 is the whole work."""
    report = Report("house")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tracseq-bench-")))
        broker = NatsServer(folder / "nats")
        store = DocumentStore(folder / "store")
        for program in (broker.program(), store.program()):
            child = Child(program)
            await child.start()
            stack.push_async_callback(child.stop)
        connection = await Connection.connect(broker.url, "provisioner")
        await provision(connection)
        await connection.close()
        servers = Servers(broker.url, store.url, folder)
        await _commands(report, servers, scale)
        await _edge(report, servers, scale)
        await _events(report, broker.url, scale)
        await _projector(report, store.url, scale)
    await _system(report, scale)
    return report


# Commands beside the raw floor


async def _commands(report: Report, servers: Servers, scale: float) -> None:
    async with (
        _service("sample", servers),
        _floor(servers.nats_url) as ask_floor,
        _bus(servers.nats_url) as bus,
    ):
        ratios: dict[int, float] = {}
        p50_ms = 0.0
        for at_once in AT_ONCE:
            count = max(100, int((600 if at_once == 1 else 2_000) * scale))
            found: list[float] = []
            for _ in range(ROUNDS):
                raw = await drive(lambda _: ask_floor(), count=count, at_once=at_once)
                ours = await drive(lambda _: bus.ask(_sample()), count=count, at_once=at_once)
                found.append(ours.per_second / raw.per_second)
                _both(report, "command", at_once, ours=ours, other=raw, other_name="floor")
                if at_once == 1:
                    p50_ms = ours.latency_ms(0.5)
            ratios[at_once] = statistics.median(found)
        report.at_least("command over raw floor, 16 at once", ratios[16], 0.5, "ratio")
        report.at_least("command over raw floor, 64 at once", ratios[64], 0.5, "ratio")
        report.at_most("command alone, p50", p50_ms, 3.0, "ms")


def _sample() -> RegisterSample:
    return RegisterSample(
        details=SampleDetails(
            barcode=f"B{new_id().hex[:20]}", name="n", sample_type=SampleType.DNA, zone=Zone.FROZEN
        )
    )


@asynccontextmanager
async def _bus(nats_url: str) -> AsyncGenerator[Bus]:
    bus = await Bus.open(nats_url, source="bench")
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def _floor(nats_url: str) -> AsyncGenerator[Any]:
    client = await nats.connect(nats_url)
    js = client.jetstream()
    await floor.provision(js)
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

    async with _process("bench.floor", nats_url):
        yield ask
    await client.close()


@asynccontextmanager
async def _process(module: str, *args: str, ready: str | None = "ready") -> AsyncGenerator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *args, stdout=asyncio.subprocess.PIPE if ready else None
    )
    try:
        if ready and process.stdout is not None:
            await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _service(name: str, servers: Servers) -> AsyncGenerator[int]:
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


def _both(
    report: Report, what: str, at_once: int, *, ours: Measured, other: Measured, other_name: str
) -> None:
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


# The edge beside a hand-written service


async def _edge(report: Report, servers: Servers, scale: float) -> None:
    count, at_once, port = max(100, int(1_500 * scale)), 16, free_base([0])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_service("sample", servers))
        edge_port = await stack.enter_async_context(_service("edge", servers))
        await stack.enter_async_context(
            _process("bench.peer", servers.nats_url, servers.mongo_url, str(port), ready=None)
        )
        await _answers(port)
        ours_http = await stack.enter_async_context(HttpLoad(HOST, edge_port, at_once))
        peer_http = await stack.enter_async_context(HttpLoad(HOST, port, at_once))

        async def ask_ours(_: int) -> None:
            body = _sample().model_dump_json().encode()
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
            _both(report, "edge", at_once, ours=ours, other=peer, other_name="peer")
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


# Publishing events


async def _events(report: Report, nats_url: str, scale: float) -> None:
    count = max(200, int(4_000 * scale))
    fact = TemperatureRead.model_validate({"sensor": "FRZ-1", "celsius": "-79.5"})
    body = fact.model_dump_json().encode()
    client = await nats.connect(nats_url)
    js = client.jetstream()
    async with _bus(nats_url) as bus:

        async def publish_raw(_: int) -> None:
            headers = {"Nats-Msg-Id": new_id().hex, "ce-type": "sensor.temperature_read"}
            await js.publish("tracseq.lab.main.sensor.temperature_read", body, headers=headers)

        async def publish_ours(_: int) -> None:
            await bus.publish_lab(fact, source="bench")

        for at_once in (1, 64):
            found: list[float] = []
            for _ in range(ROUNDS):
                raw = await drive(publish_raw, count=count, at_once=at_once)
                ours = await drive(publish_ours, count=count, at_once=at_once)
                found.append(ours.per_second / raw.per_second)
                _both(report, "publish", at_once, ours=ours, other=raw, other_name="raw")
            name = f"event publish over raw, {at_once} at once"
            report.at_least(name, statistics.median(found), 0.6, "ratio")
    await client.close()


# The projector beside a raw bulk write


class _Items:
    """A source that is all there: so many items, then silence."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def head(self) -> int:
        return self.count

    async def follow(self, after: int) -> AsyncGenerator[Sequence["_Item"]]:
        for start in range(after, self.count, 500):
            yield [_Item(seq) for seq in range(start + 1, min(start + 500, self.count) + 1)]
        await asyncio.Event().wait()


class _Item:
    traceparent = None

    def __init__(self, seq: int) -> None:
        self.seq = seq


async def _projector(report: Report, mongo_url: str, scale: float) -> None:
    count = max(1_000, int(5_000 * scale))
    found: list[float] = []
    for number in range(ROUNDS):
        store = Store(mongo_url, f"bench_{number}")
        raw_seconds = await _raw_bulk(store, count)
        model = ReadModel("things", ask_by=("status",))

        async def project(items: Sequence[_Item]) -> Sequence[Write]:
            return [_put(item.seq) for item in items]

        projector = Projector("bench", store, model, _Items(count), project)
        started = time.perf_counter()
        running = asyncio.create_task(projector.run())
        await projector.wait_for(count, timeout_seconds=120)
        seconds = time.perf_counter() - started
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        found.append(raw_seconds / seconds)
        report.row(
            what="projector",
            ours_per_second=count / seconds,
            raw_per_second=count / raw_seconds,
            ratio=raw_seconds / seconds,
        )
        await store.drop()
        await store.close()
    report.at_least("projector over raw bulk_write", statistics.median(found), 0.8, "ratio")


def _put(seq: int) -> Put:
    view = {"sample_id": f"{seq:032x}", "status": "pending", "name": "n" * 40, "seq": seq}
    return Put(id=f"{seq:032x}", order=seq, view=view, fields={"status": "pending"})


async def _raw_bulk(store: Store, count: int) -> float:
    collection = store.collection("raw")
    for keys in ([("every", 1), ("order", -1)], [("status", 1), ("order", -1)]):
        await collection.create_index(keys)
    started = time.perf_counter()
    for start in range(0, count, 500):
        requests: list[Any] = [
            ReplaceOne({"_id": f"{seq:032x}"}, _put(seq).document(), upsert=True)
            for seq in range(start + 1, min(start + 500, count) + 1)
        ]
        requests.append(UpdateOne({"_id": "position"}, {"$set": {"seq": start + 500}}, upsert=True))
        await collection.bulk_write(requests, ordered=True)
    return time.perf_counter() - started


# The whole system: start-up, memory, sagas


async def _system(report: Report, scale: float) -> None:
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
    async with _bus(nats_url) as bus:
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
