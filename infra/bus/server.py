"""Serve a service's commands and queries: decode, call, record the outcome, reply, acknowledge.

In this order, so that a crash anywhere leads to a redelivery that finds the outcome, or decides
again on a log that already has the command. No rule of the laboratory stands here.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from pydantic import ValidationError

from contracts import catalog, subjects
from contracts import envelope as wire
from contracts.catalog import UnknownTypeError, decode
from contracts.envelope import EnvelopeError, parse
from contracts.errors import (
    FieldError,
    InvalidInput,
    Refusal,
    Refused,
    Retryable,
    Unavailable,
    Unexpected,
)
from contracts.message import Command, Kind
from contracts.versions import UnknownVersionError
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.bus.delivery import Delivery
from infra.bus.handler import LATER, Handler
from infra.bus.outcomes import Outcome, Outcomes, may_be_repeated
from infra.clock import SYSTEM, Clock
from infra.telemetry import logs, metrics, tracing

log = structlog.get_logger(__name__)

QUERIES_MAX = 256
"""Queries of one service under way at once; beyond it they are refused with 503."""
QUERY_DRAIN_SECONDS = 5.0


class AlreadyRunning(Retryable):
    """The same command is being handled right now, in this process."""


class Server:
    """Serves the handlers of one service."""

    def __init__(
        self,
        connection: Connection,
        service: str,
        handlers: Sequence[Handler],
        *,
        clock: Clock = SYSTEM,
    ) -> None:
        """Take the service's literal list of handlers."""
        self._connection = connection
        self._service = service
        self._clock = clock
        self._handlers = {h.message.contract.type: h for h in handlers}
        self._outcomes = Outcomes(connection)
        self._running: set[str] = set()
        self._queries: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None
        self._tracer = tracing.tracer_for(service)
        self._metrics = {t: metrics.message_operation(service, t) for t in self._handlers}

    @property
    def has_commands(self) -> bool:
        """Whether any handler takes a command."""
        return any(issubclass(h.message, Command) for h in self._handlers.values())

    def _handler(self, message_type: str) -> Handler:
        handler = self._handlers.get(message_type)
        if handler is None:
            raise UnknownTypeError(f"{self._service} has no handler for {message_type!r}")
        return handler

    # Commands

    async def on_command(self, delivery: Delivery) -> None:
        """Deal with one delivered command, to the end.

        Raises:
            UnknownTypeError, ValidationError, UnknownVersionError: it cannot be read.
            Retryable: the world is unwell.
        """
        envelope = delivery.envelope
        if envelope.id in self._running:
            raise AlreadyRunning(f"command {envelope.id} is being handled")
        self._running.add(envelope.id)
        try:
            with (
                tracing.message_span(
                    self._tracer,
                    "consumer",
                    f"{envelope.type} handle",
                    envelope.traceparent,
                    {"tracseq.message_id": envelope.id},
                ),
                logs.bound(
                    correlation_id=envelope.correlation, saga_id=delivery.headers.get(wire.SAGA_ID)
                ),
            ):
                await self._deal(delivery)
        finally:
            self._running.discard(envelope.id)

    async def _deal(self, delivery: Delivery) -> None:
        envelope, now = delivery.envelope, self._clock.now()
        handler = self._handler(envelope.type)
        again = self._may_be_known(delivery, now)
        if again:
            known = await self._outcomes.get(envelope.id)
            if known is not None:
                await self._reply(delivery, known.to_bytes())
                return
        started = self._clock.monotonic()
        context = Context(
            message_id=envelope.id,
            actor=envelope.actor,
            correlation=envelope.correlation,
            now=now,
            delivered=delivery.delivered,
            repeated=again,
            saga=delivery.saga,
            traceparent=envelope.traceparent,
        )
        message = decode(envelope.type, envelope.version, envelope.data)
        outcome = await _call(handler, message, context)
        self._metrics[envelope.type].record(_word(outcome), self._clock.monotonic() - started)
        if outcome is not None:
            await self._finish(delivery, outcome)

    def _may_be_known(self, delivery: Delivery, now: datetime) -> bool:
        """Say whether the outcome of a command may be recorded already."""
        envelope = delivery.envelope
        # A saga's further attempt at a command has a message id of its own: no stream knows it.
        another_attempt = delivery.headers.get(wire.MESSAGE_ID, envelope.id) != envelope.id
        return (
            delivery.delivered > 1
            or another_attempt
            or may_be_repeated(envelope.id, now, self._connection.connected_at)
        )

    async def _finish(self, delivery: Delivery, outcome: Outcome) -> None:
        recorded = await self._outcomes.put(delivery.envelope.id, outcome.to_bytes())
        await self._reply(delivery, recorded)

    async def _reply(self, delivery: Delivery, body: bytes) -> None:
        saga = delivery.saga
        if saga is not None:
            await self._reply_to_saga(delivery, body)
        elif wire.REPLY in delivery.headers:
            await self._connection.send(delivery.headers[wire.REPLY], body)

    async def _reply_to_saga(self, delivery: Delivery, body: bytes) -> None:
        envelope, saga = delivery.envelope, delivery.saga
        assert saga is not None  # noqa: S101 - the caller looked
        headers = {
            wire.MESSAGE_ID: f"{envelope.id}:reply",
            "ce-specversion": wire.SPEC_VERSION,
            "ce-id": f"{envelope.id}:reply",
            "ce-type": f"{envelope.type}.answered",
            "ce-source": f"tracseq/{self._service}",
            "ce-time": self._clock.now().isoformat(),
            wire.CORRELATION: envelope.correlation,
            wire.CAUSATION: envelope.id,
            wire.ACTOR: self._service,
            wire.SAGA_ID: str(saga.saga_id),
            wire.SAGA_TYPE: saga.saga_type,
            wire.SAGA_STEP: saga.step,
        }
        trace = tracing.inject() or envelope.traceparent
        if trace:
            headers[wire.TRACEPARENT] = trace
        await self._connection.publish(
            subjects.reply(saga.saga_type, saga.saga_id), body, headers, stream=subjects.REPLIES
        )

    async def on_dead(self, delivery: Delivery, error: BaseException) -> None:
        """Answer a command that was given up, so that whoever waits need not wait for ever."""
        refusal: Refusal = _unreadable(error) or Unexpected(
            what=f"{delivery.envelope.type} at the {self._service} service"
        )
        if delivery.envelope.type in self._metrics:
            self._metrics[delivery.envelope.type].record("dead", 0.0)
        await self._finish(delivery, Outcome(refusal=refusal))

    # Queries

    async def start(self) -> None:
        """Begin to answer queries; commands come through a consumer."""
        if any(h.message.contract.kind is Kind.QUERY for h in self._handlers.values()):
            self._subscription = await self._connection.nats.subscribe(
                f"{subjects.ROOT}.{Kind.QUERY}.{self._service}.>",
                queue=self._service,
                cb=self._on_query,
            )

    async def stop(self) -> None:
        """Take no more queries, and finish those under way."""
        if self._subscription is not None:
            try:
                await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py does not say
            except NatsError as error:
                log.info("queries.drain_failed", error=repr(error))
        if self._queries:
            _, late = await asyncio.wait(self._queries, timeout=QUERY_DRAIN_SECONDS)
            for task in late:
                task.cancel()

    async def _on_query(self, message: Msg) -> None:
        if len(self._queries) >= QUERIES_MAX:
            busy = Outcome(
                refusal=Unavailable(
                    what=f"The {self._service} service (busy)", retry_after_seconds=1
                )
            )
            await message.respond(busy.to_bytes())
            return
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._queries.add(task)
        task.add_done_callback(self._queries.discard)

    async def _answer(self, message: Msg) -> None:
        outcome = await self._ask(message)
        try:
            await message.respond(outcome.to_bytes())
        except NatsError as error:
            log.info("query.answer_lost", subject=message.subject, error=repr(error))

    async def _ask(self, message: Msg) -> Outcome:
        started = self._clock.monotonic()
        kind = "unknown"
        try:
            envelope = parse(message.headers, message.data)
            kind = envelope.type
            handler = self._handler(kind)
            with (
                tracing.message_span(
                    self._tracer,
                    "server",
                    f"{kind} answer",
                    envelope.traceparent,
                    {"tracseq.message_id": envelope.id},
                ),
                logs.bound(correlation_id=envelope.correlation),
            ):
                query = decode(envelope.type, envelope.version, envelope.data)
                context = Context(
                    message_id=envelope.id,
                    actor=envelope.actor,
                    correlation=envelope.correlation,
                    now=self._clock.now(),
                    traceparent=envelope.traceparent,
                )
                outcome = await _call(handler, query, context) or Outcome(
                    refusal=Unexpected(what=f"{kind}, which nobody answers later,")
                )
        except Retryable as error:
            log.warning("query.unwell", type=kind, error=repr(error))
            outcome = Outcome(refusal=Unavailable(what=f"What {kind} needs", retry_after_seconds=2))
        except Exception as error:
            refusal = _unreadable(error)
            if refusal is None:
                log.exception("query.failed", type=kind)
                refusal = Unexpected(what=f"{kind} at the {self._service} service")
            outcome = Outcome(refusal=refusal)
        if kind in self._metrics:
            self._metrics[kind].record(_word(outcome), self._clock.monotonic() - started)
        return outcome


