"""Take part in a group of leases: announce, take a fair share, renew, hand over, release.

One loop per process. A lease ends by this process's own clock as well: whoever stood still for
longer than a lease lasts knows so before it has asked anybody. What the leases are for is told to
it as two functions, which begin and end the work; nothing is decided about that work here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from contracts.errors import Retryable
from infra.bus.connection import Connection
from infra.bus.follow import Follower
from infra.bus.streams import LeaseGroup
from infra.clock import SYSTEM, Clock
from infra.lease.bucket import EVERYTHING, STREAM, LeaseBucket
from infra.lease.table import Lease, Me, Member, Table
from infra.telemetry import metrics

log = structlog.get_logger(__name__)

RENEWALS_PER_LIFE = 3
"""Two renewals may fail before a lease is lost."""
RETRY_WAIT_SECONDS = 0.2
"""Short: after an outage nothing is decided before the leases are renewed."""
EXPIRY_MARGIN_SECONDS = 0.05
"""How much later than another's end it is looked at."""

Move = Callable[[int], Awaitable[None]]
"""Begins or ends the work of one lease."""


class NotHeldError(Retryable):
    """This process does not hold the lease, or not surely any more: somebody else does the work."""


class LeasesStalledError(RuntimeError):
    """No look at the leases succeeded for longer than one lasts."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A lease that this process holds."""

    epoch: int
    until: float
    """On this process's own clock: a clock that is set back does not lengthen it."""


