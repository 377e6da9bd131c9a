"""What reaches a saga from outside: a submission that begins one, an answer to a step, a timer."""

import json
from uuid import UUID

from opentelemetry.trace import Tracer

from contracts.catalog import decode_refusal
from contracts.transaction import SubmissionView, SubmitManifest
from contracts.types import TransactionId
from infra.bus.context import Context
from infra.bus.delivery import Delivery
from infra.clock import Clock
from infra.log.log import Aggregates
from infra.telemetry import logs, tracing
from sagas.definitions.sample_intake import SAMPLE_INTAKE
from sagas.engine.decision import Due, Input, Replied, failure_of, start_with
from services.transaction import domain
from services.transaction.domain import SubmissionClaim
from services.transaction.handlers.orchestrator import Orchestrator


async def on_submit_manifest(
    command: SubmitManifest,
    context: Context,
    *,
    claims: Aggregates[SubmissionClaim],
    orchestrator: Orchestrator,
) -> SubmissionView:
    """Begin an intake, or point to the one that the same content has already."""
    content = domain.content_of(command)
    wanted = TransactionId(context.derive("transaction"))
    current = (await claims.get(content)).state
    replaces: TransactionId | None = None
    if current is not None and current.transaction_id != wanted:
        saga = (await orchestrator.load(current.transaction_id)).state
        if saga is not None and domain.may_start_again(saga.status):
            replaces = current.transaction_id
    claimed = await claims.execute(
        content,
        lambda state: domain.claim(state, content, wanted, replaces=replaces),
        context,
        new=current is None,
    )
    transaction_id = claimed.state.transaction_id if claimed.state else wanted
    begin = start_with(
        command,
        saga_id=transaction_id,
        at=context.now,
        actor=context.actor,
        correlation=context.correlation,
        cause=context.message_id,
    )
    await orchestrator.advance(transaction_id, begin, context, definition=SAMPLE_INTAKE)
    return SubmissionView(transaction_id=transaction_id, repeated=transaction_id != wanted)


class Inputs:
    """Hands step outcomes and timers to the orchestrator."""

    def __init__(self, orchestrator: Orchestrator, tracer: Tracer, clock: Clock) -> None:
        """Take who decides, and the time."""
        self._orchestrator = orchestrator
        self._tracer = tracer
        self._clock = clock

    async def on_reply(self, delivery: Delivery) -> None:
        """Take the outcome of a step.

        Raises:
            OrphanInputError: no saga waits for it; it becomes a dead letter.
        """
        saga = delivery.saga
        if saga is None:
            raise ValueError(f"reply {delivery.envelope.id} names no saga")
        document = json.loads(delivery.envelope.data)
        failed = document.get("refused")
        given = Replied(
            step=saga.step,
            command_id=UUID(delivery.envelope.causation or ""),
            at=self._clock.now(),
            cause=delivery.envelope.id,
            result=None if failed else document.get("result") or {},
            failure=failure_of(saga.step, decode_refusal(failed)) if failed else None,
        )
        await self._advance(
            saga.saga_id, given, delivery, f"saga {saga.saga_type} {saga.step} answered"
        )

    async def on_due(self, delivery: Delivery) -> None:
        """Take a timer that fired."""
        document = json.loads(delivery.envelope.data)
        given = Due(name=document["timer"], at=self._clock.now(), cause=delivery.envelope.id)
        await self._advance(UUID(document["saga_id"]), given, delivery, "saga timer due")

    async def _advance(self, saga_id: UUID, given: Input, delivery: Delivery, what: str) -> None:
        envelope = delivery.envelope
        with (
            tracing.message_span(
                self._tracer,
                "consumer",
                what,
                envelope.traceparent,
                {"tracseq.saga_id": str(saga_id)},
            ),
            logs.bound(correlation_id=envelope.correlation, saga_id=str(saga_id)),
        ):
            context = Context(
                message_id=envelope.id,
                actor=envelope.actor,
                correlation=envelope.correlation,
                now=given.at,
                delivered=delivery.delivered,
                traceparent=envelope.traceparent,
            )
            await self._orchestrator.advance(saga_id, given, context)
