"""The table of the services: name, port and module. Whoever runs or finds services reads it here.

Services are named by string: this module imports none of them. Containers, proxies and monitoring
are checked against this table by a test.
"""

from dataclasses import dataclass

NATS_PORT = 4222
NATS_MONITOR_PORT = 8222
STORE_PORT = 27017

SERVICE_PORT_ZERO = 8080
"""A service on port 8080 + k stands on base + k of a port base."""
NATS_OFFSET = 20
NATS_MONITOR_OFFSET = 21
STORE_OFFSET = 22

NATS = "nats"
NATS_MONITOR = "nats-monitor"
STORE = "store"


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """One service."""

    name: str
    port: int
    """Its port when no base was chosen."""
    module: str
    """`python -m MODULE` runs it; `MODULE.service.build` and `MODULE.settings.Settings` make it."""
    what: str


SERVICES: tuple[ServiceInfo, ...] = (
    ServiceInfo("sample", 8081, "services.sample", "samples, their barcodes and their lives"),
    ServiceInfo("storage", 8082, "services.storage", "freezers, boxes and who rests where"),
    ServiceInfo("template", 8083, "services.template", "manifests, read and validated"),
    ServiceInfo("notification", 8085, "services.notification", "who is told what, and how"),
    ServiceInfo("event", 8087, "services.event", "the timeline of everything, dead letters"),
    ServiceInfo("transaction", 8088, "services.transaction", "sagas: work across services"),
    ServiceInfo("edge", 8089, "services.edge", "HTTP for the world"),
    ServiceInfo("config", 8091, "services.config", "configuration that changes while all runs"),
)

NAMES: tuple[str, ...] = tuple(service.name for service in SERVICES)


def ports(base: int | None = None) -> dict[str, int]:
    """Give the port of the broker, its monitor, the document store and every service, by name.

    Without a base these are the table's own. With one, services lie at base + 1 to base + 11 (the
    edge at base + 9), the broker at base + 20, its monitor at base + 21, the store at base + 22.
    """
    if base is None:
        fixed = {NATS: NATS_PORT, NATS_MONITOR: NATS_MONITOR_PORT, STORE: STORE_PORT}
        return fixed | {service.name: service.port for service in SERVICES}
    offsets = {NATS: NATS_OFFSET, NATS_MONITOR: NATS_MONITOR_OFFSET, STORE: STORE_OFFSET}
    offsets |= {service.name: service.port - SERVICE_PORT_ZERO for service in SERVICES}
    return {name: base + offset for name, offset in offsets.items()}
