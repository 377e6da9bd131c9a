"""Durable consumers: this project pulls, FastStream keeps who takes what, and what came is begun.

The broker hands out at most `ack_pending_max` messages of a consumer, and each gets a task of its
own the moment it comes: none waits in this process without a sign of life, to be handed out twice.
What becomes of a message is decided around its handling (`guard.py`). Of FastStream's own stages
for a message none is used: there is one parser, one handler and one verdict for each. Streams and
consumers are never declared from here.
"""

import asyncio
from typing import Any, cast

import structlog
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts.errors import Retryable
from infra.bus.client import RECONNECT_WAIT_SECONDS
from infra.bus.connection import Connection
from infra.bus.errors import BrokerRefused, MissingStream
from infra.bus.guard import Handle, OnDead, Verdicts, guarded
from infra.bus.pull import Pull
from infra.bus.streams import Consumer
from infra.clock import SYSTEM, Clock
from infra.telemetry import metrics

log = structlog.get_logger(__name__)

AHEAD_MAX = 64
"""Messages asked for ahead of their coming."""
DRAIN_SECONDS = 10.0
RETRY_WAIT_SECONDS = 0.5
STALLED_AFTER_SECONDS = 15.0
CONSUMER_NOT_FOUND = 10014


class StalledError(RuntimeError):
    """A consumer has work, and nobody pulls it."""


class Consumers:
    """The durable consumers of one service, on one FastStream broker."""

    def __init__(
        self,
        url: str,
        service: str,
        connection: Connection,
        *,
        drain_seconds: float = DRAIN_SECONDS,
        clock: Clock = SYSTEM,
    ) -> None:
        """Prepare; `start` connects. Pulls, acknowledgements and dead letters use `connection`."""
        self._service = service
        self._connection = connection
        self._clock = clock
        self._verdicts = Verdicts(connection, service)
        self._intakes: dict[str, _Intake] = {}
        self._drain_seconds = drain_seconds
        self._stalled_since: dict[str, tuple[int, float]] = {}
        self._broker = NatsBroker(
            url,
            name=f"{service}-consumers",
            apply_types=False,
            logger=None,
            max_reconnect_attempts=-1,
            # Typed as whole seconds; nats-py itself takes fractions.
            reconnect_time_wait=cast("int", RECONNECT_WAIT_SECONDS),
            graceful_timeout=drain_seconds,
        )

    def add(
        self,
        consumer: Consumer,
        handle: Handle,
        *,
        on_dead: OnDead | None = None,
        waits: bool = False,
    ) -> None:
        """Bind a declared consumer to a function; `on_dead` hears of what is given up.

        One that `waits` is pulled only from `begin` until `end`.
        """
        if on_dead is not None:
            self._verdicts.tell(consumer.name, on_dead)
        subscriber = self._broker.subscriber(
            consumer.filter,
            durable=consumer.name,
            stream=JStream(consumer.stream, declare=False),
            pull_sub=PullSub(),
            ack_policy=AckPolicy.MANUAL,
        )

        async def on_message(raw: Msg) -> None:
            # FastStream waits at its end for whoever holds this.
            with subscriber.lock:
                await guarded(raw, handle, self._verdicts)

        subscriber(on_message)
        subscriber.process_message = on_message  # type: ignore[method-assign,assignment]  # the stage that is left
        intake = _Intake(consumer, subscriber, self._connection, self._clock, waits=waits)
        self._intakes[consumer.name] = intake

    async def start(self) -> None:
        """Begin to pull.

        Raises:
            MissingStream: a declared consumer is not there: the provisioner has not run.
            BrokerUnavailable: NATS does not answer.
        """
        for intake in self._intakes.values():
            await self._info(intake.consumer)
        if self._intakes:
            await self._broker.start()
        for intake in self._intakes.values():
            if not intake.waits:
                intake.start()

    def begin(self, name: str) -> None:
        """Begin to pull a consumer that waited for it."""
        self._intakes[name].start()

    async def end(self, name: str) -> None:
        """Pull a consumer no more, and finish what came of it within the drain time."""
        intake = self._intakes[name]
        await intake.pause()
        await intake.stop(within_seconds=self._drain_seconds)
        self._stalled_since.pop(name, None)

    async def stop(self) -> None:
        """Pull no more, finish what is under way within the drain time, then stop."""
        for intake in self._intakes.values():
            await intake.pause()
        if self._intakes:
            await self._broker.stop()
        for intake in self._intakes.values():
            await intake.stop()

    async def _info(self, consumer: Consumer) -> dict[str, Any]:
        try:
            return await self._connection.api(f"CONSUMER.INFO.{consumer.stream}.{consumer.name}")
        except BrokerRefused as refused:
            if refused.code != CONSUMER_NOT_FOUND:
                raise
            what = f"consumer {consumer.name} is not there: run `tracseq provision`"
            raise MissingStream(what) from refused

    async def check(self, now: float) -> None:
        """Raise where a consumer is gone, or has work that nobody pulls: the watchdog of readiness.

        Raises:
            MissingStream: a consumer is not there.
            StalledError: a consumer has had work for a while, and nobody asked for it.
            BrokerUnavailable: NATS does not answer.
        """
        for name, intake in list(self._intakes.items()):
            if intake.waits and not intake.pulls:
                # Somebody else pulls it.
                continue
            info = await self._info(intake.consumer)
            pending, waiting = int(info["num_pending"]), int(info["num_waiting"])
            metrics.gauge("tracseq_consumer_pending", service=self._service, consumer=name).set(
                pending
            )
            progress = int(info["delivered"]["consumer_seq"])
            if pending == 0 or waiting > 0:
                self._stalled_since.pop(name, None)
                continue
            seen, since = self._stalled_since.get(name, (-1, now))
            if seen != progress:
                self._stalled_since[name] = (progress, now)
            elif now - since > STALLED_AFTER_SECONDS:
                raise StalledError(f"consumer {name} has {pending} waiting and nobody pulls")


