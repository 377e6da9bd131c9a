"""`GET /`: where to go from here, for whoever knows nothing but the address."""

from collections.abc import Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response

from infra.http.routing import Route


def index_route(name: str, links: Mapping[str, str]) -> Route:
    """Make the route that lists what stands where."""
    body = orjson.dumps({"name": name, "links": dict(links)})

    async def respond(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return Route(method="GET", path="/", endpoint=respond, operation="http.index")
