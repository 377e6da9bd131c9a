"""Group commit: appends that wait for the disk together go to it together.

Where every append is synced before it is acknowledged, a stream stores one after another, and the
queue before it is the cost. What queues up while others are under way is stored as one atomic batch
with one sync, and each entry keeps its own expectation. Nothing waits for company: alone, an append
leaves at once. What an entry says, and what a conflict means, is decided elsewhere.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from contracts.errors import Conflict, Retryable
from infra.bus.connection import BrokerRefused, Connection, NotSent
from infra.ids import new_id

Message = tuple[str, bytes, dict[str, str]]
"""Subject, body, headers."""

SINGLES_MAX = 4
"""Appends of one stream under way one by one; what comes on top of them queues up."""
BATCH_MAX = 500
BATCH_BYTES_MAX = 4 * 1024 * 1024
QUEUE_MAX = 10_000
"""Appends that may wait; one more is refused, to be tried again later."""
BATCH_FROM = 12
"""So many in the queue are stored together: the broker makes a staging area for each batch, however
small, which costs it as much as 6 synced appends on a slow disk and 15 on a quick one."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """An append in the queue, and who waits for it."""

    message: Message
    stored: asyncio.Future[int]

    def succeed(self, seq: int) -> None:
        """Say where it lies; whoever waited may have left."""
        if not self.stored.done():
            self.stored.set_result(seq)

    def fail(self, error: BaseException) -> None:
        """Say why it does not; whoever waited may have left."""
        if not self.stored.done():
            self.stored.set_exception(error)


class Gathering:
    """The appends of one process to one stream."""

    def __init__(self, connection: Connection) -> None:
        """Use a connection; nothing runs until something is appended."""
        self._connection = connection
        self._queue: deque[_Waiting] = deque()
        self._singles = 0
        self._committing = False
        self._running: set[asyncio.Task[None]] = set()

    async def append(self, message: Message) -> int:
        """Store one message with its own expectation, and give its sequence.

        Raises:
            Conflict: the expected last sequence was not the last.
            NotSent: nothing left this process.
            BrokerUnavailable: no acknowledgement came; it may be stored.
            MissingStream: no stream takes the subject.
        """
        alone = not self._committing and not self._queue and self._singles < SINGLES_MAX
        if alone or len(message[1]) > min(BATCH_BYTES_MAX, self._connection.nats.max_payload):
            self._singles += 1
            try:
                return (await self._connection.publish(*message)).seq
            finally:
                self._singles -= 1
                self._go_on()
        if len(self._queue) >= QUEUE_MAX:
            raise NotSent(f"{message[0]}: {QUEUE_MAX} appends wait already")
        waiting = _Waiting(message, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._go_on()
        return await waiting.stored

    # What may leave

    def _go_on(self) -> None:
        """Send what may leave now: nothing while a batch is under way, for others gather then."""
        if self._committing:
            return
        if len(self._queue) >= BATCH_FROM:
            self._committing = True
            batch = self._take()
            self._begin(self._store(batch), batch, self._committed)
            return
        while self._queue and self._singles < SINGLES_MAX:
            waiting = self._queue.popleft()
            if waiting.stored.done():
                continue
            self._singles += 1
            self._begin(self._one(waiting), [waiting], self._one_ended)

    def _committed(self) -> None:
        self._committing = False

    def _one_ended(self) -> None:
        self._singles -= 1

    def _take(self) -> list[_Waiting]:
        """Take from the queue what one batch holds; whoever left is left out."""
        taken: list[_Waiting] = []
        size_bytes = 0
        while self._queue and len(taken) < BATCH_MAX:
            size_bytes += len(self._queue[0].message[1])
            if taken and size_bytes > BATCH_BYTES_MAX:
                break
            waiting = self._queue.popleft()
            if not waiting.stored.done():
                taken.append(waiting)
        return taken

    def _begin(
        self,
        work: Coroutine[None, None, None],
        of: Sequence[_Waiting],
        afterwards: Callable[[], None],
    ) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            afterwards()
            # Nobody may wait for ever, whatever went wrong.
            error = NotSent("this process stops") if task.cancelled() else task.exception()
            if error is not None:
                for waiting in of:
                    waiting.fail(error)
            self._go_on()

        task.add_done_callback(ended)

    # Storing

    async def _one(self, waiting: _Waiting) -> None:
        try:
            waiting.succeed((await self._connection.publish(*waiting.message)).seq)
        except (Retryable, ValueError) as error:
            waiting.fail(error)

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        """Store all of it, in as few batches as its conflicts allow."""
        if len(batch) < BATCH_FROM:
            for waiting in batch:
                await self._one(waiting)
            return
        messages = [waiting.message for waiting in batch]
        try:
            stored = await self._connection.publish_batch(messages, batch_id=new_id().hex)
        except (Conflict, BrokerRefused):
            # Nothing of it was stored. Whoever lost a race must not take the others along.
            middle = len(batch) // 2
            await self._store(batch[:middle])
            await self._store(batch[middle:])
            return
        except Retryable as error:
            # Perhaps it was stored: whoever waits reads the log.
            for waiting in batch:
                waiting.fail(error)
            return
        first = stored.seq - len(batch) + 1
        for seq, waiting in enumerate(batch, start=first):
            waiting.succeed(seq)
