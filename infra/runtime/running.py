"""One service, running: started in the order in which its parts need each other, then stopped.

Readiness is the sum of what the service needs at the moment; liveness asks nothing. A loop that
fails is logged and started again: it never takes the service along.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import structlog

from contracts import catalog, subjects
from contracts.errors import Retryable
from infra.breaker.collector import BreakerCollector
from infra.bus.consumer import Consumers
from infra.bus.control import Control
from infra.bus.server import Server
from infra.bus.streams import consumer
from infra.http.app import App
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.breakers import breaker_routes
from infra.http.guard import Guard
from infra.http.headers import claimed_operator
from infra.http.health import health_routes
from infra.http.metrics import metrics_route
from infra.http.operations import operations_route
from infra.http.server import HttpServer
from infra.runtime.advising import Adviser
from infra.runtime.announcing import Announcer
from infra.runtime.live import Live
from infra.runtime.service import Check, Service
from infra.runtime.told import Told
from infra.settings import instance_of

log = structlog.get_logger(__name__)

TASK_RESTART_SECONDS = 1.0
CANCELS_MAX = 5
CANCEL_WAIT_SECONDS = 1.0


class BrokerDownError(RuntimeError):
    """NATS cannot be reached."""


class Running:
    """Starts, watches and stops one service."""

    def __init__(self, service: Service, *, http_port: int | None = None) -> None:
        """Put the service's parts together; nothing is started."""
        self.service = service
        platform = service.platform
        self._server = Server(
            platform.connection, service.name, service.handlers, clock=platform.clock
        )
        self._consumers = Consumers(
            platform.common.nats_url,
            service.name,
            platform.connection,
            drain_seconds=platform.common.drain_seconds,
            clock=platform.clock,
        )
        if self._server.has_commands:
            declared = consumer(subjects.commands_consumer(service.name))
            self._consumers.add(declared, self._server.on_command, on_dead=self._server.on_dead)
        for declared, handle in service.consumers:
            self._consumers.add(declared, handle)
        for leased in service.leased.values():
            for declared, handle in leased:
                self._consumers.add(declared, handle, waits=True)
        self._control = Control(platform.connection, service.name, service.projections)
        instance = instance_of(platform.common, service.settings)
        self._announcer = Announcer(
            platform.connection,
            platform.breakers,
            instance=instance,
            clock=platform.clock,
            ids=platform.ids,
        )
        self._adviser = Adviser(
            platform.connection,
            platform.breakers,
            instance=instance,
            clock=platform.clock,
            ids=platform.ids,
        )
        self._live: Live[Any] = service.live or Live.of(platform, service.settings, Told)
        self._tasks: list[asyncio.Task[None]] = []
        self._app = self._make_app()
        self.http = HttpServer(
            self._app,
            host=platform.common.http_host,
            port=service.settings.http_port if http_port is None else http_port,
            on_stop=self._app.stop,
        )

    def _make_app(self) -> App:
        service, bus = self.service, self.service.platform.bus
        asking = Asking(ask=bus.ask, files=bus.files, clock=service.platform.clock)
        own = [
            c
            for c in (*catalog.COMMANDS.values(), *catalog.QUERIES.values())
            if c.contract.owner == service.name
        ]
        everything = [
            *service.routes,
            *routes(own, asking),
            *health_routes(
                name=service.name,
                version=version("tracseq"),
                checks=self._checks(),
                clock=service.platform.clock,
            ),
            metrics_route(service.name, [BreakerCollector(service.platform.breakers)]),
            *breaker_routes(service.platform.breakers, claimed_operator),
        ]
        if own:
            everything.append(operations_route(bus.outcome))
        return App(
            service.name,
            everything,
            guard=Guard.of(service.platform.common.http_host),
            clock=service.platform.clock,
            logs_requests=service.logs_requests,
        )

    def _checks(self) -> dict[str, Check]:
        checks: dict[str, Check] = {"nats": self._check_nats, "consumers": self._check_consumers}
        if self.service.projections:
            checks["store"] = self.service.platform.store.ping
        if self.service.leases is not None:
            checks["leases"] = self.service.leases.check
        return checks | dict(self.service.checks)

    async def _check_nats(self) -> None:
        if not self.service.platform.connection.connected:
            raise BrokerDownError("NATS cannot be reached")

    async def _check_consumers(self) -> None:
        await self._consumers.check(self.service.platform.clock.monotonic())

    async def start(self) -> None:
        """Start everything; returns when commands, queries and requests are taken.

        Raises:
            MissingStream: the provisioner has not run.
            WrongCountError: it was provisioned for another number of partitions.
            PortTakenError: another process listens on the service's port.
        """
        service = self.service
        await self._live.start()
        self._spawn("follow configuration", self._live.client.run)
        for projector in service.projections:
            self._spawn(f"project {projector.name}", projector.run)
        for number, forwarder in enumerate(service.forwarders):
            self._spawn(f"forward {number}", forwarder.run)
        for name, task in service.tasks.items():
            self._spawn(name, task)
        self._spawn("announce breakers", self._announcer.run)
        self._spawn("advise of breakers", self._adviser.run)
        if service.projections:
            await self._control.start()
        await self._server.start()
        await self._consumers.start()
        await self._start_leases()
        await self.http.start()
        log.info("service.started", service=service.name, url=self.http.url)

    async def _start_leases(self) -> None:
        leases = self.service.leases
        if leases is None:
            return
        await leases.start(self._begin, self._end)
        self._spawn(f"leases of {leases.group.name}", leases.run)
        self._spawn(f"listen to leases of {leases.group.name}", leases.listen)

    async def _begin(self, lease: int) -> None:
        for declared, _ in self.service.leased[lease]:
            self._consumers.begin(declared.name)

    async def _end(self, lease: int) -> None:
        leased = self.service.leased[lease]
        await asyncio.gather(*(self._consumers.end(declared.name) for declared, _ in leased))

    async def _stop_leases(self) -> None:
        if self.service.leases is not None:
            await self.service.leases.stop()

    def _spawn(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(
            asyncio.create_task(self._keep_running(name, run), name=f"{self.service.name}: {name}")
        )

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await run()
                log.warning("task.ended", service=self.service.name, task=name)
            except Retryable as error:
                log.info("task.again", service=self.service.name, task=name, error=repr(error))
            except Exception:
                log.exception("task.failed", service=self.service.name, task=name)
            await self.service.platform.clock.sleep(TASK_RESTART_SECONDS)

    async def stop(self) -> None:
        """Take nothing more, finish what is under way within the drain time, then stop.

        Requests end first, while the consumers still answer them; then others may take over what
        this process held. A part that cannot be stopped
        keeps no other from it.
        """
        self._live.stop()
        for part in (
            self.http.stop,
            self._stop_leases,
            self._consumers.stop,
            self._server.stop,
            self._control.stop,
            self._stop_tasks,
            self.service.platform.close,
        ):
            try:
                await part()
            except Exception:
                log.exception("service.stop_failed", service=self.service.name, part=repr(part))
        log.info("service.stopped", service=self.service.name)

    async def _stop_tasks(self) -> None:
        # A library's `asyncio.wait_for` may swallow a cancellation in Python 3.11: ask again.
        for _ in range(CANCELS_MAX):
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                _, self._tasks[:] = await asyncio.wait(self._tasks, timeout=CANCEL_WAIT_SECONDS)
