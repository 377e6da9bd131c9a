"""Under which circumstances a message is handled: who asked, when, because of what."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
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
    repeated: bool = False
    """Whether another copy of it may have been dealt with before: sent, or handed out, again."""
    saga: SagaStep | None = None
    traceparent: str | None = None
    deadline: datetime | None = None

    @property
    def again(self) -> bool:
        """Whether the log must be asked first if the message is in it already."""
        return self.repeated or self.delivered > 1

    def part(self, name: object) -> Self:
        """Name a part of the work, where a message decides on the same aggregate more than once.

        An entry's cause is what tells that a decision was made: without a name of its own, the
        second part would be taken for the first.
        """
        return replace(self, message_id=f"{self.message_id}:{name}")

    def derive(self, *parts: object) -> UUID:
        """Name something that this message makes: the same at every delivery of it."""
        try:
            parent = UUID(self.message_id)
        except ValueError:
            parent = UUID(bytes=hashlib.sha256(self.message_id.encode()).digest()[:16])
        return derive_id(parent, *parts)
