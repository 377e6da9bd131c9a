"""What holds for every request, whatever its endpoint: problems, headers, counting, bounds."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import Retryable
from infra.http.app import App
from infra.http.guard import Guard, is_loopback
from infra.http.index import index_route
from infra.http.metrics import metrics_route
from infra.http.routing import Route
from infra.telemetry.metrics import value
from tests.unit.http.conftest import Connect

INDEX = index_route("TracSeq", {"docs": "/docs"})


async def _unwell(_: Request) -> Response:
    raise Retryable("mongodb://ada:secret@db does not answer")


async def test_the_index_says_where_to_go(connect: Connect) -> None:
    """`GET /` links to what there is."""
    async with connect([INDEX]) as client:
        response = await client.get("/")
    assert response.json() == {"name": "TracSeq", "links": {"docs": "/docs"}}


async def test_an_unknown_path_is_a_problem(connect: Connect) -> None:
    """404 comes as problem details that name the path."""
    async with connect([INDEX]) as client:
        response = await client.get("/nowhere")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["key"] == "/nowhere"


async def test_an_unknown_method_is_a_problem_that_says_which_are_known(connect: Connect) -> None:
    """405 comes with `Allow`."""
    async with connect([INDEX]) as client:
        response = await client.delete("/")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert response.json()["code"] == "request.method_not_allowed"


async def test_options_tells_what_a_resource_takes(connect: Connect) -> None:
    """OPTIONS is answered without a body."""
    async with connect([INDEX]) as client:
        response = await client.options("/")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


async def test_head_is_get_without_the_body(connect: Connect) -> None:
    """The head is the same, its length included."""
    async with connect([INDEX]) as client:
        got, head = await client.get("/"), await client.head("/")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Length"] == str(len(got.content))


async def test_every_answer_has_the_headers_of_an_api(connect: Connect) -> None:
    """Nothing is sniffed, stored or framed, also when it is an error."""
    async with connect([INDEX]) as client:
        for response in (await client.get("/"), await client.get("/nowhere")):
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-store"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("given", ["a b", "x" * 129, "", 'a"b'])
async def test_a_correlation_that_is_not_fit_for_logs_is_replaced(
    connect: Connect, given: str
) -> None:
    """The story gets a new name, and the caller learns it."""
    async with connect([INDEX]) as client:
        response = await client.get("/", headers={"X-Correlation-Id": given})
    assert response.headers["X-Correlation-Id"] != given
    assert len(response.headers["X-Correlation-Id"]) == 36


async def test_the_trace_of_the_caller_goes_on(connect: Connect) -> None:
    """A problem names the trace that the caller sent."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    async with connect([INDEX]) as client:
        response = await client.get(
            "/nowhere", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        )
    assert response.json()["trace_id"] == trace


async def test_an_unwell_dependency_is_503_without_its_words(connect: Connect) -> None:
    """The client learns when to come again, and no address or credential."""
    route = Route(method="GET", path="/x", endpoint=_unwell, operation="x")
    async with connect([route]) as client:
        response = await client.get("/x")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "secret" not in response.text


async def test_requests_are_counted_by_operation_and_status() -> None:
    """Unknown paths share one operation, so that a scanner makes no series."""
    app = App("counted", [INDEX])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.get("/")
        await client.get("/a")
        await client.get("/b")
    name = "tracseq_http_requests_total"
    assert value(name, service="counted", operation="http.index", status="200") == 1
    assert value(name, service="counted", operation="http.unbound", status="404") == 2
    duration = "tracseq_http_request_duration_seconds_count"
    assert value(duration, service="counted", operation="http.unbound") == 2


@pytest.mark.parametrize(
    ("accept", "media_type", "end"),
    [("*/*", "text/plain", b""), ("application/openmetrics-text", "application/openm", b"# EOF\n")],
)
async def test_metrics_come_in_the_format_that_is_asked_for(
    connect: Connect, accept: str, media_type: str, end: bytes
) -> None:
    """Prometheus text is the default, OpenMetrics is for who accepts it."""
    async with connect([INDEX, metrics_route("test")]) as client:
        await client.get("/")
        response = await client.get("/metrics", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith(media_type)
    assert b'operation="http.index"' in response.content
    assert response.content.endswith(end)


async def test_more_requests_than_the_bound_are_refused() -> None:
    """The one too many gets 503 at once; the others go on."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def wait(_: Request) -> Response:
        entered.set()
        await release.wait()
        return Response()

    route = Route(method="GET", path="/wait", endpoint=wait, operation="wait")
    app = App("bounded", [route], requests_max=1)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        first = asyncio.create_task(client.get("/wait"))
        await entered.wait()
        second = await client.get("/wait")
        release.set()
        assert (second.status_code, second.headers["Retry-After"]) == (503, "1")
        assert (await first).status_code == 200
        assert (await client.get("/wait")).status_code == 200


def _guarded(guard: Guard) -> httpx.AsyncClient:
    async def done(_: Request) -> Response:
        return Response()

    route = Route(method="POST", path="/x", endpoint=done, operation="x")
    transport = httpx.ASGITransport(app=App("guarded", [route, INDEX], guard=guard))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8089")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:8089", 200),
        ("http://localhost:9999", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
async def test_a_page_of_another_site_may_not_send(origin: str | None, status: int) -> None:
    """A browser names the page's origin; a program sends none."""
    headers = {"Origin": origin} if origin else {}
    async with _guarded(Guard()) as client:
        response = await client.post("/x", headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8089", 200), ("127.0.0.1", 200), ("[::1]:8089", 200), ("evil.example", 403)],
)
async def test_on_loopback_only_its_own_names_are_served(host: str, status: int) -> None:
    """A foreign name that resolves to loopback does not open the laboratory to its page."""
    async with _guarded(Guard.of("127.0.0.1")) as client:
        response = await client.get("/", headers={"Host": host})
    assert response.status_code == status


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - told apart, not bound
        ("::", False),
        ("10.0.0.1", False),
        ("edge", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_what_others_reach(host: str, *, loopback: bool) -> None:
    """Only addresses that no other machine reaches count."""
    assert is_loopback(host) == loopback
