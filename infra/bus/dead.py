"""Dead letters: what a consumer could not handle, kept whole with the reason.

They are listed, sent again and dropped. Copied first and terminated after, so nothing is ever lost
between the two. A letter that is sent again gets a new id: the old one has its recorded outcome.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from contracts import envelope as wire
from contracts import subjects
from infra.bus.connection import Connection, Raw, Stored
from infra.ids import new_id

REASON = "tracseq-dead-reason"
CONSUMER = "tracseq-dead-consumer"
STREAM = "tracseq-dead-stream"
SUBJECT = "tracseq-dead-subject"
SEQ = "tracseq-dead-seq"
DELIVERIES = "tracseq-dead-deliveries"
REDRIVE_OF = "tracseq-redrive-of"
_OWN = frozenset({REASON, CONSUMER, STREAM, SUBJECT, SEQ, DELIVERIES})
_BROKER_PREFIXES = ("nats-", "Nats-")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message that could not be handled."""

    seq: int
    """Its sequence among the dead letters: its name for `show`, `replay` and `drop`."""
    at: datetime
    consumer: str
    reason: str
    deliveries: int
    stream: str
    subject: str
    original_seq: int
    type: str | None
    id: str | None
    correlation: str | None
    headers: Mapping[str, str]
    body: bytes

    def text(self) -> str:
        """Show the body: as text where it is, else as base64."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return base64.b64encode(self.body).decode()


class DeadLetters:
    """The stream `DEAD`."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; nothing is read yet."""
        self._connection = connection

    async def bury(
        self,
        *,
        consumer: str,
        stream: str,
        subject: str,
        seq: int,
        deliveries: int,
        reason: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Stored:
        """Keep a message that could not be handled; the same one twice is one letter.

        Raises:
            BrokerUnavailable: it is not kept; do not terminate the message.
        """
        kept = {k: v for k, v in headers.items() if not k.startswith(_BROKER_PREFIXES)}
        kept |= {
            wire.MESSAGE_ID: f"dlq:{stream}:{seq}:{consumer}",
            REASON: reason.encode("ascii", "backslashreplace").decode(),
            CONSUMER: consumer,
            STREAM: stream,
            SUBJECT: subject,
            SEQ: str(seq),
            DELIVERIES: str(deliveries),
        }
        return await self._connection.publish(
            subjects.dead(consumer), body, kept, stream=subjects.DEAD
        )

    async def list(self, *, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """List dead letters, oldest first."""
        letters: list[DeadLetter] = []
        async for raw in self._connection.read(
            subjects.DEAD, subjects.every("dlq"), after=after, batch_max=min(limit, 500)
        ):
            letters.append(_letter(raw))
            if len(letters) == limit:
                break
        return letters

    async def get(self, seq: int) -> DeadLetter | None:
        """Read one dead letter; None where it is gone."""
        raw = await self._connection.by_seq(subjects.DEAD, seq)
        return _letter(raw) if raw is not None else None

    async def replay(self, seq: int, *, message_id: str | None = None) -> Stored | None:
        """Send a dead letter again, under a new id, where it was; it stays here until dropped.

        Twice under the same `message_id` is once. Gives None where there is no such letter. Raises:
            BrokerUnavailable: it was not sent.
        """
        letter = await self.get(seq)
        if letter is None:
            return None
        message_id = message_id or str(new_id())
        headers = {
            k: v
            for k, v in letter.headers.items()
            if k not in _OWN and not k.startswith(_BROKER_PREFIXES)
        }
        headers |= {
            wire.MESSAGE_ID: message_id,
            "ce-id": message_id,
            REDRIVE_OF: letter.id or str(letter.original_seq),
        }
        return await self._connection.publish(letter.subject, letter.body, headers)

    async def drop(self, seq: int) -> bool:
        """Delete a dead letter for good; False where there is none.

        Raises:
            BrokerUnavailable: NATS did not answer.
        """
        return await self._connection.delete(subjects.DEAD, seq)


def _letter(raw: Raw) -> DeadLetter:
    headers = raw.headers
    return DeadLetter(
        seq=raw.seq,
        at=raw.at,
        consumer=headers.get(CONSUMER, ""),
        reason=headers.get(REASON, ""),
        deliveries=int(headers.get(DELIVERIES, "0")),
        stream=headers.get(STREAM, ""),
        subject=headers.get(SUBJECT, ""),
        original_seq=int(headers.get(SEQ, "0")),
        type=headers.get("ce-type"),
        id=headers.get("ce-id"),
        correlation=headers.get(wire.CORRELATION),
        headers=headers,
        body=raw.body,
    )
