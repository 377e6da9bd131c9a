"""The routes of the circuit breakers."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import NotFound, Refused
from infra.breaker import BreakerRegistry, State, StateChange
from infra.http.breakers import breaker_routes
from infra.http.headers import claimed_operator
from infra.http.routing import Route
from tests.unit.http.conftest import Connect


async def _anyone(_: Request) -> str:
    return "ada"


async def _nobody(_: Request) -> str:
    raise Refused(NotFound(what="permission", key="breakers"))


@pytest.fixture
def registry() -> BreakerRegistry:
    """Give a service with two breakers."""
    registry = BreakerRegistry("sample")
    registry.get("smtp")
    registry.get("index")
    return registry


async def test_every_breaker_is_shown(connect: Connect, registry: BreakerRegistry) -> None:
    """By name, with state, counts and the numbers in force; or one of them."""
    async with connect(breaker_routes(registry, _anyone)) as client:
        shown = (await client.get("/circuit-breaker/metrics")).json()
        one = (await client.get("/circuit-breaker/metrics?name=smtp")).json()

    assert (shown["service"], shown["enabled"]) == ("sample", True)
    assert list(shown["circuit_breakers"]) == ["index", "smtp"]
    assert shown["circuit_breakers"]["smtp"]["state"] == "closed"
    assert shown["circuit_breakers"]["smtp"]["config"]["failure_threshold"] == 5
    assert list(one["circuit_breakers"]) == ["smtp"]


async def test_breakers_are_opened_and_reset(connect: Connect, registry: BreakerRegistry) -> None:
    """One by name, all without it."""
    async with connect(breaker_routes(registry, _anyone)) as client:
        opened = await client.post("/circuit-breaker/force-open?name=smtp")
        assert opened.json() == {"service": "sample", "forced_open": ["smtp"]}
        assert registry.get("smtp").breaker_state is State.FORCED_OPEN
        assert registry.get("index").breaker_state is State.CLOSED
        closed = await client.post("/circuit-breaker/reset")

    assert closed.json() == {"service": "sample", "reset": ["index", "smtp"]}
    assert registry.get("smtp").breaker_state is State.CLOSED


@pytest.mark.parametrize("route", ["metrics", "force-open", "reset"])
async def test_an_unknown_name_is_not_found(
    connect: Connect, registry: BreakerRegistry, route: str
) -> None:
    """With the name, as a problem."""
    async with connect(breaker_routes(registry, _anyone)) as client:
        method = "GET" if route == "metrics" else "POST"
        response = await client.request(method, f"/circuit-breaker/{route}?name=smpt")

    assert response.status_code == 404
    assert "smpt" in response.json()["detail"]


@pytest.mark.parametrize("route", ["force-open", "reset"])
async def test_who_may_not_changes_nothing(
    connect: Connect, registry: BreakerRegistry, route: str
) -> None:
    """Authorisation comes first."""
    registry.get("smtp").open()
    async with connect(breaker_routes(registry, _nobody)) as client:
        response = await client.post(f"/circuit-breaker/{route}?name=smtp")

    assert response.status_code == 404
    assert registry.get("smtp").breaker_state is State.OPEN


async def test_who_did_it_is_told_to_those_who_watch(
    connect: Connect, registry: BreakerRegistry
) -> None:
    """The actor is who the request says that it is; a name that is none changes nothing."""
    changes = list[StateChange]()
    registry.watch(changes.append)
    async with connect(breaker_routes(registry, claimed_operator)) as client:
        ways = [("force-open", "ada"), ("reset", "bob")]
        for route, actor in ways:
            await client.post(f"/circuit-breaker/{route}?name=smtp", headers={"X-Actor": actor})
        await client.post("/circuit-breaker/force-open?name=smtp")
        await client.post("/circuit-breaker/reset?name=smtp", headers={"X-Actor": "a" * 200})

    assert [change.by for change in changes] == ["ada", "bob", "anonymous"]


async def test_an_endpoint_that_is_refused_by_a_breaker_answers_503(
    connect: Connect, registry: BreakerRegistry
) -> None:
    """With the breaker's name and when to come again, whoever the endpoint belongs to."""

    async def fine() -> None:
        return None

    async def lean(_: Request) -> Response:
        await registry.get("index").call(fine)
        return Response("fine")

    route = Route(method="GET", path="/lean", endpoint=lean, operation="test.lean")
    registry.get("index").open()
    async with connect([route]) as client:
        answer = await client.get("/lean")

    assert answer.status_code == 503
    assert 27 <= int(answer.headers["Retry-After"]) <= 30
    assert "circuit breaker index is open" in answer.json()["detail"]
