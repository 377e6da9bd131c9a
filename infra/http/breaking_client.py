"""HTTP to another system, bounded on every side: deadline > retry > breaker > bulkhead > timeout.

HTTP/2 where the other side offers it over TLS, HTTP/1.1 elsewhere. A request that is given up on a
shared HTTP/2 connection tells the other side nothing (httpx sends no reset): its stream stays open,
and counts, until it is answered. So after a few of them new requests get new connections.

Only what may be repeated is repeated: idempotent methods, or a request with an `Idempotency-Key`,
whose body is at hand. What was refused by the breaker is not tried again here. A status of 500 or
above counts against the system, and is the caller's answer all the same.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, retry_if_result
from tenacity.stop import stop_after_attempt
from tenacity.wait import wait_random_exponential

from infra.breaker import (
    BreakerRegistry,
    CircuitBreaker,
    CircuitBreakerConfig,
    CircuitBreakerError,
    RequestTimeoutError,
)
from infra.clock import SYSTEM, Clock

ATTEMPTS_MAX = 3
"""Of one request, the first included."""
WAIT_SECONDS_MAX = 2.0
"""Between attempts, where the answer names no time; the first wait is 0.1 s at most."""
FIRST_WAIT_SECONDS_MAX = 0.1
BUDGET_SECONDS = 30.0
"""Of one request with all its attempts and waits, where the caller grants none."""
CONNECT_TIMEOUT_SECONDS = 3.0
KEPT_CONNECTIONS_MAX = 20
GIVEN_UP_MAX = 16
"""Requests left behind on the connections in use; servers should take at least 100 at once."""

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
PASSING = frozenset({429, 502, 503, 504})
"""Answers after which the same request may succeed."""
SERVER_ERROR = 500

_BACKOFF = wait_random_exponential(multiplier=FIRST_WAIT_SECONDS_MAX, max=WAIT_SECONDS_MAX)


class BudgetSpentError(TimeoutError):
    """A request with all its attempts took longer than its caller grants."""

    def __init__(self, service: str, seconds: float) -> None:
        """Say whom it went to and what was granted."""
        super().__init__(f"{service}: the request was not done within its {seconds:g} s")
        self.service = service
        self.seconds = seconds


NO_ANSWER: tuple[type[Exception], ...] = (
    httpx.TransportError,
    CircuitBreakerError,
    RequestTimeoutError,
    BudgetSpentError,
)
"""What a request raises: for whoever goes on without an answer, whatever became of it."""


class _Connections:
    """A client of httpx, with what is known of the use of its connections."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.busy = 0
        self.given_up = 0


