"""Rate, errors and duration of every operation, and their exposition at `/metrics`.

One set of metrics per registry, shared by the services of a process: the label `service` tells them
apart. Labels are bounded: an operation is a contract's type or one of a few fixed names, never a path.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from infra.http.routing import Route
from infra.telemetry.tracing import current_exemplar

_BUCKETS_SECONDS = (
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


class HttpMetrics:
    """The metrics of HTTP in one registry; make one per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._requests = Counter(
            "tracseq_http_requests",
            "Requests answered, by operation and status",
            ("service", "operation", "status"),
            registry=registry,
        )
        self._durations = Histogram(
            "tracseq_http_request_duration_seconds",
            "From the request's head to the response's head",
            ("service", "operation"),
            buckets=_BUCKETS_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "tracseq_http_requests_in_flight",
            "Requests being answered",
            ("service",),
            registry=registry,
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def in_flight(self, service: str) -> Gauge:
        """Give the gauge of requests that a service is answering."""
        return self._in_flight.labels(service)

    def record(self, service: str, operation: str, status: int, duration_seconds: float) -> None:
        """Count one answered request; a sampled trace becomes its exemplar."""
        key = (service, operation, status)
        children = self._children.get(key)
        if children is None:
            requests = self._requests.labels(service, operation, str(status))
            children = self._children[key] = (requests, self._durations.labels(service, operation))
        requests, durations = children
        requests.inc()
        context = trace.get_current_span().get_span_context()
        if context.trace_flags.sampled:
            durations.observe(
                duration_seconds, {"trace_id": trace.format_trace_id(context.trace_id)}
            )
        else:
            durations.observe(duration_seconds)

    def route(self) -> Route:
        """Make `GET /metrics`: Prometheus text, or OpenMetrics where `Accept` asks for it."""

        async def respond(request: Request) -> Response:
            encoder, content_type = choose_encoder(request.headers.get("accept", ""))
            return Response(encoder(self.registry), headers={"Content-Type": content_type})

        return Route(
            method="GET", path="/metrics", endpoint=respond, operation="http.metrics", quiet=True
        )
