"""Breakers as Prometheus metrics, read when somebody collects: a call counts in plain ints only."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.breaker.core import State
from infra.breaker.registry import BreakerRegistry
from infra.breaker.snapshot import BreakerSnapshot
from infra.telemetry.metrics import Family

_LABELS = ("service", "breaker")

STATE = Family(
    "tracseq_circuit_breaker_state",
    "gauge",
    (*_LABELS, "state"),
    "Whether a circuit breaker is in a state: 1 for the one it is in, 0 for the others.",
)
CALLS = Family(
    "tracseq_circuit_breaker_calls_total",
    "counter",
    (*_LABELS, "outcome"),
    "Calls through a circuit breaker, by how they ended.",
)
REJECTED = Family(
    "tracseq_circuit_breaker_rejected_total",
    "counter",
    (*_LABELS, "reason"),
    "Calls that a circuit breaker refused, by why.",
)
IN_FLIGHT = Family(
    "tracseq_circuit_breaker_in_flight",
    "gauge",
    _LABELS,
    "Calls under way through a circuit breaker.",
)
LIMIT = Family(
    "tracseq_circuit_breaker_in_flight_limit",
    "gauge",
    _LABELS,
    "Calls that a circuit breaker lets be under way at once.",
)
TIMED_OUT = Family(
    "tracseq_circuit_breaker_timed_out_total",
    "counter",
    _LABELS,
    "Calls that a circuit breaker ended for taking too long; among the failures.",
)
SLOW = Family(
    "tracseq_circuit_breaker_slow_total",
    "counter",
    _LABELS,
    "Calls that were slow by the breaker's own measure, however they ended.",
)
CHANGES = Family(
    "tracseq_circuit_breaker_changes_total",
    "counter",
    _LABELS,
    "Changes of a circuit breaker's state.",
)
UNTOLD = Family(
    "tracseq_circuit_breaker_changes_untold_total",
    "counter",
    ("service",),
    "Changes of circuit breakers that could not be announced in time.",
)
FAMILIES = (STATE, CALLS, REJECTED, IN_FLIGHT, LIMIT, TIMED_OUT, SLOW, CHANGES, UNTOLD)

_Samples = Iterator[tuple[Family, tuple[str, ...], float]]


class BreakerCollector(Collector):
    """What the breakers of one service show; register it once where the service is built."""

    def __init__(self, breakers: BreakerRegistry) -> None:
        """Read from these breakers."""
        self._breakers = breakers

    def describe(self) -> list[Metric]:
        """Name the families, so that a second collector of them is found at once."""
        return [_metric(family) for family in FAMILIES]

    def collect(self) -> Iterator[Metric]:
        """Give every family with a series for each breaker."""
        metrics = {family.name: _metric(family) for family in FAMILIES}
        service = self._breakers.service
        for snapshot in self._breakers.snapshot():
            for family, labels, value in _samples(snapshot):
                metrics[family.name].add_metric((service, snapshot.name, *labels), value)
        metrics[UNTOLD.name].add_metric((service,), self._breakers.untold)
        yield from metrics.values()


def _metric(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels)


def _samples(snapshot: BreakerSnapshot) -> _Samples:
    for state in State:
        yield STATE, (state.value,), float(snapshot.state is state)
    for outcome in ("succeeded", "failed", "neutral"):
        yield CALLS, (outcome,), getattr(snapshot, outcome)
    for reason, count in snapshot.rejected.items():
        yield REJECTED, (reason,), count
    yield IN_FLIGHT, (), snapshot.in_flight
    yield LIMIT, (), snapshot.config.max_concurrent_requests
    yield TIMED_OUT, (), snapshot.timed_out
    yield SLOW, (), snapshot.slow
    yield CHANGES, (), snapshot.changes
