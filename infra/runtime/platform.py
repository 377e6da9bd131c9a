"""What infra gives one service: its bus, its log, its store, the time, new ids.

Opened and closed together; the store where the service takes it. What a service makes of it is its
own affair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self
from uuid import UUID

from infra.breaker import BreakerRegistry
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.clock import SYSTEM, Clock
from infra.ids import new_id
from infra.log.log import Log
from infra.settings import CommonSettings
from infra.store.client import Store


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One service's share of the plumbing."""

    service: str
    common: CommonSettings
    connection: Connection
    bus: Bus
    log: Log
    breakers: BreakerRegistry
    """One for each dependency: every call that leaves the service, but for the bus, goes through
    one."""
    clock: Clock = SYSTEM
    ids: Callable[[], UUID] = new_id

    @classmethod
    async def open(cls, service: str, common: CommonSettings, *, clock: Clock = SYSTEM) -> Self:
        """Connect.

        Raises:
            BrokerUnavailable: NATS does not answer. A store that does not is no obstacle: lists
                answer 503.
        """
        connection = await Connection.connect(common.nats_url, service)
        bus = Bus(connection, source=service, clock=clock)
        return cls(
            service=service,
            common=common,
            connection=connection,
            bus=bus,
            log=Log(connection, service, gathers=common.profile == "safe", clock=clock),
            breakers=BreakerRegistry(service, clock=clock),
            clock=clock,
        )

    @cached_property
    def store(self) -> Store:
        """The service's own database; one that is not taken is not shown among the breakers."""
        database = f"{self.common.mongo_database_prefix}_{self.service}"
        return Store(self.common.mongo_url, database, breakers=self.breakers)

    async def close(self) -> None:
        """Disconnect."""
        await self.bus.close()
        if "store" in vars(self):
            await self.store.close()
