"""Ask, send and publish: how every part of the project speaks to the others.

A command is stored before anything else happens, so it is never lost because a service was down; a query
is answered now or not at all. What is asked is typed by its contract, and so is the answer.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from functools import cache
from typing import Any, Self, TypeVar, cast

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from pydantic import TypeAdapter

from contracts import envelope as wire
from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import Refused, Retryable, Unavailable
from contracts.message import Command, Contract, LabEvent, Message, Query, result_of
from infra.bus.connection import BrokerUnavailable, Connection, MissingStream, NotSent, Stored
from infra.bus.context import SagaStep
from infra.bus.files import Files
from infra.bus.outcomes import Outcome, Outcomes, read_outcome
from infra.bus.tail import Delivered, tail
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.telemetry import tracing

ResultT = TypeVar("ResultT")

ASK_TIMEOUT_SECONDS = 10.0
WAITING_MAX = 10_000
"""Commands that one process may wait for at once; one more is refused with 503."""
OUTCOME_POLL_SECONDS = 0.1
RESEND_WAIT_SECONDS = 0.25


class Pending(Exception):
    """A command was stored but not answered in time; its outcome can be asked for by its id."""

    def __init__(self, operation_id: str) -> None:
        """Carry the command's id."""
        super().__init__(f"command {operation_id} is stored and not answered yet")
        self.operation_id = operation_id


