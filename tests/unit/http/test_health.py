"""Liveness and readiness."""

import asyncio

import pytest

from infra.clock import SYSTEM
from infra.http import health
from infra.http.health import Check, health_routes
from infra.http.routing import Route
from tests.unit.http.conftest import Connect


def _routes(**checks: Check) -> list[Route]:
    return health_routes(name="sample", version="1.2.3", checks=checks, clock=SYSTEM)


async def _well() -> None:
    return None


async def _broken() -> None:
    raise ConnectionError("mongodb://ada:secret@db")


async def test_liveness_asks_nobody(connect: Connect) -> None:
    """A process with broken dependencies is alive."""
    async with connect(_routes(store=_broken)) as client:
        response = await client.get("/health")
    assert response.status_code == 200
    assert response.json().items() >= {"name": "sample", "version": "1.2.3"}.items()
    assert response.json()["uptime_seconds"] >= 0


async def test_readiness_is_the_sum_of_the_checks(connect: Connect) -> None:
    """All well is 200, with how long each took."""
    async with connect(_routes(nats=_well, store=_well)) as client:
        response = await client.get("/health/ready")
    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    assert response.json()["checks"]["store"]["response_ms"] >= 0


async def test_one_broken_dependency_is_not_ready(connect: Connect) -> None:
    """503 tells which one, and the kind of error without its words."""
    async with connect(_routes(nats=_well, store=_broken)) as client:
        response = await client.get("/health/ready")
    assert response.status_code == 503
    checks = response.json()["checks"]
    assert (checks["nats"]["status"], checks["store"]["status"]) == ("ok", "failed")
    assert checks["store"]["problem"] == "ConnectionError"
    assert "secret" not in response.text


async def test_a_dependency_that_hangs_is_waited_for_only_so_long(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness always answers."""
    monkeypatch.setattr(health, "CHECK_TIMEOUT_SECONDS", 0.05)

    async def hang() -> None:
        await asyncio.Event().wait()

    async with connect(_routes(nats=hang)) as client:
        response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["checks"]["nats"]["problem"] == "no answer within 0.05 s"
