"""`/circuit-breaker/...`: see a service's breakers, open them by hand, close them again.

What is done by hand is logged with who did it; who may is decided by whoever mounts the routes.
"""

from collections.abc import Awaitable, Callable

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import NotFound, Refused
from infra.breaker import BreakerRegistry, CircuitBreakerConfig, UnknownBreakerError
from infra.http.routing import Route

_log = structlog.get_logger(__name__)


Authorise = Callable[[Request], Awaitable[str]]
"""Gives who asks for a change, or raises `Refused` where they may not have it."""


def breaker_routes(breakers: BreakerRegistry, authorise: Authorise) -> list[Route]:
    """Make the three routes; `?name=` chooses one breaker, without it all are meant."""

    async def metrics(request: Request) -> Response:
        name = request.query_params.get("name")
        snapshots = [one for one in breakers.snapshot() if name in {None, one.name}]
        if name is not None and not snapshots:
            raise Refused(NotFound(what="circuit breaker", key=name[:100]))
        return _json(
            {
                "service": breakers.service,
                "enabled": breakers.enabled,
                "circuit_breakers": {one.name: one for one in snapshots},
            }
        )

    async def force_open(request: Request) -> Response:
        actor = await authorise(request)
        name = request.query_params.get("name")
        try:
            opened = breakers.force_open(name, by=actor)
        except UnknownBreakerError as error:
            raise Refused(NotFound(what="circuit breaker", key=(name or "")[:100])) from error
        _log.warning("circuit_breaker_forced_open", names=opened, actor=actor)
        return _json({"service": breakers.service, "forced_open": opened})

    async def reset(request: Request) -> Response:
        actor = await authorise(request)
        name = request.query_params.get("name")
        try:
            closed = breakers.reset(name, by=actor)
        except UnknownBreakerError as error:
            raise Refused(NotFound(what="circuit breaker", key=(name or "")[:100])) from error
        _log.warning("circuit_breaker_reset", names=closed, actor=actor)
        return _json({"service": breakers.service, "reset": closed})

    return [
        Route(
            method="GET",
            path="/circuit-breaker/metrics",
            endpoint=metrics,
            operation="http.breaker_metrics",
            quiet=True,
        ),
        Route(
            method="POST",
            path="/circuit-breaker/force-open",
            endpoint=force_open,
            operation="http.breaker_force_open",
        ),
        Route(
            method="POST",
            path="/circuit-breaker/reset",
            endpoint=reset,
            operation="http.breaker_reset",
        ),
    ]


def _json(document: object) -> Response:
    body = orjson.dumps(document, default=_plain)
    return Response(body, media_type="application/json")


def _plain(value: object) -> object:
    """Write the numbers of a breaker, the one thing that orjson does not know."""
    if isinstance(value, CircuitBreakerConfig):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not JSON")