def _word(outcome: Outcome | None) -> str:
    """Say in a word what became of a message."""
    if outcome is None:
        return "later"
    return "refused" if outcome.refusal else "done"


async def _call(handler: Handler, message: Any, context: Context) -> Outcome | None:  # noqa: ANN401 - any contract
    """Give the outcome; None where it comes later, from elsewhere."""
    try:
        result = await handler.call(message, context)
    except Refused as refused:
        return Outcome(refusal=refused.refusal)
    if isinstance(result, Refusal):
        return Outcome(refusal=result)
    if result is LATER:
        return None
    return Outcome(result=handler.encode(result))


def _unreadable(error: BaseException) -> Refusal | None:
    if isinstance(error, ValidationError):
        errors = [
            FieldError(
                field=".".join(map(str, e["loc"])) or "(whole message)",
                value=str(e["input"])[:80],
                problem=e["msg"],
                remedy="Send what the contract says: /openapi.json, `tracseq contracts export`.",
            )
            for e in error.errors(include_url=False)
        ]
        return InvalidInput(count=len(errors), errors=errors)
    if isinstance(error, (EnvelopeError, UnknownTypeError, UnknownVersionError)):
        problem = FieldError(
            field="message",
            value=None,
            problem=str(error),
            remedy=f"Known types: {', '.join(sorted(cast('dict[str, Any]', catalog.MESSAGES)))}"[
                :400
            ],
        )
        return InvalidInput(count=1, errors=[problem])
    return None
