"""The NATS client as this project uses it: what a message costs on its way in and out, cut down.

Three of its steps are done anew here, on the wire the same: headers are written in one go, headers
are read in one go, and what comes to a subscription that is `delivered` reaches its reader at once,
without a queue and a task in between. And a connection that is lost again while it comes back is
tried again, whatever that looked like. Everything else, and every odd case, is left to the client.
It knows nothing of streams.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import Header

from infra.clock import SYSTEM

Reader = Callable[[Msg], None]

RECONNECT_WAIT_SECONDS = 0.2
"""Between two attempts to connect again."""

NAMES_MAX = 1_024
"""Header names whose written form is remembered."""
_LINE = b"NATS/1.0\r\n"
_STATUS, _DESCRIPTION = Header.STATUS.value, Header.DESCRIPTION.value
_OTHER_IN_NAMES = frozenset("!#$%&'*+-.^_`|~")
_STATUS_AT = len("NATS/1.0 ")

log = structlog.get_logger(__name__)


class Client(NatsClient):
    """A client whose subscriptions may be read without a queue."""

    def __init__(self) -> None:
        """Prepare; nothing is connected."""
        super().__init__()
        self._readers: dict[int, Reader] = {}

    def deliver(self, subscription: Subscription, reader: Reader) -> None:
        """Hand everything that comes to a subscription to a reader, which must not wait or fail.

        What is under way is the reader's to bound: nothing is dropped for it.
        """
        self._readers[subscription._id] = reader  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the broker calls it

    def undeliver(self, subscription: Subscription) -> None:
        """Hand over nothing more."""
        self._readers.pop(subscription._id, None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above

    async def _attempt_reconnect(self) -> None:
        """Connect again until it is done; the client's own way ends at what it did not foresee.

        uvloop says RuntimeError of a connection that is closed while its first words are written,
        and a line that was cut off is no JSON: the process would stay cut off from the broker.
        """
        while not self.is_closed:
            try:
                await super()._attempt_reconnect()
            except Exception as error:  # noqa: BLE001 - whatever it was, the broker is needed
                log.warning("nats.reconnect_failed", error=repr(error), consequence="tried again")
            else:
                return
            self._status = NatsClient.RECONNECTING
            await SYSTEM.sleep(RECONNECT_WAIT_SECONDS)

    async def _process_msg(  # noqa: PLR0917 - the client's own shape
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None
    ) -> None:
        reader = self._readers.get(sid)
        if reader is None:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - None where there are none
            return
        message = Msg(
            _client=self,
            subject=subject.decode(),
            reply=reply.decode(),
            data=data,
            headers=read_headers(headers) if headers else None,
        )
        reader(message)

    async def _send_publish(  # noqa: PLR0917 - the client's own shape
        self,
        subject: str,
        reply: str,
        payload: bytes,
        payload_size: int,
        headers: dict[str, Any] | None,
    ) -> None:
        written = write_headers(headers) if headers else None
        if written is None:
            await super()._send_publish(subject, reply, payload, payload_size, headers)
            return
        size = len(written)
        command = f"HPUB {subject} {reply} {size} {size + payload_size}\r\n".encode()
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += payload_size
        await self._send_command(b"".join((command, written, payload, b"\r\n")))
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()


def write_headers(headers: Mapping[str, str]) -> bytes | None:
    """Write headers as they travel; None where that needs more care, such as a line break."""
    lines: list[str] = []
    for name, value in headers.items():
        begun = _begun(name)
        if begun is None:
            return None
        lines += (begun, value, "\r\n")
    text = "".join(lines)
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        return None
    return _LINE + text.encode() + b"\r\n"


@lru_cache(maxsize=NAMES_MAX)
def _begun(name: str) -> str | None:
    """Write the beginning of a header's line; None where the name cannot stand there."""
    good = all(c.isascii() and (c.isalnum() or c in _OTHER_IN_NAMES) for c in name)
    return f"{name}: " if name and good else None


def read_headers(raw: bytes) -> dict[str, str] | None:
    """Read headers as they came, with the broker's status among them; None where there is none."""
    first, *lines = raw.decode("utf-8", "replace").split("\r\n")
    headers: dict[str, str] = {}
    if len(first) >= _STATUS_AT:
        status, _, description = first[_STATUS_AT:].strip().partition(" ")
        if status.isdigit():
            headers[_STATUS] = status
        if description:
            headers[_DESCRIPTION] = description
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.strip()
        if colon and name.isascii() and len(name.split()) == 1:
            headers[name] = value.strip()
    return headers or None
