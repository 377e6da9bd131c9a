"""Under which circumstances a message is handled: who asked, when, because of what."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.types import derive_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaStep:
    """The saga on whose behalf a command was sent."""

    saga_id: UUID
    saga_type: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a handler may know about its message."""

    message_id: str
    """The command's id; a redelivery has the same one."""
    actor: str
    correlation: str
    now: datetime
    """When handling began: the time that decisions see."""
    delivered: int = 1
    """How often the message was handed out, this time included."""
    saga: SagaStep | None = None
    traceparent: str | None = None
    deadline: datetime | None = None

    def derive(self, *parts: object) -> UUID:
        """Name something that this message makes: the same at every delivery of it."""
        try:
            parent = UUID(self.message_id)
        except ValueError:
            parent = UUID(bytes=hashlib.sha256(self.message_id.encode()).digest()[:16])
        return derive_id(parent, *parts)
