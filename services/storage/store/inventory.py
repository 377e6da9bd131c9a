"""Keep the inventory up with the log, in memory, so that allocation needs no document store."""

import asyncio

from contracts.errors import Retryable
from infra.log.log import Log
from services.storage.domain.inventory import Inventory


class InventoryBehind(Retryable):
    """The inventory did not catch up with the log in time."""


class InventoryKeeper:
    """Follows the service's log, and gives the inventory to whoever needs it current."""

    def __init__(self, log: Log, *, wait_seconds: float) -> None:
        """Say how long to wait for the inventory; it is empty until `run` runs."""
        self._log = log
        self._wait_seconds = wait_seconds
        self._inventory = Inventory()
        self._moved = asyncio.Condition()
        self.turn = asyncio.Lock()
        """One plan at a time in this process: plans made side by side choose the same boxes."""

    async def run(self) -> None:
        """Follow the log for ever, from the beginning: whatever went wrong before is forgotten."""
        self._inventory = Inventory()
        async for entries in self._log.follow(0):
            for entry in entries:
                self._inventory.apply(entry)
            async with self._moved:
                self._moved.notify_all()

    @property
    def latest(self) -> Inventory:
        """The inventory as it has been followed so far, without waiting."""
        return self._inventory

    async def current(self) -> Inventory:
        """Give the inventory as of now or later.

        Raises:
            InventoryBehind: it did not get there within the bound.
            BrokerUnavailable: NATS did not say how long the log is.
        """
        head = await self._log.head()
        try:
            async with asyncio.timeout(self._wait_seconds), self._moved:
                await self._moved.wait_for(lambda: self._inventory.head >= head)
        except TimeoutError:
            behind = head - self._inventory.head
            raise InventoryBehind(
                f"the inventory is {behind} entries behind after {self._wait_seconds} s"
            ) from None
        return self._inventory

    async def check(self) -> None:
        """Return where the inventory is current: part of readiness.

        Raises:
            Retryable: it is not.
        """
        await self.current()