class Leases:
    """One process's part in one group."""

    def __init__(
        self,
        connection: Connection,
        service: str,
        group: LeaseGroup,
        me: Me,
        *,
        life_seconds: float,
        clock: Clock = SYSTEM,
    ) -> None:
        """Say who takes part in what; nothing is taken before `start`."""
        self.group = group
        self.me = me
        self._connection = connection
        self._life_seconds = life_seconds
        self._life = timedelta(seconds=life_seconds)
        self._clock = clock
        self._table = Table.of(group.count)
        self._bucket = LeaseBucket(connection, group)
        self._held: dict[int, _Held] = {}
        self._met = dict.fromkeys(range(group.count), 0)
        self._moves: dict[int, asyncio.Task[None]] = {}
        self._begin: Move = _nothing
        self._end: Move = _nothing
        self._wake = asyncio.Event()
        self._leaving = self._superseded = False
        self._renew_every_seconds = life_seconds / RENEWALS_PER_LIFE
        self._renewal_due_at = self._looked_at = clock.monotonic()
        self._owned = metrics.gauge("tracseq_leases_held", service=service)
        self._lost = metrics.counter("tracseq_leases_lost_total", service=service)
        self._conflicts = metrics.counter("tracseq_lease_conflicts_total", service=service)

    # What others ask

    @property
    def held(self) -> list[int]:
        """List the leases that this process surely holds now."""
        return [number for number in sorted(self._held) if self._holds(number)]

    def epoch(self, number: int) -> int:
        """Give the newest epoch of a lease that this process knows of, whoever holds it."""
        return max(self._table.leases[number].epoch, self._met[number])

    def require(self, number: int) -> int:
        """Give the epoch of a lease that this process holds.

        Raises:
            NotHeldError: it does not, or not surely any more.
        """
        if not self._holds(number):
            raise NotHeldError(f"lease {number} of {self.group.name} is not held here")
        return self._held[number].epoch

    def meet(self, number: int, epoch: int) -> None:
        """Take notice of an epoch that somebody worked under; a newer one than ours ends ours."""
        if epoch <= self._met[number]:
            return
        self._met[number] = epoch
        held = self._held.get(number)
        if held is not None and held.epoch < epoch:
            self._lose(number, f"somebody works under epoch {epoch}")
            self._wake.set()

    async def check(self) -> None:
        """Say whether this process takes part: part of readiness.

        Raises:
            LeasesStalledError: it could not look at the leases for too long.
        """
        silent_seconds = self._clock.monotonic() - self._looked_at
        if silent_seconds > self._life_seconds:
            what = f"the leases of {self.group.name} were looked at {silent_seconds:.0f} s ago"
            raise LeasesStalledError(what)

    def _holds(self, number: int) -> bool:
        held = self._held.get(number)
        return held is not None and self._clock.monotonic() < held.until

    # Life

    async def start(self, begin: Move, end: Move) -> None:
        """Take what is to be had now; `run` and `listen` go on with it until `stop`.

        Raises:
            WrongCountError: the group has another number of leases.
            MissingStream: the provisioner has not run.
            BrokerUnavailable: NATS does not answer.
        """
        self._begin, self._end = begin, end
        await self._look()

    async def run(self) -> None:
        """Look at the leases whenever there is a reason to, for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds()):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except Retryable as error:
                log.info("leases.again", group=self.group.name, error=repr(error))
                await self._clock.sleep(RETRY_WAIT_SECONDS)

    async def listen(self) -> None:
        """Have `run` look as soon as somebody comes, takes or releases; for ever."""
        follower = Follower(self._connection, STREAM, [EVERYTHING], clock=self._clock)
        async with aclosing(follower.batches(self._bucket.head)) as batches:
            async for batch in batches:
                before = self._table.holders()
                for raw in batch:
                    self._bucket.enter(self._table, raw)
                if self._table.holders() != before:
                    self._wake.set()

    async def stop(self) -> None:
        """End the work, then let go of everything, so that others need not wait."""
        self._leaving = True
        await asyncio.gather(*self._moves.values(), return_exceptions=True)
        held = list(self._held)
        await asyncio.gather(*(self._end(number) for number in held))
        with suppress(Retryable):
            # Before the leases: whoever hears of those counts the members.
            if not self._superseded:
                await self._bucket.forget(self._table, self.me.instance)
        await asyncio.gather(*(self._release(number) for number in held))

    def _pause_seconds(self) -> float:
        """Say how long nothing is to be done: until a renewal is due, or another's time ends."""
        now = self._clock.now()
        ends = (
            (expiry - now).total_seconds() + EXPIRY_MARGIN_SECONDS
            for expiry in self._table.expiries(self.me)
            if expiry > now
        )
        return max(
            0.0, min(self._renewal_due_at - self._clock.monotonic(), *ends, self._life_seconds)
        )

    # Deciding

    async def _look(self) -> None:
        """Read the group, and do what it asks for."""
        self._table = (await self._bucket.read()).newer_of(self._table)
        if not self._stands_down():
            self._find_lost()
            if self._clock.monotonic() >= self._renewal_due_at:
                await self._renew()
            if not self._leaving:
                await self._share()
        self._owned.set(len(self._held))
        self._looked_at = self._clock.monotonic()

    def _stands_down(self) -> bool:
        """Leave everything to a later process of the same name, where there is one."""
        superseded = self._table.supersedes(self.me, self._clock.now())
        if superseded and not self._superseded:
            log.error(
                "leases.superseded",
                group=self.group.name,
                instance=self.me.instance,
                remedy="Another process was started under this name: set TRACSEQ_INSTANCE apart.",
            )
        self._superseded = superseded
        if superseded:
            self._renewal_due_at = self._clock.monotonic() + self._renew_every_seconds
            for number in list(self._held):
                self._lose(number, "a later process has the same name")
        return superseded

    def _find_lost(self) -> None:
        for number, held in list(self._held.items()):
            lease = self._table.leases[number]
            if not lease.is_of(self.me) or lease.epoch != held.epoch:
                self._lose(number, f"{lease.owner or 'nobody'} has it in epoch {lease.epoch}")

    async def _renew(self) -> None:
        """Announce this process and renew what it holds."""
        began = self._clock.monotonic()
        for instance in self._table.gone(self._clock.now()):
            await self._bucket.forget(self._table, instance)
        member = Member(self.me, self._clock.now() + self._life)
        announced = self._leaving or await self._bucket.announce(self._table, member)
        await asyncio.gather(*(self._renew_one(number, began) for number in list(self._held)))
        if announced:
            self._renewal_due_at = began + self._renew_every_seconds
        else:
            self._wake.set()

    async def _renew_one(self, number: int, began: float) -> None:
        held, lease = self._held[number], self._table.leases[number]
        renewed = lease.taken_by(self.me, held.epoch, self._clock.now() + self._life)
        if await self._put(renewed) and self._held.get(number) is held:
            self._held[number] = _Held(held.epoch, began + self._life_seconds)

    async def _share(self) -> None:
        """Take what is missing of a fair share, or give up what is too much of it."""
        now, busy = self._clock.now(), self._moves.keys()
        plan = self._table.plan(self.me, now, held=self._held.keys(), busy=busy)
        for number in plan.give_up:
            self._move(number, self._hand_over(number))
        await asyncio.gather(*(self._take(lease) for lease in plan.take))

    async def _take(self, lease: Lease) -> None:
        began = self._clock.monotonic()
        epoch = self.epoch(lease.number) + 1
        taken = lease.taken_by(self.me, epoch, self._clock.now() + self._life)
        if not await self._put(taken):
            return
        self._held[lease.number] = _Held(epoch, began + self._life_seconds)
        before = lease.owner or None
        log.info(
            "lease.taken", group=self.group.name, lease=lease.number, epoch=epoch, before=before
        )
        await self._begin(lease.number)

    # Moving

    def _lose(self, number: int, why: str) -> None:
        """Know that a lease is gone, and end its work in the background."""
        epoch = self._held.pop(number).epoch
        self._lost.inc()
        log.warning("lease.lost", group=self.group.name, lease=number, epoch=epoch, why=why)
        self._move(number, self._end(number))

    def _move(self, number: int, work: Awaitable[None]) -> None:
        """Run what moves a lease beside the renewals of the others, one after the other."""
        before = self._moves.get(number)

        async def moving() -> None:
            if before is not None:
                await asyncio.wait({before})
            await work

        def moved(task: asyncio.Task[None]) -> None:
            if self._moves.get(number) is task:
                del self._moves[number]
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("lease.move_failed", lease=number, exc_info=error)
            self._wake.set()

        task = asyncio.create_task(moving(), name=f"move lease {number}")
        self._moves[number] = task
        task.add_done_callback(moved)

    async def _hand_over(self, number: int) -> None:
        """End the work of a lease while it is still held, then release it."""
        await self._end(number)
        await self._release(number)

    async def _release(self, number: int) -> None:
        held, lease = self._held.pop(number, None), self._table.leases[number]
        if held is None or not lease.is_of(self.me):
            return
        with suppress(Retryable):
            await self._put(lease.released())
        log.info("lease.released", group=self.group.name, lease=number, epoch=held.epoch)

    async def _put(self, lease: Lease) -> bool:
        """Write a lease where nobody wrote it since it was read; look again where somebody did."""
        written = await self._bucket.put(self._table, lease)
        if not written:
            self._conflicts.inc()
            self._wake.set()
        return written


async def _nothing(_number: int) -> None:
    """Stand where no work was named yet."""
