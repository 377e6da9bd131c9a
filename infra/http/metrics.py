"""`GET /metrics`: what the process counts of one service, for whoever collects it.

What is counted, and under which names, is in `infra.telemetry.metrics`.
"""

from collections.abc import Sequence

from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from infra.http.routing import Route
from infra.telemetry.metrics import exposition


def metrics_route(service: str, own: Sequence[Collector] = ()) -> Route:
    """Make the route; it gives Prometheus text, or OpenMetrics where `Accept` asks for it.

    `own` are collectors of this service alone, read at each scrape.
    """

    async def respond(request: Request) -> Response:
        body, content_type = exposition(service, request.headers.get("accept", ""), own)
        return Response(body, headers={"Content-Type": content_type})

    return Route(
        method="GET", path="/metrics", endpoint=respond, operation="http.metrics", quiet=True
    )
