"""The edge, put together: contracts that have an HTTP binding, operations, the live stream, docs.

It has no code per endpoint and keeps nothing. Who is allowed what is not decided here yet: until
callers are authenticated it serves this machine alone.
"""

import structlog

from contracts import catalog
from contracts.export.openapi import openapi
from infra.http.asking import Asking
from infra.http.binding import routes
from infra.http.body import Limits
from infra.http.docs import docs_routes
from infra.http.guard import is_loopback
from infra.http.index import index_route
from infra.http.operations import operations_route
from infra.http.sse import BusFeed, stream_route
from infra.runtime import Platform, Service
from infra.runtime.live import Live as LiveOf
from services.edge.settings import Live, Settings

_log = structlog.get_logger(__name__)


def build(settings: Settings, platform: Platform) -> Service:
    """Put the edge together.

    Raises:
        PermissionError: it would serve others than this machine.
    """
    _check_reach(settings, platform.common.http_host)
    live = LiveOf[Live].of(platform, settings, Live)
    asking = Asking(
        ask=platform.bus.ask,
        files=platform.bus.files,
        limits=Limits(upload_bytes_max=settings.upload_bytes_max),
        answer_seconds=lambda: live.current.request_timeout_seconds,
        clock=platform.clock,
    )
    return Service(
        name="edge",
        settings=settings,
        platform=platform,
        routes=(
            index_route("TracSeq", INDEX),
            *routes((*catalog.COMMANDS.values(), *catalog.QUERIES.values()), asking),
            operations_route(platform.bus.outcome),
            stream_route(BusFeed(platform.bus), clock=platform.clock),
            *docs_routes(openapi),
        ),
        logs_requests=lambda: live.current.enable_request_logging,
        live=live,
    )


INDEX = {
    "submissions": "/api/v1/submissions",
    "samples": "/api/v1/samples",
    "transactions": "/api/v1/transactions",
    "storage": "/api/v1/storage/capacity",
    "notifications": "/api/v1/notifications",
    "events": "/api/v1/events",
    "live": "/api/v1/events/stream",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/health/ready",
    "metrics": "/metrics",
}
"""What `GET /` links to."""


def _check_reach(settings: Settings, host: str) -> None:
    if is_loopback(host):
        _log.info("edge.loopback_only", host=host, why="callers are not authenticated yet")
    elif settings.trust_network:
        _log.warning("edge.network_trusted", host=host, why="callers are not authenticated yet")
    else:
        raise PermissionError(
            f"the edge does not authenticate callers yet, and {host} is open to others than this "
            "machine: set TRACSEQ_HTTP_HOST=127.0.0.1, or TRACSEQ_EDGE_TRUST_NETWORK=true where "
            "everyone who can reach it may do everything"
        )
