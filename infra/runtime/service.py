"""What a service is to the runtime: a name, its handlers, its read models, its loops, its routes.

A service is built by one function from its settings and the platform; nothing registers itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from infra.bus.guard import Handle
from infra.bus.handler import Handler
from infra.bus.streams import Consumer
from infra.http.routing import Route
from infra.lease.leases import Leases
from infra.log.forwarder import Forwarder
from infra.runtime.live import Live
from infra.runtime.platform import Platform
from infra.settings import ServiceSettings
from infra.store.projector import Projector

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)

Task = Callable[[], Awaitable[None]]
"""A loop that runs as long as the service; one that ends or fails is started again."""
Check = Callable[[], Awaitable[None]]
"""Returns where something is well, raises where it is not: part of readiness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service, built and not started."""

    name: str
    settings: ServiceSettings
    platform: Platform
    handlers: Sequence[Handler] = ()
    """Every command and query that it takes: its table of contents."""
    consumers: Sequence[tuple[Consumer, Handle]] = ()
    """Declared consumers beside the one for commands."""
    leases: Leases | None = None
    """Its part in a group of leases, where several processes share its work."""
    leased: Mapping[int, Sequence[tuple[Consumer, Handle]]] = field(
        default_factory=dict[int, Sequence[tuple[Consumer, Handle]]]
    )
    """Consumers that are pulled while a lease is held, by its number."""
    projections: Sequence[Projector[Any]] = ()
    """Its read models, kept from logs or streams."""
    forwarders: Sequence[Forwarder] = ()
    """What tells everyone of its logs."""
    tasks: Mapping[str, Task] = field(default_factory=dict[str, Task])
    routes: Sequence[Route] = ()
    """HTTP beyond the bindings of its contracts."""
    checks: Mapping[str, Check] = field(default_factory=dict[str, Check])
    logs_requests: Callable[[], bool] = lambda: True
    """Asked at each request whether it gets a line in the log."""
    live: Live[Any] | None = None
    """What it can be told while it runs, where that is more than every service can be told."""


Build = Callable[[SettingsT, Platform], Service]
