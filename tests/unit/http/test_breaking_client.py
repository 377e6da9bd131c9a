"""The HTTP client behind a breaker: what it repeats, what it counts, when it gives up."""

from email.utils import format_datetime

import httpx
import pytest

from infra.breaker import (
    BreakerRegistry,
    CircuitBreakerConfig,
    CircuitBreakerError,
    RequestTimeoutError,
    State,
)
from infra.clock import SYSTEM
from infra.http.breaking_client import BudgetSpentError, HttpClientWithCircuitBreaker
from infra.http.faults import BROKEN_OFF, HANGS, REFUSED, Fault, FaultyTransport

URL = "http://upstream.test/samples"
BAD = Fault(status=503)


def client(
    transport: FaultyTransport, config: CircuitBreakerConfig | None = None
) -> HttpClientWithCircuitBreaker:
    """Make a client of a system that fails as ordered."""
    return HttpClientWithCircuitBreaker("upstream", config, transport=transport)


async def test_an_idempotent_request_is_repeated() -> None:
    """What fails in passing is tried three times at most, body included."""
    transport = FaultyTransport([REFUSED, BAD])

    async with client(transport) as upstream:
        response = await upstream.request("PUT", URL, json={"a": 1})

    assert response.status_code == 200
    assert [request.content for request in transport.requests] == [b'{"a":1}'] * 3


@pytest.mark.parametrize(("fault", "raised"), [(BROKEN_OFF, httpx.ReadError), (BAD, None)])
async def test_the_last_attempt_is_the_answer(fault: Fault, raised: type[Exception] | None) -> None:
    """Whether it is an error or a status."""
    transport = FaultyTransport(otherwise=fault)

    async with client(transport) as upstream:
        if raised is None:
            assert (await upstream.get(URL)).status_code == 503
        else:
            with pytest.raises(raised):
                await upstream.get(URL)

    assert len(transport.requests) == 3


async def test_a_post_is_repeated_only_with_its_key() -> None:
    """Without an Idempotency-Key the first answer stands."""
    transport = FaultyTransport([BAD, BAD])

    async with client(transport) as upstream:
        assert (await upstream.post(URL, content=b"x")).status_code == 503
        assert (await upstream.post(URL, content=b"x", idempotency_key="k")).status_code == 200

    keys = [request.headers.get("Idempotency-Key") for request in transport.requests]
    assert keys == [None, "k", "k"]


async def test_a_server_error_counts_and_is_the_callers() -> None:
    """Five answers of 500 open the breaker; the sixth request is never sent."""
    transport = FaultyTransport(otherwise=Fault(status=500))

    async with client(transport) as upstream:
        for _ in range(5):
            assert (await upstream.get(URL)).status_code == 500
        with pytest.raises(CircuitBreakerError):
            await upstream.get(URL)

    assert upstream.breaker.breaker_state is State.OPEN
    assert len(transport.requests) == 5


async def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    """The breaker's own bound ends each attempt."""
    transport = FaultyTransport(otherwise=HANGS)

    async with client(transport, CircuitBreakerConfig(request_timeout=0.02)) as upstream:
        with pytest.raises(RequestTimeoutError):
            await upstream.get(URL)

    assert len(transport.requests) == 3


async def test_the_budget_bounds_all_attempts_together() -> None:
    """A request is given up when its caller's time is, and that is said."""
    async with client(FaultyTransport(otherwise=HANGS)) as upstream:
        with pytest.raises(BudgetSpentError, match=r"within its 0\.05 s"):
            await upstream.get(URL, budget_seconds=0.05)

    assert upstream.breaker.snapshot().in_flight == 0


@pytest.mark.parametrize("kind", ["seconds", "date"])
async def test_retry_after_is_honoured(kind: str) -> None:
    """A wait that does not fit the budget is not begun: the answer stands."""
    date = format_datetime(SYSTEM.now().replace(year=SYSTEM.now().year + 1), usegmt=True)
    said = {"seconds": "60", "date": date}[kind]
    transport = FaultyTransport([Fault(status=503, headers={"Retry-After": said})])

    async with client(transport) as upstream:
        response = await upstream.get(URL, budget_seconds=5)

    assert response.status_code == 503
    assert len(transport.requests) == 1


async def test_retry_after_is_waited_for() -> None:
    """One second, where the own back-off would be a tenth at most; nonsense is no time."""
    transport = FaultyTransport(
        [
            Fault(status=429, headers={"Retry-After": "1"}),
            Fault(status=429, headers={"Retry-After": "soon"}),
        ]
    )
    began = SYSTEM.monotonic()

    async with client(transport) as upstream:
        assert (await upstream.get(URL)).status_code == 200

    assert SYSTEM.monotonic() - began >= 1
    assert len(transport.requests) == 3


async def test_the_breaker_is_the_registrys() -> None:
    """So that it is seen and told with the others."""
    registry = BreakerRegistry("sample")
    transport = FaultyTransport()

    async with HttpClientWithCircuitBreaker(
        "upstream", registry=registry, transport=transport
    ) as upstream:
        registry.force_open("upstream")
        with pytest.raises(CircuitBreakerError):
            await upstream.get(URL)

    assert transport.requests == []
