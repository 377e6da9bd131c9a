"""Requests over one subscription: an address of its own for each, and what comes back there.

The client's own `request` waits with `asyncio.wait_for`, which in Python 3.11 loses a cancellation
that comes together with the answer: a loop that is told to stop would go on. Nothing here does.
What is asked, and what an answer means, is decided elsewhere.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

from nats.aio.msg import Msg

from infra.bus.client import Client
from infra.bus.errors import BrokerUnavailable


class Mailbox:
    """What comes to one address, in order; one waits for it at a time."""

    __slots__ = ("_error", "_letters", "_waiter", "address")

    def __init__(self, address: str = "") -> None:
        """Start empty."""
        self.address = address
        self._letters: deque[Msg] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    def put(self, letter: Msg) -> None:
        """Take in what came."""
        self._letters.append(letter)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Say that nothing more will come; whoever waits, or will, hears it after what is here."""
        self._error = error
        self._wake()

    def take_all(self, at_most: int) -> list[Msg]:
        """Give what is here already."""
        return [self._letters.popleft() for _ in range(min(at_most, len(self._letters)))]

    async def take(self, timeout_seconds: float) -> Msg:
        """Wait for one.

        Raises:
            TimeoutError: none came in time.
            BrokerUnavailable: none will come: the connection was lost.
        """
        while not self._letters:
            if self._error is not None:
                raise self._error
            await self._wait(timeout_seconds)
        return self._letters.popleft()

    async def _wait(self, timeout_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        expiry = loop.call_later(max(0.0, timeout_seconds), _expire, waiter)
        try:
            await waiter
        finally:
            expiry.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


class Requests:
    """Every request of one connection."""

    def __init__(self, client: Client) -> None:
        """Use a client; `start` subscribes once it is connected."""
        self._client = client
        self._inbox = ""
        self._open: dict[str, Mailbox] = {}
        self._fragile: set[Mailbox] = set()
        self._count = 0

    async def start(self) -> None:
        """Begin to take answers."""
        self._inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(f"{self._inbox}.*")
        # Nothing comes here that was not asked for, so there is no queue to bound.
        self._client.deliver(subscription, self._on_letter)

    @contextmanager
    def mailbox(self, *, survives: bool = False) -> Generator[Mailbox]:
        """Open an address while a `with` lasts; one that `survives` outlives the connection."""
        box = self._begin(survives=survives)
        try:
            yield box
        finally:
            self._end(box)

    def _begin(self, *, survives: bool) -> Mailbox:
        self._count += 1
        token = str(self._count)
        box = self._open[token] = Mailbox(f"{self._inbox}.{token}")
        if not survives:
            self._fragile.add(box)
        return box

    def _end(self, box: Mailbox) -> None:
        del self._open[box.address.rpartition(".")[2]]
        self._fragile.discard(box)

    @contextmanager
    def watched(self, box: Mailbox) -> Generator[None]:
        """Let a mailbox with a subscription of its own hear of the loss of the connection."""
        self._fragile.add(box)
        try:
            yield
        finally:
            self._fragile.discard(box)

    async def request(
        self,
        subject: str,
        body: bytes,
        headers: dict[str, str] | None,
        *,
        timeout_seconds: float,
    ) -> Msg:
        """Send, and wait for the one answer.

        Raises:
            TimeoutError: no answer came in time.
            BrokerUnavailable: the connection was lost meanwhile.
            nats.errors.Error: the client could not send.
        """
        # As `mailbox`, without the cost of a `with`: this is most of what the broker is asked.
        box = self._begin(survives=False)
        try:
            await self.post(box, subject, body, headers)
            return await box.take(timeout_seconds)
        finally:
            self._end(box)

    async def post(
        self, box: Mailbox, subject: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        """Send, with a mailbox as the address for what comes back."""
        await self.send(subject, body, headers, reply=box.address)

    async def send(
        self, subject: str, body: bytes, headers: dict[str, str] | None = None, *, reply: str = ""
    ) -> None:
        """Send, and wait for nothing.

        Raises:
            ConnectionResetError: the socket is closed, and the client has not heard of it yet.
            nats.errors.Error: the client could not send.
        """
        try:
            await self._client.publish(subject, body, reply=reply, headers=headers)
        except RuntimeError as error:
            # What uvloop says of a socket that is closed; the client passes it on as it is.
            raise ConnectionResetError(f"nothing was sent to {subject}: {error}") from error

    def connection_lost(self) -> None:
        """Tell everyone who waits that no answer will come."""
        lost = BrokerUnavailable("the connection to NATS was lost before an answer came")
        for box in self._fragile:
            box.fail(lost)

    def _on_letter(self, letter: Msg) -> None:
        box = self._open.get(letter.subject.rpartition(".")[2])
        if box is not None:
            box.put(letter)
