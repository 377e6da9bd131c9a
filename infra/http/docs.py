"""The API, told by itself: `GET /openapi.json`, and `GET /docs` for people.

The page holds everything it needs and asks nobody else; what it shows is read from the document.
What the document says is made elsewhere, from the contracts.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from infra.http.routing import Route


def docs_routes(document: Callable[[], Mapping[str, Any]]) -> list[Route]:
    """Make `GET /openapi.json` and `GET /docs`; the document is made at the first request."""

    @cache
    def body() -> bytes:
        return orjson.dumps(document())

    async def openapi(request: Request) -> Response:
        etag = f'"{hashlib.sha256(body()).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(body(), headers=headers, media_type="application/json")

    page, policy = _page()

    async def docs(_: Request) -> Response:
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
        return Response(page, headers=headers, media_type="text/html")

    return [
        Route(method="GET", path="/openapi.json", endpoint=openapi, operation="http.openapi"),
        Route(method="GET", path="/docs", endpoint=docs, operation="http.docs"),
    ]


@cache
def _page() -> tuple[str, str]:
    """Give the page, and the policy that lets exactly its own script and style run."""
    page = files("infra.http").joinpath("docs.html").read_text(encoding="utf-8")
    script = _hash(page, "script")
    style = _hash(page, "style")
    policy = (
        f"default-src 'none'; connect-src 'self'; script-src {script}; style-src {style}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, policy


def _hash(page: str, element: str) -> str:
    found = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    if found is None:
        raise ValueError(f"docs.html has no <{element}>")
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"
