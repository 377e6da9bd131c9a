"""What is counted of HTTP, and `GET /metrics`, where whoever collects it finds everything.

Under which names it is counted is in `infra.telemetry.metrics`.
"""

from prometheus_client import CollectorRegistry, Gauge
from starlette.requests import Request
from starlette.responses import Response

from infra.http.routing import Route
from infra.telemetry.metrics import Operation, in_registry


class HttpMetrics:
    """The metrics of HTTP in one registry; the services of a process share it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics = in_registry(registry)

    def operation(self, service: str, operation: str) -> Operation:
        """Bind what is measured of one operation; its outcomes are status codes."""
        counted = self._metrics.counter("tracseq_http_requests_total")
        timed = self._metrics.histogram("tracseq_http_request_duration_seconds")
        return Operation(counted, timed, service, operation)

    def in_flight(self, service: str) -> Gauge:
        """Bind the number of requests that a service is answering."""
        return self._metrics.gauge("tracseq_http_requests_in_flight").labels(service)

    def route(self, service: str) -> Route:
        """Make `GET /metrics`: Prometheus text, or OpenMetrics where `Accept` asks for it."""

        async def respond(request: Request) -> Response:
            accept = request.headers.get("accept", "")
            body, content_type = self._metrics.exposition(service, accept)
            return Response(body, headers={"Content-Type": content_type})

        return Route(
            method="GET", path="/metrics", endpoint=respond, operation="http.metrics", quiet=True
        )