class Bus:
    """One process's way to everyone else; make one with `Bus.open`."""

    def __init__(self, connection: Connection, *, source: str, clock: Clock = SYSTEM) -> None:
        """Use a connection; `source` is the CloudEvents source of what is sent."""
        self.connection = connection
        self.source = f"tracseq/{source}"
        self.files = Files(connection)
        self.outcomes = Outcomes(connection)
        self._clock = clock
        self._inbox = connection.nats.new_inbox()
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._tracer = tracing.tracer_for(source)

    @classmethod
    async def open(cls, url: str, *, source: str, clock: Clock = SYSTEM) -> Self:
        """Connect a bus of its own.

        Raises:
            BrokerUnavailable: nobody listens there.
        """
        bus = cls(await Connection.connect(url, source), source=source, clock=clock)
        await bus.start()
        return bus

    async def start(self) -> None:
        """Begin to take replies."""
        await self.connection.nats.subscribe(f"{self._inbox}.*", cb=self._on_reply)

    async def close(self) -> None:
        """Close the connection; whoever waits is told that their command is pending."""
        for waiting in self._waiting.values():
            waiting.cancel()
        await self.connection.close()

    # Asking

    async def ask(
        self,
        message: Command[ResultT] | Query[ResultT],
        *,
        actor: str = "system",
        correlation: str | None = None,
        message_id: str | None = None,
        timeout_seconds: float = ASK_TIMEOUT_SECONDS,
    ) -> ResultT:
        """Ask the owner of a command or query, and wait for the answer.

        Raises:
            Refused: the owner said no; `Unavailable` where nobody can be reached.
            Pending: a command was stored, and not answered in time.
        """
        envelope = self._envelope(
            message, actor=actor, correlation=correlation, message_id=message_id
        )
        with tracing.message_span(
            self._tracer,
            "producer",
            f"{envelope.type} ask",
            None,
            {"tracseq.message_id": envelope.id},
        ):
            headers = self._headers(envelope)
            if isinstance(message, Query):
                body = await self._request(message, envelope, headers, timeout_seconds)
            else:
                body = await self._command(message, envelope, headers, timeout_seconds)
        outcome = read_outcome(body)
        if outcome.refusal is not None:
            raise Refused(outcome.refusal)
        return cast("ResultT", _answer(type(message)).validate_json(outcome.result or b"null"))

    async def _request(
        self, message: Message, envelope: Envelope, headers: dict[str, str], timeout_seconds: float
    ) -> bytes:
        subject = subjects.of(message.contract)
        unavailable = Unavailable(
            what=f"The {message.contract.owner} service", retry_after_seconds=2
        )
        if not self.connection.connected:
            raise Refused(Unavailable(what="The message broker", retry_after_seconds=2))
        try:
            answer = await self.connection.nats.request(
                subject, envelope.data, timeout=timeout_seconds, headers=headers
            )
        except NoRespondersError:
            raise Refused(unavailable) from None
        except (NatsError, TimeoutError, OSError):
            raise Refused(unavailable) from None
        return answer.data

    async def _command(
        self, message: Message, envelope: Envelope, headers: dict[str, str], timeout_seconds: float
    ) -> bytes:
        if len(self._waiting) >= WAITING_MAX:
            raise Refused(
                Unavailable(what="The command queue of this process", retry_after_seconds=2)
            )
        deadline = self._clock.monotonic() + timeout_seconds
        headers[wire.REPLY] = f"{self._inbox}.{envelope.id.replace('.', '=')}"
        waiting = self._waiting[envelope.id] = asyncio.get_running_loop().create_future()
        try:
            stored = await self._store(subjects.of(message.contract), envelope, headers, deadline)
            if stored.duplicate:
                # The reply goes, or went, to whoever sent it first; its record is for everyone.
                return await self._poll(envelope.id, deadline)
            return await asyncio.wait_for(waiting, max(0.001, deadline - self._clock.monotonic()))
        except (TimeoutError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not waiting.cancelled():
                raise
            return await self._last_look(envelope.id)
        finally:
            self._waiting.pop(envelope.id, None)

    async def _store(
        self, subject: str, envelope: Envelope, headers: dict[str, str], deadline: float
    ) -> Stored:
        """Publish until the broker has it or the time is over; its id makes a repetition harmless."""
        while True:
            remaining = deadline - self._clock.monotonic()
            try:
                return await self.connection.publish(
                    subject,
                    envelope.data,
                    headers,
                    stream=subjects.COMMANDS,
                    timeout_seconds=max(0.05, min(2.0, remaining)),
                )
            except MissingStream:
                raise Refused(
                    Unavailable(what="The command stream", retry_after_seconds=5)
                ) from None
            except BrokerUnavailable as error:
                if remaining <= RESEND_WAIT_SECONDS:
                    if isinstance(error, NotSent):
                        raise Refused(
                            Unavailable(what="The message broker", retry_after_seconds=2)
                        ) from None
                    raise Pending(envelope.id) from error
                await self._clock.sleep(RESEND_WAIT_SECONDS)

    async def _poll(self, command_id: str, deadline: float) -> bytes:
        while self._clock.monotonic() < deadline:
            outcome = await self.outcomes.get(command_id)
            if outcome is not None:
                return outcome.to_bytes()
            await self._clock.sleep(OUTCOME_POLL_SECONDS)
        raise Pending(command_id)

    async def _last_look(self, command_id: str) -> bytes:
        try:
            outcome = await self.outcomes.get(command_id)
        except Retryable:
            outcome = None
        if outcome is None:
            raise Pending(command_id)
        return outcome.to_bytes()

    async def _on_reply(self, reply: Msg) -> None:
        waiting = self._waiting.get(reply.subject.rpartition(".")[2].replace("=", "."))
        if waiting is not None and not waiting.done():
            waiting.set_result(reply.data)

    async def outcome(self, command_id: str) -> Outcome | None:
        """Read how a command ended; None where it has not."""
        return await self.outcomes.get(command_id)

    def tail(self, *, evt_after: int | None, lab_after: int | None) -> AsyncIterator[Delivered]:
        """Give everything after these sequences of `EVENTS` and `LAB`, for ever; None means from now on."""
        return tail(self.connection, evt_after=evt_after, lab_after=lab_after)

    # Sending

    async def send(
        self,
        contract: Contract,
        body: bytes,
        *,
        message_id: str,
        actor: str,
        correlation: str,
        causation: str,
        saga: SagaStep,
        attempt_key: str,
        traceparent: str | None = None,
    ) -> Stored:
        """Store a saga's command; its outcome goes to `REPLIES`.

        The same `attempt_key` twice is stored once. Another attempt at the same command has another key
        and the same id: its participant answers with the recorded outcome. Raises:
            BrokerUnavailable: no acknowledgement came; send it again with the same key.
        """
        envelope = Envelope(
            id=message_id,
            type=contract.type,
            version=contract.version,
            source=self.source,
            time=self._clock.now(),
            data=body,
            correlation=correlation,
            causation=causation,
            actor=actor,
        )
        headers = self._headers(envelope, traceparent) | {
            wire.MESSAGE_ID: attempt_key,
            wire.SAGA_ID: str(saga.saga_id),
            wire.SAGA_TYPE: saga.saga_type,
            wire.SAGA_STEP: saga.step,
        }
        return await self.connection.publish(
            subjects.of(contract), body, headers, stream=subjects.COMMANDS
        )

    async def publish_lab(
        self,
        event: LabEvent,
        *,
        source: str,
        site: str = "main",
        message_id: str | None = None,
        actor: str = "system",
        subject: str | None = None,
    ) -> Stored:
        """Store a raw fact from the bench; the same id twice is one fact.

        Raises:
            BrokerUnavailable: no acknowledgement came; publish it again with the same id.
        """
        envelope = self._envelope(
            event, actor=actor, message_id=message_id, source=source, subject=subject
        )
        return await self.connection.publish(
            subjects.of(event.contract, site=site),
            envelope.data,
            self._headers(envelope),
            stream=subjects.LAB,
        )

    def _envelope(
        self,
        message: Message,
        *,
        actor: str,
        correlation: str | None = None,
        message_id: str | None = None,
        causation: str | None = None,
        source: str | None = None,
        subject: str | None = None,
        time: datetime | None = None,
    ) -> Envelope:
        return Envelope(
            id=message_id or str(new_id()),
            type=message.contract.type,
            version=message.contract.version,
            source=source or self.source,
            time=time or self._clock.now(),
            data=message.__pydantic_serializer__.to_json(message),
            subject=subject,
            correlation=correlation or "",
            causation=causation,
            actor=actor,
        )

    @staticmethod
    def _headers(envelope: Envelope, traceparent: str | None = None) -> dict[str, str]:
        headers = envelope.headers()
        trace = tracing.inject() or traceparent
        if trace:
            headers[wire.TRACEPARENT] = trace
        return headers


@cache
def _answer(message: type[Message]) -> TypeAdapter[Any]:
    return TypeAdapter(result_of(cast("type[Command[Any]]", message)))
