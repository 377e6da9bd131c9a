"""The edge, seen from outside: contracts become requests, answers become the contracts' views.

For the command line and for tests. It retries nothing and keeps nothing: whoever calls knows what a
second attempt would mean. Its circuit breaker keeps whoever asks again and again from an edge that
is away.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from string import Formatter
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from contracts.errors import Problem
from contracts.message import Command, Http, Query, result_of
from infra.breaker import CircuitBreaker, CircuitBreakerConfig, CircuitBreakerError

ResultT = TypeVar("ResultT")

API = "/api/v1"
OPERATIONS = f"{API}/operations/"
"""Where what is stored and not done yet is watched."""
CONNECT_TIMEOUT_SECONDS = 3.0
ANSWER_TIMEOUT_SECONDS = 130.0
"""Longer than the longest wait that the edge grants, and the longest time that it gives a query."""
UPLOAD_TIMEOUT_SECONDS = 60.0
CONNECTIONS_MAX = 16
WAITING_MAX = 1_000
"""Requests under way or waiting for a connection; one more is refused."""
QUIET_SECONDS_MAX = 60.0
"""Longer than the edge is ever silent on a live stream: it sends heartbeats."""
SPARED = CircuitBreakerConfig(
    # httpx bounds each step of a request; a large upload may take long as a whole.
    request_timeout=None,
    max_concurrent_requests=WAITING_MAX,
    success_threshold=1,
    # People watch: an edge that is back is seen at once.
    recovery_timeout=1.0,
)
EVENT_BYTES_MAX = 16 * 1024 * 1024
"""Of one event of a live stream: what is longer is no event."""


class EdgeUnreachableError(Exception):
    """Nobody answers there, or the answer broke off; the text says where and how."""


class EdgeRefusedError(Exception):
    """The edge said no; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        """Carry the problem; the text is its code and detail."""
        super().__init__(f"{problem.code}: {problem.detail}")
        self.problem = problem


