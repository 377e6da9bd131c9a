"""Under which circumstances a message is handled: who asked, when, because of what."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


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
