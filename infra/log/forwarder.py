"""Follow a log and tell everyone: each public event goes to `EVENTS`, once and in log order.

What was forwarded is read back from `EVENTS` itself at start, so neither a crash nor a lost
acknowledgement loses or doubles an event. It changes nothing and decides nothing.
"""

import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

import structlog

from contracts import envelope as wire
from contracts import subjects
from contracts.entry import Entry
from contracts.envelope import Envelope
from contracts.errors import Conflict, Retryable
from infra.bus.streams import EVENTS_WINDOW_SECONDS
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.log.log import Log
from infra.telemetry import metrics

log = structlog.get_logger(__name__)

BATCH_FROM = 8
"""From so many events on they are stored in one atomic batch; below, one by one is quicker."""
BATCH_MAX = 500
KEEP_EVERY_SECONDS = 1.0
"""Between two keepings of the position: a start looks through so much of EVENTS, no more."""
LOOK_EVERY = timedelta(seconds=EVENTS_WINDOW_SECONDS / 2)
"""How long a forwarder relies on what it knows. Another may tell the same events meanwhile, and the
broker recognises those for twice as long."""
RETRY_WAIT_SECONDS = 0.5

_Message = tuple[str, bytes, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Position:
    """How far forwarding is, as the bucket `snapshots` has it."""

    log_seq: int = 0
    events_seq: int = 0
    """The newest sequence of `EVENTS` that is known to come from up to `log_seq`."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What reached `EVENTS` after the position was kept."""

    ids: frozenset[str] = frozenset()
    until: int = 0
    """The newest log sequence among them."""


class Forwarder:
    """Forwards one stream of logs."""

    def __init__(self, source: Log, *, clock: Clock = SYSTEM) -> None:
        """Say which log."""
        self._log = source
        self._connection = source.connection
        self._service = source.service
        self._stream = source.stream
        self._clock = clock
        self._kept_at = 0.0
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
        """Forward from the position that was kept, until it is time to look at it again."""
        position = await self._position()
        looked_at = self._clock.now()
        told = await self._told_since(position)
        async with aclosing(self._log.follow(position.log_seq)) as batches:
            async for entries in batches:
                if self._clock.now() - looked_at > LOOK_EVERY:
                    return
                position = await self._forward(entries, position, told)

    async def _forward(
        self, entries: Sequence[Entry], position: _Position, told: _Told
    ) -> _Position:
        messages = [message for entry in entries for message in self._messages(entry)]
        if entries[0].seq <= told.until:
            messages = [m for m in messages if m[2][wire.MESSAGE_ID] not in told.ids]
        self._lag.set(len(messages))
        events_seq = max(await self._publish(messages), position.events_seq)
        self._lag.set(0)
        moved = _Position(entries[-1].seq, events_seq)
        if messages and self._keeping_is_due():
            await self._keep(moved)
        return moved

    def _keeping_is_due(self) -> bool:
        """Say whether to keep the position: what was told since is found in EVENTS at a start."""
        now = self._clock.monotonic()
        if now - self._kept_at < KEEP_EVERY_SECONDS:
            return False
        self._kept_at = now
        return True

    # Where it stands

    async def _position(self) -> _Position:
        raw = await self._connection.last(f"KV_{subjects.SNAPSHOTS_BUCKET}", self._position_subject)
        if raw is None or not raw.body:
            return _Position()
        document = json.loads(raw.body)
        return _Position(document["log_seq"], document["events_seq"])

    async def _keep(self, position: _Position) -> None:
        # A slower forwarder of another process may move it back: more is looked through, no more.
        body = json.dumps({"log_seq": position.log_seq, "events_seq": position.events_seq}).encode()
        await self._connection.publish(self._position_subject, body)

    async def _told_since(self, position: _Position) -> _Told:
        prefix = f"{self._stream}:"
        filter_ = subjects.events_of(self._service)
        ids: set[str] = set()
        async with aclosing(
            self._connection.read(subjects.EVENTS, filter_, after=position.events_seq)
        ) as found:
            async for raw in found:
                message_id = raw.headers.get(wire.MESSAGE_ID, "")
                if message_id.startswith(prefix):
                    ids.add(message_id)
        return _Told(frozenset(ids), max((int(i.split(":")[1]) for i in ids), default=0))

    # What is told

    def _messages(self, entry: Entry) -> list[_Message]:
        messages: list[_Message] = []
        if entry.again:
            return messages
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
                subject=subjects.key_in(entry.subject.rpartition(".")[2]),
                correlation=entry.correlation,
                causation=entry.cause,
                actor=entry.actor,
                traceparent=entry.traceparent,
            )
            messages.append((subjects.of(event.contract), envelope.data, envelope.headers()))
        return messages

    async def _publish(self, messages: Sequence[_Message]) -> int:
        """Store events in order; give the sequence of the last."""
        last = 0
        for start in range(0, len(messages), BATCH_MAX):
            part = list(messages[start : start + BATCH_MAX])
            last = (
                await self._batch(part) if len(part) >= BATCH_FROM else await self._one_by_one(part)
            )
        return last

    async def _batch(self, messages: list[_Message]) -> int:
        try:
            return (await self._connection.publish_batch(messages, batch_id=new_id().hex)).seq
        except Conflict:
            raise
        except Retryable as error:
            # A batch is refused whole where one of it is there already, and its fate is unknown
            # where the acknowledgement was lost: one by one, the ids tell which are there.
            count = len(messages)
            log.info("forward.one_by_one", stream=self._stream, events=count, error=repr(error))
            return await self._one_by_one(messages)

    async def _one_by_one(self, messages: Sequence[_Message]) -> int:
        last = 0
        for subject, body, headers in messages:
            stored = await self._connection.publish(subject, body, headers, stream=subjects.EVENTS)
            last = max(last, stored.seq)
        return last