class EdgePendingError(Exception):
    """The command is stored and not done yet: it will be."""

    def __init__(self, location: str) -> None:
        """Carry the path at which the outcome will be."""
        super().__init__(f"stored, not done yet: {location}")
        self.location = location


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of a live stream (SSE)."""

    id: str
    """The position behind it; empty where the stream has told none."""
    name: str
    data: str


class EdgeClient:
    """A connection to one edge; an async context manager."""

    def __init__(self, url: str, *, actor: str | None = None) -> None:
        """Prepare; nothing is sent. `actor` is who acts, until there is authentication."""
        self.url = url.rstrip("/")
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={"X-Actor": actor} if actor is not None else {},
            timeout=httpx.Timeout(
                ANSWER_TIMEOUT_SECONDS,
                connect=CONNECT_TIMEOUT_SECONDS,
                write=UPLOAD_TIMEOUT_SECONDS,
            ),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        )
        self._breaker = CircuitBreaker("edge", SPARED)

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def ask(
        self,
        message: Command[ResultT] | Query[ResultT],
        *,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        idempotency_key: str | None = None,
    ) -> ResultT:
        """Send a command or query to its HTTP binding and read the answer.

        `files` are sent in place of fields of the message: field -> (file name, content).

        Raises:
            EdgeRefusedError: the answer is a problem.
            EdgePendingError: the command is stored and was not done in time.
            EdgeUnreachableError: there is no answer.
        """
        http = message.contract.http
        if http is None:
            raise ValueError(f"{message.contract.type} has no HTTP binding")
        # What was not said is not sent: the defaults are the edge's own.
        values = message.model_dump(mode="json", exclude_unset=True)
        path = _fill(http, values)
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else {}
        body = _body(http, values, files)
        response = await self._request(http.method, path, headers=headers, **body)
        location = response.headers.get("Location", path)
        tells = http.status == HTTPStatus.ACCEPTED or http.accepted is not None
        pending = not tells or location.startswith(OPERATIONS)
        if response.status_code == HTTPStatus.ACCEPTED and pending:
            raise EdgePendingError(location)
        adapter: TypeAdapter[ResultT] = TypeAdapter(result_of(type(message)))
        try:
            return adapter.validate_json(response.content)
        except ValidationError as error:
            what = f"{self.url}{path} answered what this version does not understand: {error}"
            raise EdgeUnreachableError(what) from error

    async def get_json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Read a document that no contract describes, such as `/health/ready`.

        Raises:
            EdgeRefusedError: the answer is a problem.
            EdgeUnreachableError: there is no answer, or it is no JSON.
        """
        response = await self._request("GET", path)
        try:
            return response.json()
        except ValueError as error:
            raise EdgeUnreachableError(f"{self.url}{path} answered no JSON") from error

    @asynccontextmanager
    async def live(
        self, path: str, *, params: Mapping[str, str], after: str | None = None
    ) -> AsyncGenerator["LiveStream"]:
        """Open a live stream (SSE), behind the position `after` where one is given.

        Raises:
            EdgeRefusedError: the answer is a problem.
            EdgeUnreachableError: there is no answer; also while reading, when it breaks off.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
        timeout = httpx.Timeout(QUIET_SECONDS_MAX, connect=CONNECT_TIMEOUT_SECONDS)
        request = self._client.build_request(
            "GET", path, params=dict(params), headers=headers, timeout=timeout
        )
        try:
            response = await self._breaker.call(self._client.send, request, stream=True)
        except (httpx.HTTPError, CircuitBreakerError) as error:
            raise _unreachable(self.url, error) from error
        try:
            if response.status_code != HTTPStatus.OK:
                await response.aread()
                raise EdgeRefusedError(_problem(response))
            yield LiveStream(self.url, response, after)
        finally:
            await response.aclose()

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401
        try:
            response = await self._breaker.call(self._client.request, method, path, **options)
        except (httpx.HTTPError, CircuitBreakerError) as error:
            raise _unreachable(self.url, error) from error
        if not response.is_success:
            raise EdgeRefusedError(_problem(response))
        return response


class LiveStream:
    """An open live stream; iterate it once."""

    def __init__(self, url: str, response: httpx.Response, position: str | None) -> None:
        """Read nothing yet."""
        self.position = position
        """What to give as `after` to go on where reading stopped; None where that was not said."""
        self._url = url
        self._response = response

    async def __aiter__(self) -> AsyncGenerator[LiveEvent]:
        """Give the events as they come; the edge may end them at any time."""
        lines, size_bytes = list[tuple[str, str]](), 0
        try:
            async for line in self._response.aiter_lines():
                size_bytes += len(line)
                if size_bytes > EVENT_BYTES_MAX:
                    raise EdgeUnreachableError(f"{self._url} sent an event of more than 16 MB")
                if line:
                    field, _, value = line.partition(":")
                    lines.append((field, value.removeprefix(" ")))
                    continue
                event = self._read(lines)
                lines, size_bytes = [], 0
                if event is not None:
                    yield event
        except httpx.HTTPError as error:
            raise _unreachable(self._url, error) from error

    def _read(self, lines: list[tuple[str, str]]) -> LiveEvent | None:
        """Make an event of its lines; a heartbeat is none, but may tell the position."""
        fields = dict(lines)
        self.position = fields.get("id", self.position)
        data = [value for field, value in lines if field == "data"]
        if not data:
            return None
        return LiveEvent(self.position or "", fields.get("event", "message"), "\n".join(data))


def _unreachable(url: str, error: httpx.HTTPError | CircuitBreakerError) -> EdgeUnreachableError:
    return EdgeUnreachableError(
        f"the edge at {url} does not answer: {str(error) or type(error).__name__}"
    )


def _fill(http: Http, values: dict[str, Any]) -> str:
    """Give the path, taking what stands in it out of the values."""
    names = [name for _, name, _, _ in Formatter().parse(http.path) if name]
    return http.paths(API)[0].format_map({n: quote(str(values.pop(n)), safe="") for n in names})


def _body(
    http: Http, values: dict[str, Any], files: Mapping[str, tuple[str, bytes]] | None
) -> dict[str, Any]:
    if files:
        fields = {n: _text(v) for n, v in values.items() if n not in files and v is not None}
        return {"data": fields, "files": dict(files)}
    if http.method in {"GET", "DELETE"}:
        return {"params": {n: _text(v) for n, v in values.items() if v is not None}}
    if http.body is None:
        return {"json": values}
    params = {n: _text(v) for n, v in values.items() if n != http.body and v is not None}
    return {"json": values[http.body], "params": params}


def _text(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Write a value for a query or a form; a list is repeated."""
    if isinstance(value, list):
        return [_text(item) for item in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    return value if isinstance(value, str) else json.dumps(value)


def _problem(response: httpx.Response) -> Problem:
    """Read problem details; whatever else came (a proxy's page) is said as one."""
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:
        return Problem(
            type="about:blank",
            title="The answer is no problem details",
            status=response.status_code,
            detail=f"{response.request.url} answered {response.status_code}.",
            code="edge.unknown",
        )
