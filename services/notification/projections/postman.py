"""Sends the e-mails that the log says are to be sent, and records in the log what became of each.

What is still to be sent is folded from the log at every start, so nothing else is kept, and no
e-mail is lost. A stop or crash between the server's yes and the record of it sends that e-mail once
more: under the same Message-ID, by which mail programs that look for twins recognise them; others
show both. The same holds for two processes of this service at once. Attempts are counted anew at
every start. While the circuit breaker spares the mail server e-mails wait here: that is what is
done instead, and it is no attempt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random_exponential,
)

from contracts import subjects
from contracts.errors import Retryable
from contracts.message import Event
from infra.breaker import CircuitBreakerError
from infra.bus.context import Context
from infra.clock import Clock
from infra.log.log import Aggregates
from services.notification import domain
from services.notification.domain import Email, Notification, Outbox
from services.notification.projections.mail import MailDelayed, Mailer, MailRefusedError
from services.notification.settings import Live, Settings

ACTOR = "notification"
BROKER_ATTEMPTS_MAX = 720
"""For reading or writing the log: with `BROKER_WAIT_MAX_SECONDS` an hour."""
BROKER_WAIT_MAX_SECONDS = 5.0
SPARED_SECONDS_MIN = 0.1
"""Between two looks whether the mail server is asked again."""

ResultT = TypeVar("ResultT")
Record = Callable[[Notification | None, Email, str], Sequence[Event]]

_log = structlog.get_logger(__name__)


class Postman:
    """Keeps sending until the outbox is empty, and then as it fills."""

    def __init__(
        self,
        notifications: Aggregates[Notification],
        mailer: Mailer | None,
        settings: Settings,
        *,
        live: Callable[[], Live],
        clock: Clock,
    ) -> None:
        """Prepare; without a mailer what is to be sent is recorded as failed.

        `live` gives what the configuration says at the moment.
        """
        self._notifications = notifications
        self._mailer = mailer
        self._settings = settings
        self._live = live
        self._clock = clock

    async def run(self) -> None:
        """Follow the log for ever, from the beginning: it alone knows what is still to be sent."""
        log = self._notifications.log
        outbox, head = Outbox(), await log.head()
        room = asyncio.Semaphore(self._settings.under_way_max)
        async with asyncio.TaskGroup() as under_way:
            async for entries in log.follow(0):
                for entry in entries:
                    outbox.apply(entry)
                if entries[-1].seq < head:
                    # What is to be sent here may be sent already, further on.
                    continue
                for email in outbox.take():
                    await room.acquire()
                    sending = under_way.create_task(self._see_to(email))
                    sending.add_done_callback(lambda _: room.release())

    async def _see_to(self, email: Email) -> None:
        """Bring one e-mail to its end, whatever that is."""
        loaded = await self._patiently(lambda: self._notifications.get(email.notification_id))
        notification = loaded.state
        if notification is None or not domain.is_pending(notification, email.recipient):
            return
        record, detail = await self._send(notification, email)
        await self._patiently(
            lambda: self._notifications.execute(
                email.notification_id,
                lambda current: record(current, email, detail),
                self._context(email),
            )
        )
        _log.info("email.ended", how=record.__name__, email=email.token, detail=detail)

    async def _send(self, notification: Notification, email: Email) -> tuple[Record, str]:
        """Try until the server takes it, refuses it, or the bounds are reached."""
        if self._mailer is None:
            return domain.failed, domain.NO_MAIL_SERVER
        if not self._live().email_enabled:
            return domain.failed, domain.EMAIL_OFF
        until = self._clock.monotonic() + self._settings.give_up_seconds
        try:
            return domain.delivered, await self._retrying(email)(
                self._attempt, self._mailer, notification, email, until
            )
        except MailRefusedError as error:
            return domain.failed, str(error)
        except MailDelayed as error:
            return domain.failed, f"given up: {error}"
        except Exception as error:  # noqa: BLE001 - the loop's edge: one odd e-mail keeps no others
            _log.exception("email.unexpected", email=email.token)
            return domain.failed, f"cannot be sent: {type(error).__name__}"

    async def _attempt(
        self, mailer: Mailer, notification: Notification, email: Email, until: float
    ) -> str:
        """Hand over one e-mail once its server is not spared any more, until it is to be given up.

        Raises:
            MailRefusedError, MailDelayed: as `Mailer.send`.
        """
        while True:
            try:
                return await mailer.send(notification, email)
            except CircuitBreakerError as spared:
                wait_seconds = max(spared.retry_after, SPARED_SECONDS_MIN)
                if self._clock.monotonic() + wait_seconds >= until:
                    raise MailDelayed(str(spared)) from spared
            await self._clock.sleep(wait_seconds)

    def _retrying(self, email: Email) -> AsyncRetrying:
        settings = self._settings

        def tell(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            wait_seconds = state.next_action.sleep if state.next_action else 0
            _log.warning(
                "email.delayed",
                email=email.token,
                attempt=state.attempt_number,
                again_in_seconds=round(wait_seconds, 3),
                error=str(error),
            )

        return AsyncRetrying(
            retry=retry_if_exception_type(MailDelayed),
            stop=self._is_last,
            wait=wait_random_exponential(
                multiplier=settings.retry_first_seconds, max=settings.retry_max_seconds
            ),
            sleep=self._clock.sleep,
            before_sleep=tell,
            reraise=True,
        )

    def _is_last(self, state: RetryCallState) -> bool:
        """Say whether an e-mail was tried often or long enough, by what is in force now."""
        settings, again_max = self._settings, self._live().max_retry_attempts
        attempts_max = settings.attempts_max if again_max is None else 1 + again_max
        tried_seconds = state.seconds_since_start or 0.0
        return state.attempt_number >= attempts_max or tried_seconds >= settings.give_up_seconds

    async def _patiently(self, call: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Read or write the log over an outage of the broker: what happened must be recorded."""

        async def awaited() -> ResultT:
            return await call()

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            stop=stop_after_attempt(BROKER_ATTEMPTS_MAX),
            wait=wait_exponential(multiplier=0.1, max=BROKER_WAIT_MAX_SECONDS),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return await retrying(awaited)

    def _context(self, email: Email) -> Context:
        return Context(
            # The same at every attempt to record it: the log takes it once.
            message_id=f"email:{subjects.fingerprint(email.token)}",
            actor=ACTOR,
            correlation=email.correlation,
            now=self._clock.now(),
            traceparent=email.traceparent,
        )
