"""Durable consumers on FastStream: pull, retry, dead letter, heartbeat while a handler is long, watchdog.

FastStream pulls and dispatches; everything that decides what becomes of a message is this project's own
middleware. Handlers are plain functions bound late. Streams and consumers are never declared from here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import structlog
from faststream import AckPolicy, BaseMiddleware
from faststream.exceptions import AckMessage, NackMessage, RejectMessage
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from contracts import subjects
from contracts.envelope import parse
from contracts.errors import Retryable
from infra.bus.advisories import read_advisory
from infra.bus.connection import RECONNECT_WAIT_SECONDS, Connection, MissingStream
from infra.bus.dead import DeadLetters
from infra.bus.delivery import Delivery
from infra.bus.retry import Dead, after_failure
from infra.bus.streams import ACK_WAIT_SECONDS, Consumer
from infra.telemetry import metrics

if TYPE_CHECKING:
    from faststream.nats.message import NatsMessage

log = structlog.get_logger(__name__)

Handle = Callable[[Delivery], Awaitable[None]]
OnDead = Callable[[Delivery, BaseException], Awaitable[None]]

BATCH_SIZE = 1
"""nats-py's fetch of several waits for all of them, up to the timeout, once it waited at all."""
WORKERS_MAX = 64
PULL_TIMEOUT_SECONDS = 5.0
DRAIN_SECONDS = 10.0
STALLED_AFTER_SECONDS = 15.0


class Consumers:
    """The durable consumers of one service, on one FastStream broker."""

    def __init__(self, url: str, service: str, connection: Connection) -> None:
        """Prepare; `start` connects. `connection` is where dead letters go and the watchdog looks."""
        self._service = service
        self._connection = connection
        self._dead = DeadLetters(connection)
        self._declared: list[Consumer] = []
        self._dead_counters: dict[str, Any] = {}
        self._stalled_since: dict[str, tuple[int, float]] = {}
        self._inbox = f"_INBOX_{service}-consumers."
        self._broker = NatsBroker(
            url,
            name=f"{service}-consumers",
            apply_types=False,
            logger=None,
            max_reconnect_attempts=-1,
            # Typed as whole seconds; nats-py itself takes fractions.
            reconnect_time_wait=cast("int", RECONNECT_WAIT_SECONDS),
            graceful_timeout=DRAIN_SECONDS,
            inbox_prefix=self._inbox.rstrip("."),
            middlewares=(self._guard,),
        )
        self._on_dead: dict[str, OnDead] = {}

    def add(self, consumer: Consumer, handle: Handle, *, on_dead: OnDead | None = None) -> None:
        """Bind a declared consumer to a function; `on_dead` hears of what is given up."""
        self._declared.append(consumer)
        self._dead_counters[consumer.name] = metrics.counter(
            "tracseq_dead_letters_total", service=self._service, consumer=consumer.name
        )
        if on_dead is not None:
            self._on_dead[consumer.name] = on_dead
        subscriber = self._broker.subscriber(
            consumer.filter,
            durable=consumer.name,
            stream=JStream(consumer.stream, declare=False),
            pull_sub=PullSub(batch_size=BATCH_SIZE, timeout=PULL_TIMEOUT_SECONDS),
            max_workers=WORKERS_MAX,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            inbox_prefix=self._inbox.encode(),
            decoder=_decode,
        )
        subscriber(handle)

    def _guard(self, message: Any, /, *, context: Any) -> "Guard":  # noqa: ANN401 - FastStream's own factory shape
        return Guard(message, context=context, owner=self)

    async def start(self) -> None:
        """Begin to pull.

        Raises:
            MissingStream: a declared consumer is not there: the provisioner has not run.
        """
        if not self._declared:
            return
        for consumer in self._declared:
            try:
                await self._connection.js.consumer_info(consumer.stream, consumer.name)
            except NotFoundError as error:
                raise MissingStream(
                    f"consumer {consumer.name} is not there: run `tracseq provision`"
                ) from error
        await self._broker.start()

    async def stop(self) -> None:
        """Finish what is under way, then stop pulling."""
        if self._declared:
            await self._broker.stop()

    async def check(self, now: float) -> None:
        """Raise where a consumer is gone, or has work that nobody pulls: the watchdog of readiness.

        Raises:
            RuntimeError: names the consumer and what is wrong.
        """
        for consumer in self._declared:
            info = await self._connection.js.consumer_info(consumer.stream, consumer.name)
            pending, waiting = info.num_pending or 0, info.num_waiting or 0
            metrics.gauge(
                "tracseq_consumer_pending", service=self._service, consumer=consumer.name
            ).set(pending)
            progress = info.delivered.consumer_seq if info.delivered else 0
            before = self._stalled_since.get(consumer.name)
            if pending == 0 or waiting > 0 or before is None or before[0] != progress:
                self._stalled_since[consumer.name] = (progress, now)
            elif now - before[1] > STALLED_AFTER_SECONDS:
                raise RuntimeError(
                    f"consumer {consumer.name} has {pending} waiting and nobody pulls"
                )

    async def failed(self, message: "NatsMessage", error: Exception) -> None:
        """Decide on a message whose handling failed: always raises FastStream's signal for it."""
        raw = message.raw_message
        metadata = raw.metadata
        decided = after_failure(error, metadata.num_delivered or 1)
        if not isinstance(decided, Dead):
            log.warning(
                "message.retry",
                consumer=metadata.consumer,
                subject=raw.subject,
                delivered=metadata.num_delivered,
                after_seconds=decided.after_seconds,
                error=repr(error),
                exc_info=None if isinstance(error, Retryable) else error,
            )
            raise NackMessage(delay=decided.after_seconds) from error
        try:
            await self._dead.bury(
                consumer=metadata.consumer,
                stream=metadata.stream,
                subject=raw.subject,
                seq=metadata.sequence.stream,
                deliveries=metadata.num_delivered or 1,
                reason=decided.reason,
                headers=raw.headers or {},
                body=raw.data,
            )
            await self._tell(metadata.consumer, raw, error)
        except Retryable as unwell:
            raise NackMessage(delay=1) from unwell
        self._dead_counters[metadata.consumer].inc()
        log.error(
            "message.dead",
            consumer=metadata.consumer,
            subject=raw.subject,
            reason=decided.reason,
            exc_info=error,
        )
        raise RejectMessage from error

    async def _tell(self, consumer: str, raw: Msg, error: Exception) -> None:
        on_dead = self._on_dead.get(consumer)
        if on_dead is not None:
            try:
                delivery = read_delivery(raw)
            except ValueError:
                return
            await on_dead(delivery, error)


