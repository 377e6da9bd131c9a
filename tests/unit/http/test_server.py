"""The server, over real sockets on loopback."""

import asyncio
import signal

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from infra.http.app import App
from infra.http.routing import Route
from infra.http.server import HttpServer, PortTakenError

HOST = "127.0.0.1"


def _app(endpoint_started: asyncio.Event, release: asyncio.Event) -> App:
    async def wait(_: Request) -> Response:
        endpoint_started.set()
        await release.wait()
        return Response("done")

    async def at_once(_: Request) -> Response:
        return Response("hello")

    return App(
        "served",
        [
            Route(method="GET", path="/wait", endpoint=wait, operation="wait"),
            Route(method="GET", path="/", endpoint=at_once, operation="at_once"),
        ],
    )


@pytest.fixture
def app() -> App:
    """Give an application whose requests need no release."""
    return _app(asyncio.Event(), asyncio.Event())


async def test_two_servers_run_in_one_process(app: App) -> None:
    """Each tells the port that it was given."""
    one, two = (HttpServer(app, host=HOST, port=0) for _ in range(2))
    await one.start()
    await two.start()
    async with httpx.AsyncClient() as client:
        answers = [await client.get(server.url) for server in (one, two)]
    await one.stop()
    await two.stop()
    assert [answer.text for answer in answers] == ["hello", "hello"]
    assert one.port != two.port


async def test_a_taken_port_is_told_with_its_remedy(app: App) -> None:
    """The error names the port, and nothing is left behind."""
    first = HttpServer(app, host=HOST, port=0)
    await first.start()
    with pytest.raises(PortTakenError, match=f"port {first.port} on 127.0.0.1 is taken"):
        await HttpServer(app, host=HOST, port=first.port).start()
    await first.stop()


async def test_a_stopped_port_can_be_taken_again_at_once(app: App) -> None:
    """A service that restarts finds its port free."""
    first = HttpServer(app, host=HOST, port=0)
    await first.start()
    async with httpx.AsyncClient() as client:
        await client.get(first.url)
    await first.stop()
    second = HttpServer(app, host=HOST, port=first.port)
    await second.start()
    await second.stop()


async def test_stopping_lets_requests_under_way_end() -> None:
    """New connections are refused while the old request gets its answer."""
    started, release = asyncio.Event(), asyncio.Event()
    app = _app(started, release)
    server = HttpServer(app, host=HOST, port=0, on_stop=release.set)
    await server.start()
    async with httpx.AsyncClient() as client:
        answer = asyncio.create_task(client.get(f"{server.url}/wait"))
        await started.wait()
        await server.stop()
        assert (await answer).text == "done"
        with pytest.raises(httpx.ConnectError):
            await client.get(server.url)


async def test_signals_stay_with_the_process(app: App) -> None:
    """The server replaces no handler: who runs it decides when to stop."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = HttpServer(app, host=HOST, port=0)
    await server.start()
    during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    await server.stop()
    assert during == before


async def test_a_server_that_never_started_can_be_stopped(app: App) -> None:
    """Cleaning up after a failed start needs no care."""
    await HttpServer(app, host=HOST, port=0).stop()


async def test_a_client_that_goes_while_it_waits_takes_nobody_along() -> None:
    """Its request ends by itself, and others are answered meanwhile."""
    started, release = asyncio.Event(), asyncio.Event()
    server = HttpServer(_app(started, release), host=HOST, port=0)
    await server.start()
    async with httpx.AsyncClient() as client:
        waiting = asyncio.create_task(client.get(f"{server.url}/wait"))
        await started.wait()
        waiting.cancel()
        assert (await client.get(server.url)).text == "hello"
        release.set()
        assert (await client.get(server.url)).text == "hello"
    await server.stop()
