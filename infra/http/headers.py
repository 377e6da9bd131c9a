"""What a caller says in headers: how long to wait, which key, who, within which story.

A preference that cannot be read is ignored, as RFC 7240 wants it; a key or an actor that cannot be
is refused, since guessing there would be harmful.
"""

import re
from dataclasses import dataclass
from uuid import UUID, uuid5

from starlette.requests import Request

from contracts.errors import FieldError, InvalidInput, Refused
from contracts.message import Contract
from infra.http.invalid import shorten
from infra.ids import new_id

WAIT_SECONDS_DEFAULT = 10.0
WAIT_SECONDS_MAX = 60.0
NAME_CHARS_MAX = 128
"""Of an idempotency key, an actor, a correlation id."""

ANONYMOUS = "anonymous"
CORRELATION = "X-Correlation-Id"

_IDEMPOTENCY = UUID("6b1f6b0e-6a39-5d5c-9c0b-3f3d2f5f7a10")
"""The namespace of message ids that are made from idempotency keys."""
_CORRELATION_FORM = re.compile(rf"[A-Za-z0-9._:\-]{{1,{NAME_CHARS_MAX}}}")
_PREFERENCE = re.compile(r'\s*([a-z\-]+)\s*(?:=\s*"?([^"\s;]*)"?)?\s*(?:;.*)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Preference:
    """How long the caller wants to wait for a command's end (RFC 7240)."""

    wait_seconds: float
    """0..60."""
    applied: str | None
    """What to answer in `Preference-Applied`; None where the caller said nothing."""


UNSAID = Preference(WAIT_SECONDS_DEFAULT, None)


def preference(request: Request) -> Preference:
    """Read `Prefer`: `wait=N` up to 60 s; `respond-async` alone means no wait."""
    header = request.headers.get("prefer")
    if header is None:
        return UNSAID
    asynchronous = False
    for part in header.split(","):
        found = _PREFERENCE.fullmatch(part)
        name = found[1].lower() if found else ""
        if found and name == "wait" and (found[2] or "").isdecimal():
            # Ten digits are more than any wait: the bound keeps int() and the float small.
            wait_seconds = min(float(int(found[2][:10])), WAIT_SECONDS_MAX)
            return Preference(wait_seconds, f"wait={wait_seconds:.0f}")
        asynchronous = asynchronous or name == "respond-async"
    return Preference(0.0, "respond-async") if asynchronous else UNSAID


def message_id(request: Request, contract: Contract, actor: str) -> str | None:
    """Make the message id from `Idempotency-Key`; None where there is none.

    The same key by the same actor on the same command is the same message; on another command it
    is another.

    Raises:
        Refused: the key is no 1 to 128 printable characters.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    _check_name("Idempotency-Key", key)
    return str(uuid5(_IDEMPOTENCY, f"{contract.type}\x1f{actor}\x1f{key}"))


async def claimed_actor(contract: Contract, request: Request) -> str:  # noqa: ARG001 - the seam's shape
    """Let everyone pass, as whom `X-Actor` says: for loopback, until there is authentication.

    Raises:
        Refused: the name is no 1 to 128 printable characters.
    """
    return await claimed_operator(request)


async def claimed_operator(request: Request) -> str:
    """As `claimed_actor`, for what stands on a service's port and in no contract.

    Raises:
        Refused: as above.
    """
    actor = request.headers.get("x-actor")
    if actor is None:
        return ANONYMOUS
    _check_name("X-Actor", actor)
    return actor


def correlation(request: Request) -> str:
    """Give the caller's `X-Correlation-Id`; a new id where it has none fit for headers and logs."""
    given = request.headers.get(CORRELATION)
    return given if given is not None and _CORRELATION_FORM.fullmatch(given) else str(new_id())


def _check_name(header: str, value: str) -> None:
    if 1 <= len(value) <= NAME_CHARS_MAX and value.isprintable():
        return
    error = FieldError(
        field=header,
        value=shorten(value),
        problem="is no name of 1 to 128 printable characters",
        remedy="Send a shorter one, such as a UUID, or leave the header out.",
    )
    raise Refused(InvalidInput(count=1, errors=[error]))