class Guard(BaseMiddleware):
    """Stands around every handler: says that it is at work, and decides what becomes of a failure."""

    def __init__(self, message: Any, /, *, context: Any, owner: Consumers) -> None:  # noqa: ANN401 - FastStream's own shape
        """Made by FastStream, once per message."""
        super().__init__(message, context=context)
        self._owner = owner
        self._timer: asyncio.TimerHandle | None = None
        self._beats: set[asyncio.Task[None]] = set()

    async def consume_scope(self, call_next: Any, msg: Any) -> Any:  # noqa: ANN401 - FastStream's own shape
        """Handle one message."""
        self._arm(cast("Msg", msg.raw_message))
        try:
            return await call_next(msg)
        except (AckMessage, NackMessage, RejectMessage):
            raise
        except Exception as error:  # noqa: BLE001 - the loop's edge: every failure becomes a retry or a dead letter
            await self._owner.failed(msg, error)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _arm(self, raw: Msg) -> None:
        self._timer = asyncio.get_running_loop().call_later(ACK_WAIT_SECONDS / 3, self._beat, raw)

    def _beat(self, raw: Msg) -> None:
        task = asyncio.get_running_loop().create_task(_at_work(raw))
        self._beats.add(task)
        task.add_done_callback(self._beats.discard)
        self._arm(raw)


async def _at_work(raw: Msg) -> None:
    try:
        await raw.in_progress()
    except NatsError as error:
        log.info("message.heartbeat_failed", subject=raw.subject, error=repr(error))


async def _decode(message: "NatsMessage") -> Delivery:
    return read_delivery(message.raw_message)


def read_delivery(raw: Msg) -> Delivery:
    """Read a delivered message.

    Raises:
        EnvelopeError: it is no CloudEvent, and no advisory where the broker's own advisories lie.
    """
    metadata, headers = raw.metadata, raw.headers or {}
    is_advisory = metadata.stream == subjects.ADVISORIES
    return Delivery(
        envelope=read_advisory(raw.data) if is_advisory else parse(headers, raw.data),
        headers=headers,
        subject=raw.subject,
        stream=metadata.stream,
        seq=metadata.sequence.stream,
        delivered=metadata.num_delivered or 1,
    )
