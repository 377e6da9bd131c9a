"""What the configuration says of the edge and of logs holds while the service runs."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Callable
from http import HTTPStatus

import httpx
import pytest

from contracts import subjects
from contracts.sample import GetSample
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.runtime import Blueprint
from infra.runtime.running import Running
from infra.telemetry import logs
from services.config.service import build as build_config
from services.config.settings import Settings as ConfigSettings
from services.edge.service import build as build_edge
from services.edge.settings import Settings
from tests.fixtures.laboratory import Laboratory, laboratory
from tests.integration.config_client.test_client import WAIT_SECONDS, set_to

__all__ = ["laboratory"]

SERVICE = "api-gateway"


@pytest.fixture
async def edge(laboratory: Laboratory) -> Running:
    """Give an edge that is configured."""
    await laboratory.start(Blueprint("config", build_config, ConfigSettings(http_port=0)))
    return await laboratory.start(Blueprint("edge", build_edge, Settings(http_port=0)))


@pytest.fixture
async def client(edge: Running) -> AsyncGenerator[httpx.AsyncClient]:
    """Give a client of the edge."""
    async with httpx.AsyncClient(base_url=edge.http.url, timeout=WAIT_SECONDS) as connected:
        yield connected


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Give the events that were logged since the last look."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure()

    def read() -> list[str]:
        lines = stream.getvalue().splitlines()
        stream.seek(0)
        stream.truncate()
        return [str(json.loads(line)["event"]) for line in lines]

    return read


async def tell(laboratory: Laboratory, edge: Running, key: str, value: object) -> None:
    """Change a value, and wait until the edge runs it."""
    await set_to(laboratory.bus, {key: value}, service=SERVICE)
    live = edge.service.live
    assert live is not None
    async with asyncio.timeout(WAIT_SECONDS):
        while getattr(live.current, key) != value:
            await SYSTEM.sleep(0.005)


async def test_an_answer_is_waited_for_as_long_as_is_told(
    laboratory: Laboratory, edge: Running, client: httpx.AsyncClient
) -> None:
    """Of a service that says nothing: a later question that may take a second ends before."""
    await laboratory.connection.nats.subscribe(subjects.of(GetSample.contract))
    question = f"/api/v1/samples/{new_id()}"
    await tell(laboratory, edge, "request_timeout_seconds", 60)
    patient = asyncio.create_task(client.get(question))
    await SYSTEM.sleep(0.1)
    await tell(laboratory, edge, "request_timeout_seconds", 1)
    impatient = await client.get(question)
    waits = not patient.done()
    patient.cancel()
    await asyncio.wait({patient})

    assert impatient.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert waits


async def test_requests_are_logged_as_long_as_is_told(
    laboratory: Laboratory,
    edge: Running,
    client: httpx.AsyncClient,
    written: Callable[[], list[str]],
) -> None:
    """One line for each request, or none."""
    seen = list[int]()
    for told in (True, False, True):
        await tell(laboratory, edge, "enable_request_logging", told)
        written()
        await client.get("/")
        seen.append(written().count("http.request"))

    assert seen == [1, 0, 1]


async def test_what_is_logged_is_told_while_it_runs(
    laboratory: Laboratory,
    edge: Running,
    client: httpx.AsyncClient,
    written: Callable[[], list[str]],
) -> None:
    """Health checks are lines at `debug` alone; where nothing is told, it is as it began."""
    seen = list[int]()
    for told in (None, "debug", "error", None):
        await tell(laboratory, edge, "log_level", told)
        written()
        await client.get("/")
        await client.get("/health")
        seen.append(written().count("http.request"))

    assert seen == [1, 2, 0, 1]
