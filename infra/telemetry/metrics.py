"""Metrics: every family that the project exports, in one table, and helpers that are cheap to call.

One registry per process; where several services share a process, each one's `/metrics` shows its own
series and those of the process. Labels are bound once, where a handler is set up: finding a child by
its labels costs more than counting. Nothing here is kept or sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from infra.telemetry.tracing import current_exemplar

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family, as a person looking for it wants it described."""

    name: str
    """As it is exposed, unit and `_total` included."""
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    unit: Literal["", "seconds"] = ""


FAMILIES = (
    Family(
        "tracseq_messages_total",
        "counter",
        ("service", "operation", "outcome"),
        "Messages handled, by what became of them.",
    ),
    Family(
        "tracseq_message_duration_seconds",
        "histogram",
        ("service", "operation"),
        "How long handling a message took.",
        "seconds",
    ),
    Family(
        "tracseq_http_requests_total",
        "counter",
        ("service", "operation", "status"),
        "HTTP requests answered, by status code.",
    ),
    Family(
        "tracseq_http_request_duration_seconds",
        "histogram",
        ("service", "operation"),
        "How long answering an HTTP request took.",
        "seconds",
    ),
    Family(
        "tracseq_dead_letters_total",
        "counter",
        ("service", "consumer"),
        "Messages that a consumer gave up on.",
    ),
    Family(
        "tracseq_consumer_pending",
        "gauge",
        ("service", "consumer"),
        "Messages that wait for a consumer.",
    ),
    Family(
        "tracseq_projector_lag",
        "gauge",
        ("service", "read_model"),
        "Log entries that a read model does not show yet.",
    ),
    Family(
        "tracseq_projector_documents_total",
        "counter",
        ("service", "read_model"),
        "Documents that a projector wrote.",
    ),
    Family(
        "tracseq_forwarder_lag",
        "gauge",
        ("service",),
        "Log entries whose public events are not announced yet.",
    ),
    Family(
        "tracseq_sagas_ended_total",
        "counter",
        ("saga_type", "status"),
        "Sagas that came to their end, by how.",
    ),
    Family(
        "tracseq_log_appends_total",
        "counter",
        ("service",),
        "Entries appended to logs.",
    ),
    Family(
        "tracseq_log_conflicts_total",
        "counter",
        ("service",),
        "Appends that another writer was ahead of; each was decided again.",
    ),
)

# Series that say when a series began: twice the size of an answer, for what nobody here asks.
disable_created_metrics()

REGISTRY = CollectorRegistry(auto_describe=True)


def _make(family: Family) -> Counter | Gauge | Histogram:
    if family.kind == "counter":
        return Counter(family.name, family.help, family.labels, registry=REGISTRY)
    if family.kind == "gauge":
        return Gauge(family.name, family.help, family.labels, registry=REGISTRY)
    return Histogram(
        family.name,
        family.help,
        family.labels,
        unit=family.unit,
        buckets=BUCKETS_SECONDS,
        registry=REGISTRY,
    )


def _version() -> str:
    try:
        return version("tracseq")
    except PackageNotFoundError:
        return "source"


_FAMILIES = {family.name: _make(family) for family in FAMILIES}

Info("tracseq_build", "What is running.", registry=REGISTRY).info(
    {"version": _version(), "python": python_version()}
)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def counter(name: str, **labels: str) -> Counter:
    """Bind a counter of the table to its labels; call it once, then `.inc()`.

    Raises:
        LookupError: the table has no such counter.
        ValueError: these are not its labels.
    """
    found = _FAMILIES.get(name)
    if not isinstance(found, Counter):
        raise LookupError(f"no counter is named {name!r}: add it to FAMILIES")
    return found.labels(**labels)


def gauge(name: str, **labels: str) -> Gauge:
    """Bind a gauge of the table to its labels; call it once, then `.set(value)`.

    Raises:
        LookupError: the table has no such gauge.
        ValueError: these are not its labels.
    """
    found = _FAMILIES.get(name)
    if not isinstance(found, Gauge):
        raise LookupError(f"no gauge is named {name!r}: add it to FAMILIES")
    return found.labels(**labels)


def histogram(name: str, **labels: str) -> Histogram:
    """Bind a histogram of the table to its labels; call it once, then `.observe(seconds)`.

    Raises:
        LookupError: the table has no such histogram.
        ValueError: these are not its labels.
    """
    found = _FAMILIES.get(name)
    if not isinstance(found, Histogram):
        raise LookupError(f"no histogram is named {name!r}: add it to FAMILIES")
    return found.labels(**labels)
