"""Liveness and readiness: whether the process runs, and whether what it needs answers.

`/health` asks nothing of anyone, so that an unwell dependency never gets a process killed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from infra.clock import Clock
from infra.http.routing import Route

CHECK_TIMEOUT_SECONDS = 2.0

Check = Callable[[], Awaitable[None]]
"""Returns where a dependency answers, and raises where it does not."""

_log = structlog.get_logger(__name__)


def health_routes(
    *, name: str, version: str, checks: Mapping[str, Check], clock: Clock
) -> list[Route]:
    """Make `GET /health` and `GET /health/ready`; the uptime counts from now."""
    started = clock.monotonic()

    async def live(_: Request) -> Response:
        uptime_seconds = round(clock.monotonic() - started, 3)
        return _json(
            {"status": "ok", "name": name, "version": version, "uptime_seconds": uptime_seconds},
            200,
        )

    async def ready(_: Request) -> Response:
        results = await asyncio.gather(
            *(_run(check_name, check, clock) for check_name, check in checks.items())
        )
        all_ok = all(result["status"] == "ok" for result in results)
        document = {
            "status": "ready" if all_ok else "unready",
            "name": name,
            "checks": dict(zip(checks, results, strict=True)),
        }
        return _json(document, 200 if all_ok else 503)

    return [
        Route(method="GET", path="/health", endpoint=live, operation="http.health", quiet=True),
        Route(
            method="GET", path="/health/ready", endpoint=ready, operation="http.ready", quiet=True
        ),
    ]


async def _run(name: str, check: Check, clock: Clock) -> dict[str, str | float]:
    started = clock.monotonic()
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            await check()
    except TimeoutError:
        problem = f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a dependency's client raises means: not ready
        # The client sees the kind of error alone: its text may hold addresses or credentials.
        _log.warning("readiness_check_failed", check=name, error=repr(error))
        problem = type(error).__name__
    else:
        return {"status": "ok", "response_ms": _ms_since(started, clock)}
    return {"status": "failed", "response_ms": _ms_since(started, clock), "problem": problem}


def _ms_since(started: float, clock: Clock) -> float:
    return round((clock.monotonic() - started) * 1000, 3)


def _json(document: object, status: int) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
