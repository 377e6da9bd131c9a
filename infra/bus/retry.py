"""What becomes of a message whose handling failed: again after a while, or a dead letter. Pure."""

from dataclasses import dataclass

from pydantic import ValidationError

from contracts.catalog import UnknownTypeError
from contracts.envelope import EnvelopeError
from contracts.errors import Refused, Retryable
from contracts.versions import UnknownVersionError

UNWELL_ATTEMPTS_MAX = 450
"""Deliveries while the world is unwell: with these waits about 15 minutes."""
BUG_ATTEMPTS_MAX = 4
WAIT_FIRST_SECONDS = 0.1
WAIT_MAX_SECONDS = 2.0
"""Work goes on within 3 s after whatever it waits for is back, however long that was away."""

POISON = (EnvelopeError, ValidationError, UnknownTypeError, UnknownVersionError)
"""Nothing will make these readable: never retried."""


@dataclass(frozen=True, slots=True)
class Again:
    """Hand it out once more."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class Dead:
    """Give up, and keep it for a person."""

    reason: str


def after_failure(error: BaseException, delivered: int) -> Again | Dead:
    """Decide on a message that was handed out `delivered` times, this time included."""
    if isinstance(error, POISON):
        return Dead(f"unreadable: {_short(error)}")
    if isinstance(error, Refused):
        return Dead(f"refused where nobody waits for an answer: {_short(error)}")
    attempts_max = UNWELL_ATTEMPTS_MAX if isinstance(error, Retryable) else BUG_ATTEMPTS_MAX
    if delivered >= attempts_max:
        return Dead(f"failed {delivered} times: {_short(error)}")
    return Again(min(WAIT_FIRST_SECONDS * 2 ** (delivered - 1), WAIT_MAX_SECONDS))


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500].replace("\n", " ")
