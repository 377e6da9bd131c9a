"""The API's own description: the document, and the page for people."""

import re

from infra.http.docs import docs_routes
from tests.unit.http.conftest import Connect

DOCUMENT = {"openapi": "3.1.0", "info": {"title": "TracSeq", "version": "1"}, "paths": {}}


async def test_the_document_is_served_and_known_again(connect: Connect) -> None:
    """Whoever has it already is told so."""
    async with connect(docs_routes(lambda: DOCUMENT)) as client:
        first = await client.get("/openapi.json")
        again = await client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert first.json() == DOCUMENT
    assert (again.status_code, again.content) == (304, b"")


async def test_the_page_needs_nobody_else(connect: Connect) -> None:
    """It loads nothing from elsewhere, and its policy lets only its own script and style run."""
    async with connect(docs_routes(lambda: DOCUMENT)) as client:
        response = await client.get("/docs")
    assert response.headers["Content-Type"].startswith("text/html")
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", response.text)
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; connect-src 'self'; script-src 'sha256-")
    assert "unsafe" not in policy