class HttpClientWithCircuitBreaker:
    """A pool of connections to one system, behind one breaker; an async context manager.

    `SSL_CERT_FILE` names the authorities that are trusted in place of the usual ones.
    """

    def __init__(
        self,
        service: str,
        config: CircuitBreakerConfig | None = None,
        *,
        base_url: str = "",
        registry: BreakerRegistry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            service: the system that is called; its breaker has this name.
            config: the breaker's numbers; `max_concurrent_requests` bounds the pool too.
            base_url: what relative addresses are relative to.
            registry: where the breaker is to be seen and told; without one it is the client's own.
            transport: in place of the network, such as `infra.http.faults.FaultyTransport`.
            clock: what waits between attempts.
        """
        self.service = service
        if registry is None:
            self.breaker = CircuitBreaker(service, config, failure_result=_is_failure, clock=clock)
        else:
            self.breaker = registry.get(service, config, failure_result=_is_failure)
        self._clock = clock
        in_force = self.breaker.config
        self._own = transport is None
        # Read once: it takes longer than all else that is done here.
        trusted = httpx.create_ssl_context() if self._own else True
        self._make = partial(
            httpx.AsyncClient,
            base_url=base_url,
            transport=transport,
            verify=trusted,
            http2=True,
            # The breaker ends a call in time; this does where the breaker is switched off.
            timeout=httpx.Timeout(
                in_force.request_timeout or BUDGET_SECONDS, connect=CONNECT_TIMEOUT_SECONDS
            ),
            limits=httpx.Limits(
                max_connections=in_force.max_concurrent_requests,
                max_keepalive_connections=min(
                    in_force.max_concurrent_requests, KEPT_CONNECTIONS_MAX
                ),
            ),
        )
        self._connections = _Connections(self._make())
        self._left = set[_Connections]()
        """Replaced, and closed behind the last request that uses them."""

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
        for connections in (self._connections, *self._left):
            await connections.client.aclose()

    async def get(self, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Send a GET; see `request`."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Send a POST; see `request`."""
        return await self.request("POST", url, **options)

    async def request(
        self,
        method: str,
        url: str,
        *,
        budget_seconds: float = BUDGET_SECONDS,
        idempotency_key: str | None = None,
        **options: Any,  # noqa: ANN401 - httpx's
    ) -> httpx.Response:
        """Send a request and read its whole answer, whatever its status.

        Args:
            method: of HTTP.
            url: absolute, or relative to the client's own.
            budget_seconds: how long the request may take with all its attempts.
            idempotency_key: sent as `Idempotency-Key`; lets a POST be repeated.
            options: what httpx takes: `params`, `headers`, `json`, `content` and so on.

        Raises:
            CircuitBreakerError: nothing was sent; `retry_after` says when to come again.
            RequestTimeoutError: the last attempt took longer than `request_timeout`.
            BudgetSpentError: there was no answer within the budget.
            httpx.TransportError: the last attempt failed on the way.
        """
        request = self._connections.client.build_request(method, url, **options)
        if idempotency_key is not None:
            request.headers["Idempotency-Key"] = idempotency_key
        budget = asyncio.timeout(budget_seconds)
        try:
            async with budget:
                return await self._attempts(request, self._clock.monotonic() + budget_seconds)
        except TimeoutError as error:
            if budget.expired() and not isinstance(error, RequestTimeoutError):
                raise BudgetSpentError(self.service, budget_seconds) from error
            raise

    async def _attempts(self, request: httpx.Request, until: float) -> httpx.Response:
        """Try once; only where that failed in passing does retrying begin, and cost anything."""
        first: httpx.Response | Exception
        try:
            first = await self._attempt(request)
        except (httpx.TransportError, RequestTimeoutError) as error:
            first = error
        if isinstance(first, httpx.Response) and first.status_code not in PASSING:
            return first
        if not _is_repeatable(request):
            return _given(first)
        return await self._retry(request, first, until)

    async def _retry(
        self, request: httpx.Request, first: httpx.Response | Exception, until: float
    ) -> httpx.Response:
        tried = list[httpx.Response | Exception]()

        async def again() -> httpx.Response:
            # The first attempt is made already; tenacity gets what became of it.
            if not tried:
                tried.append(first)
                return _given(first)
            return await self._attempt(request)

        def spent(state: RetryCallState) -> bool:
            return self._clock.monotonic() + state.upcoming_sleep >= until

        retrying = AsyncRetrying(
            stop=_either(stop_after_attempt(ATTEMPTS_MAX), spent),
            wait=self._wait_seconds,
            retry=retry_if_exception_type((httpx.TransportError, RequestTimeoutError))
            | retry_if_result(_is_passing),
            retry_error_callback=_last,
            sleep=self._clock.sleep,
        )
        return cast("httpx.Response", await retrying(again))

    async def _attempt(self, request: httpx.Request) -> httpx.Response:
        return await self.breaker.call(self._send, request)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        connections = self._connections
        connections.busy += 1
        try:
            return await connections.client.send(request)
        except (asyncio.CancelledError, httpx.TimeoutException):
            connections.given_up += 1
            # A transport that was handed in is not ours to replace.
            if self._own and connections.given_up == GIVEN_UP_MAX:
                self._renew()
            raise
        finally:
            connections.busy -= 1
            if connections in self._left and not connections.busy:
                self._left.discard(connections)
                await connections.client.aclose()

    def _renew(self) -> None:
        """Have new requests use new connections."""
        self._left.add(self._connections)
        client = self._make()
        client.cookies = self._connections.client.cookies
        self._connections = _Connections(client)

    def _wait_seconds(self, state: RetryCallState) -> float:
        """Wait as the answer says, or ever longer and at random."""
        wait_seconds = _BACKOFF(state)
        outcome = state.outcome
        if outcome is not None and not outcome.failed:
            wait_seconds = max(wait_seconds, self._retry_after_seconds(outcome.result()))
        return wait_seconds

    def _retry_after_seconds(self, response: httpx.Response) -> float:
        """Read `Retry-After`: seconds or a date; 0 where there is none that can be read."""
        said = response.headers.get("Retry-After", "")
        if said.isascii() and said.isdigit():
            return float(said)
        try:
            date = parsedate_to_datetime(said)
            return max(timedelta(0), date - self._clock.now()).total_seconds()
        except (TypeError, ValueError):
            return 0.0


def _is_failure(response: httpx.Response) -> bool:
    return response.status_code >= SERVER_ERROR


def _is_passing(response: httpx.Response) -> bool:
    return response.status_code in PASSING


def _is_repeatable(request: httpx.Request) -> bool:
    may_be = request.method in IDEMPOTENT or "Idempotency-Key" in request.headers
    # A body that was streamed is gone.
    return may_be and isinstance(request.stream, httpx.ByteStream)


def _given(outcome: httpx.Response | Exception) -> httpx.Response:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _last(state: RetryCallState) -> httpx.Response:
    """Give what the last attempt gave, error or answer."""
    outcome = state.outcome
    if outcome is None:
        raise LookupError("tenacity gave up before the first attempt")
    return cast("httpx.Response", outcome.result())


def _either(
    one: Callable[[RetryCallState], bool], other: Callable[[RetryCallState], bool]
) -> Callable[[RetryCallState], bool]:
    return lambda state: one(state) or other(state)