class _Intake:
    """Pulls one consumer, and gives each message to FastStream in a task of its own."""

    def __init__(
        self,
        consumer: Consumer,
        subscriber: Any,  # noqa: ANN401 - FastStream's classes are generic in more than is said
        connection: Connection,
        clock: Clock,
        *,
        waits: bool,
    ) -> None:
        self.consumer = consumer
        self.waits = waits
        self._subscriber = subscriber
        self._connection = connection
        self._clock = clock
        self._pulling: asyncio.Task[None] | None = None
        self._handling: set[asyncio.Task[Any]] = set()
        # FastStream makes no subscription of its own where there is one already.
        subscriber.subscription = _Elsewhere()

    @property
    def pulls(self) -> bool:
        """Whether anything is asked for."""
        return self._pulling is not None

    def start(self) -> None:
        """Begin to pull."""
        self._pulling = asyncio.create_task(self._pull(), name=f"pull {self.consumer.name}")

    async def pause(self) -> None:
        """Pull no more; what came and was not begun comes again, to whoever asks."""
        pulling, self._pulling = self._pulling, None
        if pulling is not None:
            pulling.cancel()
            await asyncio.wait({pulling})

    async def stop(self, *, within_seconds: float = 0) -> None:
        """Give up what is not done within a time: it comes again."""
        if self._handling and within_seconds:
            await asyncio.wait(self._handling, timeout=within_seconds)
        for task in self._handling:
            task.cancel()
        if self._handling:
            await asyncio.wait(self._handling)

    async def _pull(self) -> None:
        while True:
            try:
                async with Pull.open(
                    self._connection,
                    stream=self.consumer.stream,
                    consumer=self.consumer.name,
                    ahead_max=min(AHEAD_MAX, self.consumer.ack_pending_max),
                ) as pull:
                    while True:
                        for message in await pull.take():
                            self._begin(message)
            except (Retryable, NatsError) as error:
                log.info("pull.again", consumer=self.consumer.name, why=repr(error))
                await self._clock.sleep(RETRY_WAIT_SECONDS)

    def _begin(self, message: Msg) -> None:
        task = asyncio.create_task(self._subscriber.consume(message))
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)


class _Elsewhere:
    """Stands where FastStream keeps its own subscription: the pulling is done by `_Intake`."""

    async def fetch(self, batch: int = 1, timeout: float | None = None) -> list[Msg]:  # noqa: ASYNC109 - FastStream's own shape
        """Refuse: FastStream asks this only of a subscription that it made."""
        raise RuntimeError(f"the intake pulls, nobody else may: batch={batch}, timeout={timeout}")

    async def unsubscribe(self) -> None:
        """Do nothing: there is no subscription."""
