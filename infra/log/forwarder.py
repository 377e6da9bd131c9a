"""Follow a log and tell everyone: each public event goes to `EVENTS`, once and in log order.

Which entries were forwarded is read back from `EVENTS` itself at start, so neither a crash nor a lost
acknowledgement loses or doubles an event. It changes nothing and decides nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from contracts import subjects
from contracts.entry import Entry, read_entry
from contracts.envelope import Envelope
from contracts.errors import Conflict, Retryable
from infra.bus.follow import Follower
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.log.log import Log
from infra.telemetry import metrics

log = structlog.get_logger(__name__)

BATCH_FROM = 8
"""From so many events on they are stored in one atomic batch; below, one by one is quicker."""
BATCH_MAX = 500
RETRY_WAIT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _Position:
    log_seq: int = 0
    events_seq: int = 0


class Forwarder:
    """Forwards one stream of logs."""

    def __init__(self, source: Log, *, clock: Clock = SYSTEM) -> None:
        """Say which log."""
        self._connection = source.connection
        self._service = source.service
        self._stream = source.stream
        self._filter = source.filter
        self._clock = clock
        self._position_subject = f"$KV.{subjects.SNAPSHOTS_BUCKET}.forwarder.{source.stream}"
        self._lag = metrics.gauge("tracseq_forwarder_lag", service=source.service)

    async def run(self) -> None:
        """Forward for ever."""
        while True:
            try:
                await self._run()
            except Retryable as error:
                log.info("forward.again", stream=self._stream, error=repr(error))
                await self._clock.sleep(RETRY_WAIT_SECONDS)

    async def _run(self) -> None:
        position = await self._position()
        done = await self._already_forwarded(position)
        follower = Follower(self._connection, self._stream, [self._filter], clock=self._clock)
        async for batch in follower.batches(position.log_seq):
            entries = [read_entry(raw.body, subject=raw.subject, seq=raw.seq) for raw in batch]
            messages = [
                m
                for entry in entries
                for m in self._messages(entry)
                if m[2]["Nats-Msg-Id"] not in done
            ]
            events_seq = await self._publish(messages)
            position = _Position(batch[-1].seq, max(events_seq, position.events_seq))
            if messages:
                await self._keep(position)
            done = frozenset[str]()

    async def _position(self) -> _Position:
        raw = await self._connection.last(f"KV_{subjects.SNAPSHOTS_BUCKET}", self._position_subject)
        if raw is None or not raw.body:
            return _Position()
        document = json.loads(raw.body)
        return _Position(document["log_seq"], document["events_seq"])

    async def _keep(self, position: _Position) -> None:
        body = json.dumps({"log_seq": position.log_seq, "events_seq": position.events_seq}).encode()
        await self._connection.publish(self._position_subject, body)

    async def _already_forwarded(self, position: _Position) -> frozenset[str]:
        """Find what reached EVENTS after the position was last kept."""
        prefix = f"{self._stream}:"
        return frozenset(
            [
                raw.headers["Nats-Msg-Id"]
                async for raw in self._connection.read(
                    subjects.EVENTS, subjects.events_of(self._service), after=position.events_seq
                )
                if raw.headers.get("Nats-Msg-Id", "").startswith(prefix)
            ]
        )

    def _messages(self, entry: Entry) -> list[tuple[str, bytes, dict[str, str]]]:
        messages: list[tuple[str, bytes, dict[str, str]]] = []
        for index, event in enumerate(entry.events):
            if not event.contract.public:
                continue
            envelope = Envelope(
                id=f"{self._stream}:{entry.seq}:{index}",
                type=event.contract.type,
                version=event.contract.version,
                source=f"tracseq/{self._service}",
                time=entry.at,
                data=event.__pydantic_serializer__.to_json(event),
                subject=entry.subject.rpartition(".")[2],
                correlation=entry.correlation,
                causation=entry.cause,
                actor=entry.actor,
                traceparent=entry.traceparent,
            )
            messages.append((subjects.of(event.contract), envelope.data, envelope.headers()))
        return messages

    async def _publish(self, messages: Sequence[tuple[str, bytes, dict[str, str]]]) -> int:
        """Store events in order; give the sequence of the last."""
        last = 0
        self._lag.set(len(messages))
        for start in range(0, len(messages), BATCH_MAX):
            part = list(messages[start : start + BATCH_MAX])
            last = (
                await self._batch(part) if len(part) >= BATCH_FROM else await self._one_by_one(part)
            )
        self._lag.set(0)
        return last

    async def _batch(self, messages: list[tuple[str, bytes, dict[str, str]]]) -> int:
        try:
            return (await self._connection.publish_batch(messages, batch_id=new_id().hex)).seq
        except Conflict:
            raise
        except Retryable as error:
            # A batch is refused whole when one of it is there already, and its fate is unknown when the
            # acknowledgement is lost: one by one, the ids tell which are there.
            log.info(
                "forward.one_by_one", stream=self._stream, events=len(messages), error=repr(error)
            )
            return await self._one_by_one(messages)

    async def _one_by_one(self, messages: Sequence[tuple[str, bytes, dict[str, str]]]) -> int:
        last = 0
        for subject, body, headers in messages:
            last = (
                await self._connection.publish(subject, body, headers, stream=subjects.EVENTS)
            ).seq
        return last
