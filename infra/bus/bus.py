"""Ask, send and publish: how every part of the project speaks to the others.

A command is stored before anything else happens, so it is never lost because a service was down; a
query is answered now or not at all. What is asked is typed by its contract, and so is the answer.
"""

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import cache
from typing import Any, Self, TypeVar, cast

from pydantic import TypeAdapter

from contracts import envelope as wire
from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import Refused, Unavailable
from contracts.message import Command, Contract, LabEvent, Message, Query, result_of
from infra.bus.connection import Connection, Stored
from infra.bus.context import SagaStep
from infra.bus.errors import BrokerUnavailable, MissingStream, NobodyAnswers, NotSent
from infra.bus.files import Files
from infra.bus.outcomes import Outcome, Outcomes, read_outcome
from infra.bus.requests import Mailbox
from infra.bus.tail import Delivered, tail
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.telemetry import tracing

ResultT = TypeVar("ResultT")

ASK_TIMEOUT_SECONDS = 10.0
WAITING_MAX = 10_000
"""Commands that one process may wait for at once; one more is refused with 503."""
STORE_SECONDS_MIN = 5.0
"""How long storing a command may take at least, however short the wait for its answer."""
STORE_ATTEMPT_SECONDS = 1.5
RESEND_WAIT_SECONDS = 0.25
LOOK_SECONDS = 1.0
"""How often the recorded outcome is looked up while a reply does not come: it may be lost."""
LOOK_AT_TWIN_SECONDS = 0.05
"""The same where another sent the command first, who gets the reply."""


class Pending(Exception):
    """No error: a command is stored and not answered yet; ask for its outcome by its id."""

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
        self._waiting: set[Mailbox] = set()
        self._tracer = tracing.tracer_for(source)

    @classmethod
    async def open(cls, url: str, *, source: str, clock: Clock = SYSTEM) -> Self:
        """Connect a bus of its own.

        Raises:
            BrokerUnavailable: nobody listens there.
        """
        return cls(await Connection.connect(url, source), source=source, clock=clock)

    async def close(self) -> None:
        """Close the connection; whoever waits is told that their command is pending."""
        for box in self._waiting:
            box.fail(BrokerUnavailable("the bus is closed"))
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
        try:
            return await self.connection.request(
                subjects.of(message.contract),
                envelope.data,
                headers,
                timeout_seconds=timeout_seconds,
            )
        except NotSent:
            raise _unavailable("The message broker", 2) from None
        except (NobodyAnswers, BrokerUnavailable):
            raise _unavailable(f"The {message.contract.owner} service", 2) from None

    async def _command(
        self, message: Message, envelope: Envelope, headers: dict[str, str], timeout_seconds: float
    ) -> bytes:
        if len(self._waiting) >= WAITING_MAX:
            raise _unavailable("The command queue of this process", 2)
        deadline = self._clock.monotonic() + timeout_seconds
        # The address survives the connection: the reply may come after a reconnect.
        with self.connection.requests.mailbox(survives=True) as box:
            self._waiting.add(box)
            try:
                headers[wire.REPLY] = box.address
                subject = subjects.of(message.contract)
                stored = await self._store(subject, envelope, headers, deadline)
                return await self._wait(box, envelope.id, deadline, twin=stored.duplicate)
            finally:
                self._waiting.discard(box)

    async def _store(
        self, subject: str, envelope: Envelope, headers: dict[str, str], deadline: float
    ) -> Stored:
        """Publish until the broker has it or says no; its id makes a repetition harmless.

        Never calls a command stored that may not be: whoever hears `Pending` relies on it. Nor does
        it give one up lightly that may be: whoever hears of that sends it again under a new id.
        """
        started, give_up_at = self._clock.monotonic(), deadline
        while True:
            try:
                return await self.connection.publish(
                    subject,
                    envelope.data,
                    headers,
                    stream=subjects.COMMANDS,
                    timeout_seconds=STORE_ATTEMPT_SECONDS,
                )
            except MissingStream:
                raise _unavailable("The command stream", 5) from None
            except BrokerUnavailable as error:
                if not isinstance(error, NotSent):
                    give_up_at = max(give_up_at, started + STORE_SECONDS_MIN)
                if self._clock.monotonic() >= give_up_at:
                    raise _unavailable("The message broker", 2) from None
                await self._clock.sleep(RESEND_WAIT_SECONDS)

    async def _wait(self, box: Mailbox, command_id: str, deadline: float, *, twin: bool) -> bytes:
        """Wait for the reply, and look at the recorded outcome meanwhile: a reply may be lost."""
        while True:
            remaining = deadline - self._clock.monotonic()
            try:
                pause = LOOK_AT_TWIN_SECONDS if twin else LOOK_SECONDS
                return (await box.take(min(pause, remaining))).data
            except TimeoutError:
                outcome = await self._recorded(command_id)
            except BrokerUnavailable:
                raise Pending(command_id) from None
            if outcome is not None:
                return outcome.to_bytes()
            if remaining <= 0:
                raise Pending(command_id)

    async def _recorded(self, command_id: str) -> Outcome | None:
        try:
            return await self.outcomes.get(command_id)
        except (BrokerUnavailable, MissingStream):
            return None

    async def outcome(self, command_id: str) -> Outcome | None:
        """Read how a command ended; None where it has not."""
        return await self.outcomes.get(command_id)

    def tail(self, *, evt_after: int | None, lab_after: int | None) -> AsyncGenerator[Delivered]:
        """Give everything after these sequences of `EVENTS` and `LAB`, for ever; None: from now."""
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

        The same `attempt_key` twice is stored once. Another attempt at the same command has another
        key and the same id: its participant answers with the recorded outcome.

        Raises:
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


def _unavailable(what: str, retry_after_seconds: int) -> Refused:
    return Refused(Unavailable(what=what, retry_after_seconds=retry_after_seconds))


@cache
def _answer(message: type[Message]) -> TypeAdapter[Any]:
    return TypeAdapter(result_of(cast("type[Command[Any]]", message)))
