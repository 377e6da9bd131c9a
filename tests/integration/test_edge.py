"""The edge and the sample service over a real broker and document store, asked over real HTTP."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from contracts.lab import TemperatureRead
from contracts.sample import RegisterSample
from contracts.transaction import SubmitManifest
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.ids import new_id
from infra.runtime import Blueprint, Fleet
from infra.settings import CommonSettings
from services.edge import service as edge
from services.edge.settings import Settings as EdgeSettings
from services.sample import service as sample
from services.sample.settings import Settings as SampleSettings
from tests.fixtures.servers import Broker, Database

DETAILS = {"barcode": "LAB-1", "name": "One", "sample_type": "DNA", "zone": "-80C"}
EDGE = Blueprint("edge", edge.build, EdgeSettings(http_port=0))
SAMPLE = Blueprint("sample", sample.build, SampleSettings(http_port=0))

Run = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def _common(nats_url: str, database: Database, **changes: Any) -> CommonSettings:  # noqa: ANN401 - settings
    return CommonSettings(
        nats_url=nats_url,
        mongo_url=database.url,
        mongo_database_prefix=f"t{new_id().hex[-12:]}",
        **changes,
    )


@pytest.fixture
async def common(nats_url: str, store_database: Database) -> CommonSettings:
    """Give the settings of a provisioned laboratory."""
    connection = await Connection.connect(nats_url, "provisioner")
    await provision(connection)
    await connection.close()
    return _common(nats_url, store_database)


@pytest.fixture
async def run(common: CommonSettings) -> AsyncGenerator[Run]:
    """Give what runs services and opens a client to the first of them; all end with the test."""
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def running(*blueprints: Blueprint) -> AsyncGenerator[httpx.AsyncClient]:
            fleet = Fleet(common)
            await fleet.start(blueprints)
            stack.push_async_callback(fleet.stop)
            url = fleet.running[0].http.url
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                yield client

        yield running


@pytest.fixture
async def bus(common: CommonSettings) -> AsyncGenerator[Bus]:
    """Give a bus of the test's own."""
    bus = await Bus.open(common.nats_url, source="test")
    yield bus
    await bus.close()


async def test_a_sample_is_registered_and_shown(run: Run) -> None:
    """The location of the answer leads to the sample, and a second one is refused with 409."""
    async with run(EDGE, SAMPLE) as client:
        made = await client.post("/api/v1/samples", json={"details": DETAILS})
        shown = await client.get(made.headers["Location"])
        again = await client.post("/api/v1/samples", json={"details": DETAILS})
    assert made.status_code == 201
    assert shown.json() == made.json()
    assert (again.status_code, again.json()["code"]) == (409, "sample.barcode_taken")
    assert again.json()["sample_id"] == made.json()["sample_id"]


async def test_a_repeated_key_is_one_sample(run: Run) -> None:
    """The second request gets the first one's answer, also while the first is under way."""
    async with run(EDGE, SAMPLE) as client:
        headers = {"Idempotency-Key": "k-1"}
        answers = await asyncio.gather(
            *(
                client.post("/api/v1/samples", json={"details": DETAILS}, headers=headers)
                for _ in range(5)
            )
        )
        listed = await client.get("/api/v1/samples", params={"min_seq": answers[0].json()["seq"]})
    assert [answer.status_code for answer in answers] == [201] * 5
    assert len({answer.json()["sample_id"] for answer in answers}) == 1
    assert listed.json()["total"] == 1


async def test_a_service_serves_its_own_bindings(run: Run) -> None:
    """The sample service answers on its own port as the edge does, and knows no other's paths."""
    async with run(SAMPLE) as client:
        made = await client.post("/api/v1/samples", json={"details": DETAILS})
        others = await client.get("/api/v1/transactions")
    assert (made.status_code, others.status_code) == (201, 404)


async def test_a_command_waits_for_its_service_as_an_operation(run: Run) -> None:
    """With the service down the command is stored; once it is up, the operation is done."""
    async with run(EDGE) as client:
        taken = await client.post(
            "/api/v1/samples", json={"details": DETAILS}, headers={"Prefer": "respond-async"}
        )
        pending = await client.get(taken.headers["Location"])
        async with run(SAMPLE), asyncio.timeout(60):
            while (done := await client.get(taken.headers["Location"])).status_code == 202:
                await asyncio.wait({asyncio.create_task(_soon())})
    assert (taken.status_code, taken.headers["Preference-Applied"]) == (202, "respond-async")
    assert (pending.status_code, pending.json()["status"]) == (202, "pending")
    assert (done.status_code, done.json()["status"]) == (200, "done")
    assert done.json()["result"]["details"]["barcode"] == "LAB-1"


async def _soon() -> None:
    async with asyncio.timeout(0.1):
        await asyncio.Event().wait()


async def test_an_upload_is_in_the_object_store_before_its_command(run: Run, bus: Bus) -> None:
    """Who handles the command finds the file that it refers to."""
    content = b"barcode,name\n" * 100_000
    async with run(EDGE) as client:
        response = await client.post(
            "/api/v1/submissions",
            files={"file": ("m.csv", content, "text/csv")},
            headers={"Prefer": "respond-async"},
        )
    assert response.status_code == 202
    raw = await bus.connection.by_seq("COMMANDS", 1)
    assert raw is not None
    command = SubmitManifest.model_validate_json(raw.body)
    assert await bus.files.get(command.file) == content


