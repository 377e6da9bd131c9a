"""Metrics: every family that the project exports, in one table, and helpers that are cheap to call.

One registry per process; where several services share a process, each one's `/metrics` shows its
own series and those of the process. Labels are bound once, where a handler is set up: finding a
child by its labels costs more than counting. Nothing here is kept or sent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Literal, TypeVar

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
from prometheus_client.registry import Collector

from infra.telemetry.tracing import current_exemplar

MetricT = TypeVar("MetricT", Counter, Gauge, Histogram)

BUCKETS_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family, as a person looking for it wants it described."""

    name: str
    """As it is exposed, unit and `_total` included."""
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    unit: Literal["", "seconds"] = ""
    owner: str = ""
    """The one service that exports it, where `service` is no label."""


FAMILIES = (
    Family(
        "tracseq_config_version",
        "gauge",
        ("service",),
        "Release of its configuration that a program runs; 0 is its own defaults.",
    ),
    Family(
        "tracseq_config_refused_total",
        "counter",
        ("service",),
        "Releases that a program could not take; the one before stayed in force.",
    ),
    Family(
        "tracseq_config_source",
        "gauge",
        ("service", "source"),
        "Where its configuration came from: 1 for bus, http, file or defaults, 0 for the others.",
    ),
    Family(
        "tracseq_config_seen_unix_time",
        "gauge",
        ("service",),
        "When its configuration was last known to be the newest, as Unix time; 0 for never.",
    ),
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
        owner="transaction",
    ),
    Family(
        "tracseq_saga_audit_drift",
        "gauge",
        ("kind",),
        "Documents of the list that were not what their logs say, in this cycle and the last.",
        owner="transaction",
    ),
    Family(
        "tracseq_saga_timers_swept_total",
        "counter",
        ("service",),
        "Timers that did not fire and were found by the sweeper.",
    ),
    Family(
        "tracseq_leases_held",
        "gauge",
        ("service",),
        "Partitions that this process owns.",
    ),
    Family(
        "tracseq_leases_lost_total",
        "counter",
        ("service",),
        "Partitions that another process took from this one.",
    ),
    Family(
        "tracseq_lease_conflicts_total",
        "counter",
        ("service",),
        "Leases that another process wrote at the same time.",
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
disable_created_metrics()  # type: ignore[no-untyped-call] # the library does not say None

REGISTRY = CollectorRegistry(auto_describe=True)
"""What this process counts; every service in it shares it."""


def _make(family: Family) -> Counter | Gauge | Histogram:
    name, text, labels = family.name, family.help, family.labels
    if family.kind == "counter":
        return Counter(name, text, labels, registry=REGISTRY)
    if family.kind == "gauge":
        return Gauge(name, text, labels, registry=REGISTRY)
    return Histogram(
        name, text, labels, unit=family.unit, buckets=BUCKETS_SECONDS, registry=REGISTRY
    )


def _version() -> str:
    try:
        return version("tracseq")
    except PackageNotFoundError:
        return "source"


_MADE = {family.name: _make(family) for family in FAMILIES}
_OWNERS = {family.name.removesuffix("_total"): family.owner for family in FAMILIES if family.owner}

Info("tracseq_build", "What is running.", registry=REGISTRY).info(
    {"version": _version(), "python": python_version()}
)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def counter(name: str, **labels: str) -> Counter:
    """Bind a counter of the table to its labels; call it once, then `.inc()` often.

    Raises:
        LookupError: the table has no such counter.
        ValueError: these are not its labels.
    """
    return _family(Counter, name).labels(**labels)


def gauge(name: str, **labels: str) -> Gauge:
    """Bind a gauge of the table to its labels; call it once, then `.set(value)` often.

    Raises:
        LookupError: the table has no such gauge.
        ValueError: these are not its labels.
    """
    return _family(Gauge, name).labels(**labels)


class Operation:
    """One operation of one service: how often, with which outcome, how long.

    Outcomes (or HTTP statuses) must be few: each one is a series for as long as the process lives.
    """

    __slots__ = ("_by_outcome", "_children", "_durations", "_label", "_labels")

    def __init__(self, counted: str, timed: str, label: str, labels: dict[str, str]) -> None:
        self._by_outcome = _family(Counter, counted)
        self._durations = _family(Histogram, timed).labels(**labels)
        self._label = label
        self._labels = labels
        self._children: dict[str, Counter] = {}

    def record(self, outcome: str, seconds: float) -> None:
        """Count one more that ended so, after that long; linked to its trace if it is recorded."""
        child = self._children.get(outcome)
        if child is None:
            labels = {**self._labels, self._label: outcome}
            child = self._children[outcome] = self._by_outcome.labels(**labels)
        child.inc()
        self._durations.observe(seconds, current_exemplar())


def message_operation(service: str, operation: str) -> Operation:
    """Bind what is measured of handling one type of message; outcomes are a few words."""
    labels = {"service": service, "operation": operation}
    return Operation(
        "tracseq_messages_total", "tracseq_message_duration_seconds", "outcome", labels
    )


def http_operation(service: str, operation: str) -> Operation:
    """Bind what is measured of one HTTP operation; the outcome is the status code."""
    labels = {"service": service, "operation": operation}
    return Operation(
        "tracseq_http_requests_total", "tracseq_http_request_duration_seconds", "status", labels
    )


def value(name: str, **labels: str) -> float:
    """Read one sample of the registry, 0 where nobody wrote it yet; slow: for checks and people."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def exposition(service: str, accept: str = "", own: Iterable[Collector] = ()) -> tuple[bytes, str]:
    """Write what a service shows at `/metrics`: its own series and those of its process.

    Args:
        service: whose series are wanted, since the services of one process share the registry.
        accept: the request's `Accept`; OpenMetrics, with exemplars, only where it is asked for.
        own: what counts for this service alone, and is in no registry.

    Returns:
        The body, and its content type.
    """
    encode, content_type = choose_encoder(accept)
    return encode(_View(service, own)), content_type


class _View(Collector):
    """The part of the registry that one service shows."""

    def __init__(self, service: str, own: Iterable[Collector]) -> None:
        self._service = service
        self._own = own

    def collect(self) -> Iterator[Metric]:
        """Give the families, without the series of other services."""
        for metric in REGISTRY.collect():
            owner = _OWNERS.get(metric.name, self._service)
            metric.samples = [
                sample
                for sample in metric.samples
                if sample.labels.get("service", owner) == self._service
            ]
            if metric.samples:
                yield metric
        for collector in self._own:
            yield from collector.collect()


def _family(kind: type[MetricT], name: str) -> MetricT:
    found = _MADE.get(name)
    if not isinstance(found, kind):
        raise LookupError(  # noqa: TRY004 - what is wrong is the name
            f"no {kind.__name__.lower()} is named {name!r}: add it to FAMILIES"
        )
    return found
