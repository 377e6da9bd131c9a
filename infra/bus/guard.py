"""What stands around every handler: a sign of life while it works, and a verdict when it fails.

A failure becomes a later delivery or a dead letter, never a message that is gone. Which of the two
is decided in `retry.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import structlog
from faststream import BaseMiddleware
from faststream.exceptions import AckMessage, NackMessage, RejectMessage
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts import subjects
from contracts.envelope import parse
from contracts.errors import Retryable
from infra.bus.advisories import read_advisory
from infra.bus.connection import Connection
from infra.bus.dead import DeadLetters
from infra.bus.delivery import Delivery
from infra.bus.retry import Dead, after_failure
from infra.bus.streams import ACK_WAIT_SECONDS
from infra.telemetry import metrics

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = ACK_WAIT_SECONDS / 3
UNWELL_WAIT_SECONDS = 1.0
"""How long a message waits that could not even be made a dead letter."""

OnDead = Callable[[Delivery, BaseException], Awaitable[None]]


class Verdicts:
    """Decides what becomes of messages whose handling failed, for the consumers of one service."""

    def __init__(self, connection: Connection, service: str) -> None:
        """Say where dead letters go."""
        self._dead = DeadLetters(connection)
        self._service = service
        self._on_dead: dict[str, OnDead] = {}

    def tell(self, consumer: str, on_dead: OnDead) -> None:
        """Say who hears of a consumer's dead letters."""
        self._on_dead[consumer] = on_dead

    async def failed(self, raw: Msg, error: Exception) -> None:
        """Decide on a message.

        Raises:
            NackMessage: it comes again later.
            RejectMessage: it is a dead letter, kept before it is given up.
        """
        metadata = raw.metadata
        delivered = metadata.num_delivered or 1
        decided = after_failure(error, delivered)
        if not isinstance(decided, Dead):
            log.warning(
                "message.retry",
                consumer=metadata.consumer,
                subject=raw.subject,
                delivered=delivered,
                after_seconds=decided.after_seconds,
                error=repr(error),
                exc_info=None if isinstance(error, Retryable) else error,
            )
            raise NackMessage(delay=decided.after_seconds) from error
        try:
            await self._bury(raw, decided.reason)
            await self._tell(raw, error)
        except Retryable as unwell:
            raise NackMessage(delay=UNWELL_WAIT_SECONDS) from unwell
        log.error(
            "message.dead",
            consumer=metadata.consumer,
            subject=raw.subject,
            reason=decided.reason,
            exc_info=error,
        )
        raise RejectMessage from error

    async def _bury(self, raw: Msg, reason: str) -> None:
        metadata = raw.metadata
        await self._dead.bury(
            consumer=metadata.consumer,
            stream=metadata.stream,
            subject=raw.subject,
            seq=metadata.sequence.stream,
            deliveries=metadata.num_delivered or 1,
            reason=reason,
            headers=raw.headers or {},
            body=raw.data,
        )
        metrics.counter(
            "tracseq_dead_letters_total", service=self._service, consumer=metadata.consumer
        ).inc()

    async def _tell(self, raw: Msg, error: Exception) -> None:
        on_dead = self._on_dead.get(raw.metadata.consumer)
        if on_dead is None:
            return
        try:
            await on_dead(read_delivery(raw), error)
        except Retryable:
            raise
        except Exception:
            # Whoever waits hears nothing, and the letter is kept: it must not come again for that.
            log.exception("message.dead_untold", subject=raw.subject)


class Guard(BaseMiddleware):
    """Stands around one handling of one message."""

    def __init__(self, message: Any, /, *, context: Any, verdicts: Verdicts) -> None:  # noqa: ANN401 - FastStream's own shape
        """Made by FastStream, once per message."""
        super().__init__(message, context=context)
        self._verdicts = verdicts
        self._timer: asyncio.TimerHandle | None = None
        self._beats: set[asyncio.Task[None]] = set()

    async def consume_scope(self, call_next: Any, msg: Any) -> Any:  # noqa: ANN401 - FastStream's own shape
        """Handle one message."""
        raw = cast("Msg", msg.raw_message)
        self._arm(raw)
        try:
            return await call_next(msg)
        except (AckMessage, NackMessage, RejectMessage):
            raise
        except Exception as error:  # noqa: BLE001 - the loop's edge: every failure gets its verdict
            await self._verdicts.failed(raw, error)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _arm(self, raw: Msg) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat, raw)

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
