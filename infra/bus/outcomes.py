"""The recorded outcome of each command: what makes a command that comes twice take effect once.

Kept for a day in the bucket `outcomes`. It records answers; it decides nothing.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from contracts import subjects
from contracts.catalog import decode_refusal, encode_refusal
from contracts.errors import Conflict, Refusal
from infra.bus.connection import EXPECTED_LAST_SUBJECT_SEQ, Connection
from infra.bus.streams import COMMAND_WINDOW_SECONDS

STREAM = f"KV_{subjects.OUTCOMES_BUCKET}"
CLOCK_SKEW_SECONDS = 60.0
"""How far the clock of whoever makes an id may be from ours."""
RESTART_SKEW_SECONDS = 5.0
"""The same about the moment of a restart; small, since all of it costs a read for each command."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    result: bytes | None = None
    """JSON of the answer; None where it was refused."""
    refusal: Refusal | None = None

    def to_bytes(self) -> bytes:
        """Write it as it is kept and sent."""
        if self.refusal is not None:
            return json.dumps({"refused": encode_refusal(self.refusal)}).encode()
        return b'{"result":' + (self.result or b"null") + b"}"


_PREFIX = b'{"result":'


def read_outcome(body: bytes) -> Outcome:
    """Read what `Outcome.to_bytes` wrote."""
    if body.startswith(_PREFIX):
        return Outcome(result=body[len(_PREFIX) : -1])
    document: dict[str, Any] = json.loads(body)
    return Outcome(refusal=decode_refusal(document["refused"]))


class Outcomes:
    """The bucket `outcomes`."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; nothing is read yet."""
        self._connection = connection

    @staticmethod
    def _subject(command_id: str) -> str:
        return f"$KV.{subjects.OUTCOMES_BUCKET}.{subjects.token(command_id)}"

    async def get(self, command_id: str) -> Outcome | None:
        """Read how a command ended; None where it has not, or longer than a day ago."""
        raw = await self._connection.last(STREAM, self._subject(command_id))
        return read_outcome(raw.body) if raw is not None and raw.body else None

    async def put(self, command_id: str, body: bytes) -> bytes:
        """Record how a command ended, once and for all; give what is recorded.

        Another process may have dealt with the command while this one stood still: what that one
        recorded is what happened, and what everybody is told.
        """
        subject = self._subject(command_id)
        try:
            await self._connection.publish(subject, body, {EXPECTED_LAST_SUBJECT_SEQ: "0"})
        except Conflict:
            raw = await self._connection.last(STREAM, subject)
            if raw is None:
                raise
            return raw.body
        return body


def may_be_repeated(command_id: str, now: datetime, connected_at: datetime) -> bool:
    """Say whether an earlier copy of this command can have been taken before.

    The stream refuses a copy within its window. An id made within that window (UUIDv7 ids tell when
    they were made) therefore has no earlier copy, and its outcome need not be looked up. A broker
    that was started anew has forgotten what was acknowledged before: ids made before the connection
    came up may be repeated, too.
    """
    try:
        made = UUID(command_id)
    except ValueError:
        return True
    if made.version != 7:  # noqa: PLR2004 - the version that carries a time
        return True
    made_at = (made.int >> 80) / 1000
    if made_at < connected_at.timestamp() + RESTART_SKEW_SECONDS:
        return True
    return not 0 <= now.timestamp() - made_at + CLOCK_SKEW_SECONDS < COMMAND_WINDOW_SECONDS
