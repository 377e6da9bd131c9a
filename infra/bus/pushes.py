"""Hears what is repeated to whoever listens: nothing is stored for the listener, nor acknowledged.

What is sent while the connection is down is not heard: whoever listens reads again after it. What a
push means is not known here.
"""

from collections.abc import Callable

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from infra.bus.connection import Connection

log = structlog.get_logger(__name__)


class Pushes:
    """One subject, listened to; over reconnects too."""

    def __init__(self, connection: Connection, subject: str, hear: Callable[[bytes], None]) -> None:
        """Say what to do with each body; it must not wait."""
        self._connection = connection
        self._subject = subject
        self._hear = hear
        self._subscription: Subscription | None = None

    @property
    def listening(self) -> bool:
        """Whether `start` was done."""
        return self._subscription is not None

    async def start(self) -> None:
        """Listen, from now on; needs a connection that is up."""
        if self._subscription is None:
            nats = self._connection.nats
            self._subscription = await nats.subscribe(self._subject)
            nats.deliver(self._subscription, self._on_message)

    def _on_message(self, message: Msg) -> None:
        try:
            self._hear(message.data)
        except Exception:
            log.exception("push.failed", subject=message.subject)