async def test_an_upload_of_200_mb_is_refused_as_too_large(run: Run) -> None:
    """The client gets its answer although it is still sending, and the edge serves on."""
    chunk = b"x" * 1_000_000

    async def body() -> AsyncGenerator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\n'
        for _ in range(200):
            yield chunk

    async with run(EDGE) as client:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        response = await client.post("/api/v1/submissions", content=body(), headers=headers)
        alive = await client.get("/health")
    assert response.status_code == 413
    assert response.json()["code"] == "request.too_large"
    assert alive.status_code == 200


async def test_the_stream_shows_facts_and_readings_and_resumes(run: Run, bus: Bus) -> None:
    """A client that comes back with the last id it saw misses nothing and sees nothing twice."""
    async with run(EDGE, SAMPLE) as client:
        async with client.stream("GET", "/api/v1/events/stream") as stream:
            lines = stream.aiter_lines()
            await _ids(lines, 1)
            made = await client.post(
                "/api/v1/samples",
                json={"details": DETAILS},
                headers={"X-Correlation-Id": "story-1"},
            )
            (first,) = await _events(lines, 1)
        await bus.publish_lab(TemperatureRead(sensor="f1", celsius=Decimal(-80)), source="probe")
        await client.post("/api/v1/samples", json={"details": DETAILS | {"barcode": "LAB-2"}})
        headers = {"Last-Event-ID": first["cursor"]}
        async with client.stream("GET", "/api/v1/events/stream", headers=headers) as stream:
            rest = await _events(stream.aiter_lines(), 2)
    assert first["type"] == "sample.registered"
    assert first["correlation"] == "story-1"
    assert first["data"]["sample_id"] == made.json()["sample_id"]
    assert sorted(event["type"] for event in rest) == [
        "sample.registered",
        "sensor.temperature_read",
    ]
    assert rest[-1]["cursor"] == "e2-l1"


async def _ids(lines: Any, count: int) -> list[str]:  # noqa: ANN401 - httpx's own iterator
    found: list[str] = []
    async with asyncio.timeout(60):
        async for line in lines:
            if line.startswith("id: "):
                found.append(line[4:])
            if len(found) == count:
                break
    return found


async def _events(lines: Any, count: int) -> list[dict[str, Any]]:  # noqa: ANN401 - httpx's own iterator
    found: list[dict[str, Any]] = []
    cursor = ""
    async with asyncio.timeout(60):
        async for line in lines:
            if line.startswith("id: "):
                cursor = line[4:]
            elif line.startswith("data: "):
                found.append(orjson.loads(line[6:]) | {"cursor": cursor})
            if len(found) == count:
                break
    return found


async def test_without_a_broker_the_edge_answers_503_and_recovers(run: Run, broker: Broker) -> None:
    """Reads and commands are refused in time with `Retry-After`; readiness turns red and green."""
    async with run(EDGE, SAMPLE) as client:
        assert (await client.get("/health/ready")).status_code == 200
        await broker.child.stop()
        started = time.monotonic()
        read = await client.get("/api/v1/samples")
        command = await client.post(
            "/api/v1/samples", json={"details": DETAILS}, headers={"Prefer": "wait=1"}
        )
        upload = await client.post("/api/v1/submissions", files={"file": ("m.csv", b"x")})
        unready = await client.get("/health/ready")
        assert time.monotonic() - started < 60
        await broker.child.start()
        async with asyncio.timeout(60):
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.wait({asyncio.create_task(_soon())})
        again = await client.post("/api/v1/samples", json={"details": DETAILS})
    assert [answer.status_code for answer in (read, command, upload, unready)] == [503] * 4
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in (read, command, upload))
    assert again.status_code == 201


async def test_the_edge_describes_everything_that_it_takes(run: Run) -> None:
    """Every path of the document is bound, and every binding is in the document."""
    async with run(EDGE) as client:
        document = (await client.get("/openapi.json")).json()
        index = (await client.get("/")).json()
        docs = await client.get("/docs")
        for path, item in document["paths"].items():
            allowed = await client.options(path.replace("{", "").replace("}", ""))
            methods = {method.upper() for method in item}
            assert methods <= set(allowed.headers["Allow"].split(", ")), path
        linked = [await client.options(link) for link in index["links"].values()]
    assert RegisterSample.contract.http is not None
    assert f"/api/v1{RegisterSample.contract.http.path}" in document["paths"]
    assert docs.status_code == 200
    assert all(answer.status_code == 204 for answer in linked)


async def test_one_story_and_one_trace_go_through(run: Run, bus: Bus) -> None:
    """The command on the broker carries the request's correlation, actor and trace."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with run(EDGE) as client:
        await client.post(
            "/api/v1/samples",
            json={"details": DETAILS},
            headers={
                "X-Correlation-Id": "story-1",
                "X-Actor": "ada",
                "traceparent": f"00-{trace}-b7ad6b7169203331-01",
                "Prefer": "respond-async",
            },
        )
    raw = await bus.connection.by_seq("COMMANDS", 1)
    assert raw is not None
    assert raw.headers["tracseq-correlation"] == "story-1"
    assert raw.headers["tracseq-actor"] == "ada"
    assert raw.headers["traceparent"].split("-")[1] == trace
    assert UUID(raw.headers["ce-id"]).version == 7


async def test_the_edge_refuses_to_serve_others_unless_told(common: CommonSettings) -> None:
    """Without authentication it starts on loopback only, and says what to set."""
    exposed = common.model_copy(update={"http_host": "0.0.0.0"})  # noqa: S104 - that is the point
    with pytest.raises(PermissionError, match="TRACSEQ_EDGE_TRUST_NETWORK=true"):
        await Fleet(exposed).start([EDGE])
    trusting = Blueprint("edge", edge.build, EdgeSettings(http_port=0, trust_network=True))
    fleet = Fleet(exposed)
    await fleet.start([trusting])
    await fleet.stop()
