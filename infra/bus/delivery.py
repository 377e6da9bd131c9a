"""A message as it was handed out: what it says, where it lay, and how often it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from contracts import envelope as wire
from contracts.envelope import Envelope
from infra.bus.context import SagaStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One handing out of one stored message."""

    envelope: Envelope
    headers: Mapping[str, str]
    subject: str
    stream: str
    seq: int
    delivered: int

    @property
    def saga(self) -> SagaStep | None:
        """The saga step on whose behalf the message was sent."""
        saga_id = self.headers.get(wire.SAGA_ID)
        if saga_id is None:
            return None
        return SagaStep(
            saga_id=UUID(saga_id),
            saga_type=self.headers[wire.SAGA_TYPE],
            step=self.headers[wire.SAGA_STEP],
        )
