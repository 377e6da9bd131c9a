"""One e-mail to one mail server: written, handed over, the server's answer judged.

A connection is used for one e-mail: a laboratory tells few people, and a fresh one is never stale.
Each goes through the circuit breaker `smtp`: a server that is away is not asked by every e-mail
anew. Nothing is tried twice here.
"""

import asyncio
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Self

import aiosmtplib
from aiosmtplib import SMTP

from contracts.errors import Retryable
from infra.breaker import (
    BreakerRegistry,
    CircuitBreaker,
    CircuitBreakerConfig,
    RequestTimeoutError,
)
from services.notification.domain import Email, Notification
from services.notification.settings import Settings

PERMANENT = 500
"""Replies from here on are final (RFC 5321, 4.2.1)."""
CLOSING = 421
"""The server's own reply that it takes nothing from anyone now."""
REPLIES_MAX = 8
"""Of one conversation: greeting, EHLO twice, STARTTLS, AUTH, sender, recipient, the mail."""
RECOVERY_SECONDS_MAX = 30.0


# Ordinary words and dots on both sides, in any script. What else RFC 5322 allows (quotes, comments,
# literals) nobody writes, and the standard library trips over some of it.
_ADDRESS = re.compile(r"([\w!#$%&'*+/=?^`{|}~.-]+)@([\w-]+(?:\.[\w-]+)*)")


class MailRefusedError(Exception):
    """This e-mail will never arrive; the text says why."""


class MailDelayed(Retryable):
    """The mail server cannot take this e-mail now."""


class MailServerUnwell(MailDelayed):
    """The mail server takes no e-mail now, whoever it is for."""


def compose(notification: Notification, email: Email, *, sender: str) -> EmailMessage:
    """Write an e-mail; the same notification to the same recipient has the same Message-ID.

    Raises:
        MailRefusedError: the address cannot stand in a mail.
    """
    message = EmailMessage()
    message["From"] = sender
    message["Subject"] = notification.title
    message["Date"] = format_datetime(notification.requested_at)
    message["Message-ID"] = f"<{email.token}@tracseq>"
    message["Auto-Submitted"] = "auto-generated"
    message["To"] = _address(email.recipient)
    message.set_content(notification.message + "\n")
    return message


class Mailer:
    """Hands e-mails to one server, over a bounded number of connections."""

    def __init__(self, settings: Settings, host: str, breaker: CircuitBreaker) -> None:
        """Prepare; nothing is connected."""
        self._settings = settings
        self._host = host
        self._breaker = breaker
        # E-mails wait for a connection here, no more than `under_way_max` of them: the breaker
        # would refuse them.
        self._connections = asyncio.Semaphore(settings.connections_max)

    @classmethod
    def of(cls, settings: Settings, breakers: BreakerRegistry) -> Self | None:
        """Make one, where a mail server is set."""
        if settings.smtp_host is None:
            return None
        breaker = breakers.get("smtp", _numbers(settings), exclude=(_is_of_one_mail,))
        return cls(settings, settings.smtp_host, breaker)

    async def send(self, notification: Notification, email: Email) -> str:
        """Hand over one e-mail; give what the server said when it took it.

        Raises:
            MailRefusedError: the server said no for good, or the address is none.
            MailDelayed: it cannot be reached, cannot be trusted, or said not now.
            CircuitBreakerError: it was not asked, since it did not answer a moment ago.
        """
        message = compose(notification, email, sender=self._settings.smtp_from)
        async with self._connections:
            try:
                return await self._breaker.call(self._hand_over, message, email.recipient)
            except RequestTimeoutError as error:
                raise MailServerUnwell(f"{self._host}: {error}") from error

    async def _hand_over(self, message: EmailMessage, recipient: str) -> str:
        sender = self._settings.smtp_from
        try:
            async with self._connect() as smtp:
                _, said = await smtp.send_message(message, sender=sender, recipients=[recipient])
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged(error.recipients[0]) from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise _judged(error) from error
        except (aiosmtplib.SMTPNotSupported, ValueError) as error:
            raise MailRefusedError(str(error)) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailServerUnwell(f"{self._host}: {error}") from error
        return said

    def _connect(self) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=self._host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            start_tls=settings.smtp_starttls,
            timeout=settings.smtp_timeout_seconds,
        )


def _address(text: str) -> Address:
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise MailRefusedError(f"{text!r} is no address that e-mails are sent to: correct it")
    return Address(username=found[1], domain=found[2])


def _numbers(settings: Settings) -> CircuitBreakerConfig:
    return CircuitBreakerConfig(
        # Each answer has a bound of its own; this ends a server that uses it up every time.
        request_timeout=REPLIES_MAX * settings.smtp_timeout_seconds,
        max_concurrent_requests=settings.connections_max,
        # Never longer than an e-mail would have waited for its own next attempt.
        recovery_timeout=min(RECOVERY_SECONDS_MAX, settings.retry_max_seconds),
        success_threshold=1,
    )


def _is_of_one_mail(error: Exception) -> bool:
    """Tell what is wrong with one e-mail (its address, a grey list) from a server that is away."""
    return not isinstance(error, MailServerUnwell)


def _judged(reply: aiosmtplib.SMTPResponseException) -> MailRefusedError | MailDelayed:
    text = f"{reply.code} {reply.message}"
    if reply.code == CLOSING:
        return MailServerUnwell(text)
    return MailRefusedError(text) if reply.code >= PERMANENT else MailDelayed(text)
