"""Refusals as RFC 9457 problem details, and the refusals that only HTTP has.

Nothing here decides to refuse. No stack trace and no exception text ever reaches a client.
"""

from collections.abc import Mapping

from starlette.responses import Response

from contracts.errors import Problem, Refusal
from infra.telemetry.tracing import current_trace_id

MEDIA_TYPE = "application/problem+json"


class UnsupportedMediaType(
    Refusal,
    code="request.media_type",
    status=415,
    says="The content type {given} is not read here. Send {accepted}. Nothing was changed.",
):
    """The request's body is of a kind that is not read here."""

    given: str
    accepted: str


class MethodNotAllowed(
    Refusal,
    code="request.method_not_allowed",
    status=405,
    says="{path} does not take {method}. It takes {allowed}.",
):
    """The resource does not take this method."""

    method: str
    path: str
    allowed: str


class ForeignSite(
    Refusal,
    code="request.foreign_site",
    status=403,
    says="A page of {site} may not send this. Open the laboratory's own address, "
    "or use a client that is no browser.",
):
    """A web page of another site sent the request."""

    site: str


class Busy(
    Refusal,
    code="service.busy",
    status=503,
    says="{what}: {limit} at once are served. Nothing was changed; "
    "try again in {retry_after_seconds} s.",
):
    """More is asked at once than is served."""

    what: str
    limit: int
    retry_after_seconds: int = 1


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Render problem details."""
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def refusal_response(refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
    """Render a refusal; one that says when to come again says so in `Retry-After` too."""
    response = problem_response(refusal.to_problem(current_trace_id()), headers)
    retry_after_seconds = getattr(refusal, "retry_after_seconds", None)
    if retry_after_seconds is not None:
        response.headers["Retry-After"] = str(retry_after_seconds)
    return response
