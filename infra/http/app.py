"""One service's HTTP application: every request's way from its head to its answer.

The single ASGI callable stands in for a pile of middleware: it finds the route, bounds what is
served at once, keeps browsers of other sites out, continues the trace, names the story in every log
line, turns what was raised into a problem, and counts. It knows no endpoint.
"""

import asyncio
from collections.abc import Callable, Iterable
from http import HTTPStatus

import structlog
from opentelemetry.trace import Span
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from contracts.errors import NotFound, Refused, Retryable, Unavailable, Unexpected
from infra.breaker import CircuitBreakerError
from infra.clock import SYSTEM, Clock
from infra.http.guard import Guard
from infra.http.headers import CORRELATION, correlation
from infra.http.problem import Busy, MethodNotAllowed, refusal_response
from infra.http.routing import Match, Route, Router
from infra.telemetry.metrics import http_operation
from infra.telemetry.tracing import message_span, tracer_for

REQUESTS_MAX = 1_000
"""Requests that one service answers at once; one more is refused with 503."""
PATH_CHARS_MAX = 200
"""How much of a path is told in problems, logs and spans."""
CLIENT_GONE = 499
"""Counted, never seen: the client went away before its request was read."""
UNBOUND = "http.unbound"
"""The operation of requests that no route takes."""

_ALWAYS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_UNLESS_SAID: list[tuple[bytes, bytes]] = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]

_log = structlog.get_logger(__name__)


class App:
    """An ASGI application; `stop` ends its streams so that a server can drain."""

    def __init__(
        self,
        service: str,
        routes: Iterable[Route],
        *,
        guard: Guard | None = None,
        clock: Clock = SYSTEM,
        requests_max: int = REQUESTS_MAX,
        logs_requests: Callable[[], bool] = lambda: True,
    ) -> None:
        """Make the table of routes; a conflict between two of them raises `ValueError`.

        `logs_requests` is asked at each request whether it gets a line in the log; what fails here
        gets one anyway.
        """
        self._service = service
        table = list(routes)
        self._router = Router(table)
        operations = {route.operation for route in table} | {UNBOUND}
        self._recorders = {name: http_operation(service, name) for name in operations}
        self._guard = guard or Guard()
        self._clock = clock
        self._requests_max = requests_max
        self._logs_requests = logs_requests
        self._tracer = tracer_for(service)
        self._answering = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Tell every stream to end."""
        self._stopping.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        story = scope["tracseq.correlation"] = correlation(request)
        scope["tracseq.stopping"] = self._stopping
        match = self._router.match(scope["path"])
        route = _route(match, scope["method"])
        span = message_span(
            self._tracer,
            "server",
            f"{route.method} {route.path}" if route is not None else scope["method"],
            request.headers.get("traceparent"),
        )
        with bound_contextvars(service=self._service, correlation_id=story), span as current:
            response = await self._observed(request, match, route, current)
        _dress(response, story)
        if scope["method"] == "HEAD":
            response = _without_body(response)
        await response(scope, receive, send)

    async def _observed(
        self, request: Request, match: Match | None, route: Route | None, span: Span
    ) -> Response:
        started = self._clock.monotonic()
        response = await self._bounded(request, match, route)
        duration_seconds = self._clock.monotonic() - started
        operation = route.operation if route is not None else UNBOUND
        status = response.status_code
        self._recorders[operation].record(str(status), duration_seconds)
        path = request.scope["path"][:PATH_CHARS_MAX]
        if span.is_recording():
            span.set_attributes(
                {
                    "http.request.method": request.method,
                    "http.response.status_code": status,
                    "url.path": path,
                    "tracseq.operation": operation,
                    "tracseq.correlation": request.scope["tracseq.correlation"],
                }
            )
        if self._logs_requests():
            log = _log.debug if route is not None and route.quiet else _log.info
            log(
                "http.request",
                method=request.method,
                path=path,
                operation=operation,
                status=status,
                duration_ms=round(duration_seconds * 1000, 3),
            )
        return response

    async def _bounded(
        self, request: Request, match: Match | None, route: Route | None
    ) -> Response:
        if self._answering >= self._requests_max:
            return refusal_response(Busy(what="Too many requests", limit=self._requests_max))
        self._answering += 1
        try:
            if match is None:
                path = request.scope["path"][:PATH_CHARS_MAX]
                return refusal_response(NotFound(what="resource", key=path))
            if route is None:
                return _no_such_method(request, match)
            request.scope["path_params"] = match.params
            return await self._run(request, route)
        finally:
            self._answering -= 1

    async def _run(self, request: Request, route: Route) -> Response:
        try:
            self._guard.check(request)
            return await route.endpoint(request)
        except Refused as refused:
            return refusal_response(refused.refusal)
        except CircuitBreakerError as error:
            return refusal_response(error.refusal(f"Something that {route.operation} needs"))
        except Retryable as error:
            _log.warning("http.dependency_unwell", operation=route.operation, error=str(error))
            return refusal_response(Unavailable(what=f"Something that {route.operation} needs"))
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except Exception:  # noqa: BLE001 - the edge of the request loop: a bug is one request's end
            _log.exception("http.request_failed", operation=route.operation)
            return refusal_response(Unexpected(what=route.operation))


def _route(match: Match | None, method: str) -> Route | None:
    if match is None:
        return None
    return match.methods.get("GET" if method == "HEAD" else method)


def _no_such_method(request: Request, match: Match) -> Response:
    headers = {"Allow": match.allow}
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    path = request.scope["path"][:PATH_CHARS_MAX]
    refusal = MethodNotAllowed(method=request.method, path=path, allowed=match.allow)
    return refusal_response(refusal, headers)


def _dress(response: Response, story: str) -> None:
    """Add the headers that every answer has."""
    raw = response.raw_headers
    said = {name for name, _ in raw}
    raw.extend(_ALWAYS)
    raw.extend(item for item in _UNLESS_SAID if item[0] not in said)
    raw.append((CORRELATION.lower().encode(), story.encode()))


def _without_body(response: Response) -> Response:
    """Give the head of a response, its length included where it is known."""
    head = Response(status_code=response.status_code)
    head.raw_headers = response.raw_headers
    return head
