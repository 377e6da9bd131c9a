"""What stands around every handler: a sign of life while it works, and a verdict when it fails.

A failure becomes a later delivery or a dead letter, never a message that is gone. Which of the two
is decided in `retry.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts import subjects
from contracts.envelope import parse
from contracts.errors import Retryable
from infra.bus.advisories import read_advisory
from infra.bus.connection import Connection
from infra.bus.dead import DeadLetters
from infra.bus.delivery import Delivery
from infra.bus.retry import Again, Dead, after_failure
from infra.bus.streams import ACK_WAIT_SECONDS
from infra.telemetry import metrics

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = ACK_WAIT_SECONDS / 3
UNWELL_WAIT_SECONDS = 1.0
"""How long a message waits that could not even be made a dead letter."""

Handle = Callable[[Delivery], Awaitable[None]]
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

    async def failed(self, raw: Msg, error: Exception) -> Again | Dead:
        """Decide on a message; a dead letter is kept before it is given up."""
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
            return decided
        try:
            await self._bury(raw, decided.reason)
            await self._tell(raw, error)
        except Retryable:
            return Again(UNWELL_WAIT_SECONDS)
        log.error(
            "message.dead",
            consumer=metadata.consumer,
            subject=raw.subject,
            reason=decided.reason,
            exc_info=error,
        )
        return decided

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


async def guarded(raw: Msg, handle: Handle, verdicts: Verdicts) -> None:
    """Handle one message, and tell the broker what becomes of it; cancelled, it says nothing."""
    beats = _Beats(raw)
    decided: Again | Dead | None = None
    try:
        # Read here: what cannot be read is a failure like any other.
        await handle(read_delivery(raw))
    except Exception as error:  # noqa: BLE001 - the loop's edge: every failure gets its verdict
        decided = await verdicts.failed(raw, error)
    finally:
        beats.stop()
    try:
        await _settle(raw, decided)
    except (NatsError, OSError, RuntimeError) as error:
        # It comes again once the broker has waited long enough. uvloop says RuntimeError of a
        # socket that is closed.
        log.info("message.not_settled", subject=raw.subject, error=repr(error))


async def _settle(raw: Msg, decided: Again | Dead | None) -> None:
    match decided:
        case None:
            await raw.ack()
        case Again(after_seconds=seconds):
            await raw.nak(delay=seconds)
        case Dead():
            await raw.term()


class _Beats:
    """Says now and then that a message is being worked on."""

    __slots__ = ("_beats", "_raw", "_timer")

    def __init__(self, raw: Msg) -> None:
        self._raw = raw
        self._beats: set[asyncio.Task[None]] = set()
        self._arm()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        task = asyncio.get_running_loop().create_task(_at_work(self._raw))
        self._beats.add(task)
        task.add_done_callback(self._beats.discard)
        self._arm()

    def stop(self) -> None:
        """Say nothing more."""
        self._timer.cancel()


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
