"""Versions as entity tags: `ETag` of an answer, `If-Match` and `If-None-Match` of a request.

A tag is a version in quotes and nothing else; weak ones are taken as strong ones, since a proxy
that compresses weakens them. What cannot be read is refused: a condition that is dropped in silence
is a change that somebody did not want.
"""

import re
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from contracts.errors import FieldError, InvalidInput, Refused
from contracts.message import Http
from infra.http.body import Draft
from infra.http.invalid import shorten

IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
ANY = "*"

_TAG = re.compile(r'(?:W/)?"(0|[1-9][0-9]{0,17})"')


def take_versions(request: Request, http: Http, draft: Draft) -> None:
    """Put the version that the caller saw into the field that the binding names for it.

    `If-Match: *` takes any version, so it says nothing.

    Raises:
        Refused: the header is no version, or is not meant for this.
    """
    if http.if_match is not None:
        _add(draft, http.if_match, _version(request, IF_MATCH))
        if IF_NONE_MATCH in request.headers:
            remedy = f'Send `{IF_MATCH}: "0"` where there must be nothing yet.'
            raise _refused(request, IF_NONE_MATCH, "is not taken here", remedy)
    if http.known is not None:
        _add(draft, http.known, _version(request, IF_NONE_MATCH))


def tag_of(http: Http, result: object) -> str | None:
    """Give the `ETag` of an answer; None where it has no version."""
    version = getattr(result, http.etag, None) if http.etag is not None else None
    return None if version is None else f'"{version}"'


def is_known(request: Request, http: Http, query: object, result: object) -> bool:
    """Say whether the caller has this answer already."""
    tag = tag_of(http, result)
    if http.known is None or tag is None:
        return False
    known = getattr(query, http.known)
    return tag == f'"{known}"' or (known is None and _given(request, IF_NONE_MATCH) == ANY)


def not_modified(tag: str | None) -> Response:
    """Say that the caller has the answer already."""
    headers = {} if tag is None else {"ETag": tag}
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)


def _add(draft: Draft, name: str, version: str | None) -> None:
    if version is not None:
        draft.add(name, int(version), where="header")


def _version(request: Request, header: str) -> str | None:
    given = _given(request, header)
    if given is None or given == ANY:
        return None
    found = _TAG.fullmatch(given)
    if found is None:
        remedy = 'Send one version in quotes, such as "7": the `ETag` of an answer. `*` is any.'
        raise _refused(request, header, "is no version", remedy)
    return found[1]


def _given(request: Request, header: str) -> str | None:
    """Give a header that may come in several lines, which are one list."""
    lines = request.headers.getlist(header)
    return ", ".join(lines).strip() if lines else None


def _refused(request: Request, header: str, problem: str, remedy: str) -> Refused:
    error = FieldError(
        field=header,
        value=shorten(_given(request, header) or ""),
        problem=problem,
        remedy=remedy,
    )
    return Refused(InvalidInput(count=1, errors=[error]))
