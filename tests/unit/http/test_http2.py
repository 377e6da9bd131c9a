"""The HTTP client over TLS, against a server of another make: which HTTP is spoken, and shared."""

import asyncio
from pathlib import Path
from typing import Literal

import httpx
import pytest

from infra.breaker import CircuitBreakerConfig, RequestTimeoutError
from infra.clock import SYSTEM
from infra.http.breaking_client import GIVEN_UP_MAX, HttpClientWithCircuitBreaker
from tests.fixtures.tls_server import certificate, tls_server

IMPATIENT = CircuitBreakerConfig(request_timeout=0.3, failure_threshold=10_000)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Give a key and a certificate that clients trust."""
    both = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(both[1]))
    return both


@pytest.mark.parametrize(("protocol", "version"), [("h2", "HTTP/2"), ("http1", "HTTP/1.1")])
async def test_http2_is_spoken_where_it_is_offered(
    files: tuple[Path, Path], protocol: Literal["h2", "http1"], version: str
) -> None:
    """The two sides agree while the connection is made; a server of HTTP/1.1 is served by that."""
    async with (
        tls_server(*files, protocol) as url,
        HttpClientWithCircuitBreaker("upstream", base_url=url) as upstream,
    ):
        answer = await upstream.get("/")

    assert answer.http_version == version
    assert answer.json()["version"] == version.removeprefix("HTTP/").replace("2", "2.0")


async def test_requests_share_a_connection(files: tuple[Path, Path]) -> None:
    """Forty at once need one connection of HTTP/2."""
    async with (
        tls_server(*files, "h2") as url,
        HttpClientWithCircuitBreaker("upstream", base_url=url) as upstream,
    ):
        await upstream.get("/")
        answers = await asyncio.gather(*(upstream.get("/slow") for _ in range(40)))

    assert {answer.json()["connection"] for answer in answers} == {1}


async def test_a_request_that_is_given_up_takes_no_other_along(files: tuple[Path, Path]) -> None:
    """Those that share its connection are answered on it."""
    config = CircuitBreakerConfig(request_timeout=0.1)
    async with (
        tls_server(*files, "h2") as url,
        HttpClientWithCircuitBreaker("upstream", base_url=url) as upstream,
        HttpClientWithCircuitBreaker("upstream", config, base_url=url) as impatient,
    ):
        await impatient.get("/")
        with pytest.raises(RequestTimeoutError):
            await impatient.post("/never")
        again = await impatient.get("/")
        other = await upstream.get("/")

    assert (again.json()["connection"], other.json()["connection"]) == (1, 2)


async def test_requests_that_are_never_answered_do_not_use_up_the_connection(
    files: tuple[Path, Path],
) -> None:
    """More are given up than a connection has room for, and the next one is answered even so."""
    async with (
        tls_server(*files, "h2") as url,
        HttpClientWithCircuitBreaker("upstream", IMPATIENT, base_url=url) as upstream,
    ):
        await upstream.get("/")
        for _ in range(4):
            given_up = await asyncio.gather(
                *(upstream.post("/never") for _ in range(40)), return_exceptions=True
            )
            assert {type(one) for one in given_up} == {RequestTimeoutError}
        answer = await upstream.get("/")

    assert answer.http_version == "HTTP/2"


async def test_connections_that_are_replaced_serve_whom_they_serve(
    files: tuple[Path, Path],
) -> None:
    """A request under way when they are replaced is answered; only then they are closed."""
    patient = IMPATIENT.model_copy(update={"request_timeout": None})
    async with (
        tls_server(*files, "h2") as url,
        HttpClientWithCircuitBreaker("upstream", patient, base_url=url) as upstream,
    ):
        await upstream.get("/")
        hopeless = [asyncio.create_task(upstream.get("/never")) for _ in range(GIVEN_UP_MAX)]
        await upstream.get("/")
        slow = asyncio.create_task(upstream.get("/slow"))
        await SYSTEM.sleep(0)
        for task in hopeless:
            task.cancel()
        await asyncio.wait(hopeless)
        new = await upstream.get("/")
        old = await slow

    assert isinstance(old, httpx.Response)
    assert (old.json()["connection"], new.json()["connection"]) == (1, 2)
