"""A laboratory of one's own on one machine: broker, document store and services, started in order.

All of it listens on loopback, keeps its data under one folder and ends with this process, however
that ends. What the parts do is none of its business.
"""

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from contracts.subjects import fingerprint
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.clock import SYSTEM
from infra.supervisor import DocumentStore, NatsServer, Program, Supervisor, hold_data
from infra.supervisor.ports import LOOPBACK
from infra.supervisor.service import service_program, until_ready
from services import catalog
from services.cli import keys, running
from services.cli.plan import Plan, choose_ports
from services.cli.running import RunInfo
from services.cli.version import own_version

DRAIN_SECONDS = 6
"""What a service may take to finish; with what follows, everything stops within 15 s."""


class System:
    """One running laboratory; an async context manager that is up inside."""

    def __init__(self, plan: Plan) -> None:
        """Start nothing yet."""
        self.plan = plan
        self._data = plan.data.resolve()
        self._ports: dict[str, int] = {}
        self._stack = AsyncExitStack()
        self._supervisor: Supervisor | None = None
        self._started_at = SYSTEM.now()

    async def __aenter__(self) -> Self:
        """Start everything, in order; what was started is stopped where one part does not come up.

        Raises:
            DataInUseError, PortsTakenError, MissingProgramError, ChildFailedError: why not.
        """
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drain and stop everything, the last started first."""
        await self._stack.aclose()

    async def lost(self) -> Exception:
        """Wait until a part is given up; for ever while all goes well."""
        return await self._need_supervisor().lost()

    def kill(self) -> None:
        """Kill every child at once."""
        if self._supervisor is not None:
            self._supervisor.kill()

    @property
    def info(self) -> RunInfo:
        """Where everything is."""
        names = [service.name for service in self.plan.services]
        urls = {name: f"http://{LOOPBACK}:{self._ports[name]}" for name in names}
        return RunInfo(
            pid=os.getpid(),
            version=own_version(),
            started_at=self._started_at,
            data=self._data,
            profile=self.plan.profile,
            isolated=self.plan.isolated,
            nats_url=f"nats://{LOOPBACK}:{self._ports[catalog.NATS]}",
            nats_monitor_url=f"http://{LOOPBACK}:{self._ports[catalog.NATS_MONITOR]}",
            mongo_url=self._store().url,
            edge_url=urls.get("edge"),
            services=urls,
            children={c.program.name: c.pid for c in self._need_supervisor().children},
        )

    async def _start(self) -> None:
        self._stack.enter_context(hold_data(self._data))
        running.forget(self._data)
        self._ports = self._stack.enter_context(choose_ports(self.plan))
        self._supervisor = Supervisor(on_change=self._write_down)
        await self._stack.enter_async_context(self._supervisor)
        await self._supervisor.start(self._broker_program(), self._store_program())
        info = self.info
        await _provision(info.nats_url)
        environment = self._environment(info)
        if self.plan.isolated:
            await self._supervisor.start(*self._service_programs(environment))
        else:
            # The services' framework: megabytes that a mere supervisor does not need.
            from services.cli.fleet import fleet  # noqa: PLC0415

            await self._stack.enter_async_context(fleet(self.plan.services, environment))
            await until_ready({s.name: self._ports[s.name] for s in self.plan.services})
        self._stack.callback(running.forget, self._data)
        self._write_down()

    def _need_supervisor(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the system is not started")
        return self._supervisor

    def _write_down(self) -> None:
        running.write(self._data, self.info)

    def _broker_program(self) -> Program:
        ports = self._ports
        broker = NatsServer(
            self._data / "nats",
            port=ports[catalog.NATS],
            monitor_port=ports[catalog.NATS_MONITOR],
            profile=self.plan.profile,
        )
        return broker.program(log_file=self._log_file(catalog.NATS))

    def _store(self) -> DocumentStore:
        return DocumentStore(self._data / "store", port=self._ports[catalog.STORE])

    def _store_program(self) -> Program:
        return self._store().program(log_file=self._log_file(catalog.STORE))

    def _service_programs(self, environment: Mapping[str, str]) -> list[Program]:
        return [
            service_program(
                service.name,
                module=service.module,
                port=self._ports[service.name],
                env=environment,
                log_file=self._log_file(service.name),
            )
            for service in self.plan.services
        ]

    def _log_file(self, name: str) -> Path:
        return self._data / "log" / f"{name}.log"

    def _environment(self, info: RunInfo) -> dict[str, str]:
        """What the services are told, in one process or in many."""
        environment = {
            "TRACSEQ_NATS_URL": info.nats_url,
            "TRACSEQ_MONGO_URL": info.mongo_url,
            # There is no authentication yet, so nobody else may reach it, whatever was set outside.
            "TRACSEQ_HTTP_HOST": LOOPBACK,
            "TRACSEQ_PROFILE": self.plan.profile,
            "TRACSEQ_LOG_LEVEL": self.plan.log_level,
            "TRACSEQ_DRAIN_SECONDS": str(DRAIN_SECONDS),
            # One system at a time works on a folder, so whoever ran on it before is dead.
            "TRACSEQ_INSTANCE": fingerprint(str(self._data)),
        }
        environment |= keys.prepare(self._data, (one.name for one in self.plan.services))
        environment |= self.plan.told
        for service in self.plan.services:
            environment[f"TRACSEQ_{service.name.upper()}_HTTP_PORT"] = str(
                self._ports[service.name]
            )
        return environment


async def _provision(nats_url: str) -> None:
    connection = await Connection.connect(nats_url, "provisioner")
    try:
        await provision(connection)
    finally:
        await connection.close()
