"""What `tracseq up` shall start, and on which ports. It starts nothing."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from infra.supervisor.ports import hold_free_base, require_free
from services import catalog
from services.catalog import SERVICES, ServiceInfo

Profile = Literal["dev", "safe"]
LogLevel = Literal["debug", "info", "warning", "error"]

ANY_BASE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to start, and where."""

    data: Path
    port_base: int | None = None
    """None: the ports of the catalog. 0: any base whose ports are free."""
    isolated: bool = False
    profile: Profile = "safe"
    told: Mapping[str, str] = field(default_factory=dict[str, str])
    """What the services are told besides, as environment variables."""
    log_level: LogLevel = "info"
    only: frozenset[str] = frozenset()
    """Names of services; empty for all."""

    @property
    def services(self) -> list[ServiceInfo]:
        """The services to start, in the order of the catalog."""
        return [service for service in SERVICES if not self.only or service.name in self.only]


@contextmanager
def choose_ports(plan: Plan) -> Generator[dict[str, int]]:
    """Give the port of every part that the plan needs, by name, while the system runs.

    Raises:
        PortsTakenError: one is held by another program.
    """
    wanted = {catalog.NATS, catalog.NATS_MONITOR, catalog.STORE} | {s.name for s in plan.services}
    offsets = catalog.ports(0).values()
    any_base = plan.port_base == ANY_BASE
    with hold_free_base(offsets) if any_base else nullcontext(plan.port_base) as base:
        ports = {name: port for name, port in catalog.ports(base).items() if name in wanted}
        require_free(ports)
        yield ports
