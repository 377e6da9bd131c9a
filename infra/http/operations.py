"""Operations: commands that were stored and not answered while their caller waited.

The operation's id is the command's id. Nothing is kept here: outcomes are recorded by whoever
handles commands.
"""

from uuid import UUID

import orjson
from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import NotFound, Refused
from infra.http.asking import Outcomes
from infra.http.problem import refusal_response
from infra.http.routing import API_PREFIX, Route

OPERATION = "http.operation"
RETRY_AFTER_SECONDS = 1
_PATH = f"{API_PREFIX}/operations"


def pending_response(operation_id: str) -> Response:
    """Say that a command is stored and where its outcome will be."""
    body = orjson.dumps({"operation_id": operation_id, "status": "pending"})
    headers = {"Location": f"{_PATH}/{operation_id}", "Retry-After": str(RETRY_AFTER_SECONDS)}
    return Response(body, 202, headers=headers, media_type="application/json")


def operations_route(outcome: Outcomes) -> Route:
    """Make the route that shows an operation: 202 while pending, 200 when done, or its problem.

    An id that never was a command's cannot be told from one whose command still waits: both are
    pending.
    """

    async def respond(request: Request) -> Response:
        operation_id = _operation_id(request.path_params["operation_id"])
        found = await outcome(operation_id)
        if found is None:
            return pending_response(operation_id)
        if found.refusal is not None:
            return refusal_response(found.refusal)
        document = {
            "operation_id": operation_id,
            "status": "done",
            "result": orjson.Fragment(found.result or b"null"),
        }
        return Response(orjson.dumps(document), media_type="application/json")

    return Route(
        method="GET", path=_PATH + "/{operation_id}", endpoint=respond, operation=OPERATION
    )


def _operation_id(given: str) -> str:
    try:
        return str(UUID(given))
    except ValueError:
        raise Refused(NotFound(what="operation", key=given[:64])) from None
