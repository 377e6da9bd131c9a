"""A service's live settings: kept up to date from the bus, its circuit breakers told of them.

What a service does with its own is its own affair: it reads `current` where it needs it.
"""

from importlib.metadata import version
from typing import Generic, Self

from contracts.config_types import Environment, config_name
from infra.config.client import ConfigClient
from infra.config.configuration import Identity, LiveT
from infra.config.live import LiveSettings
from infra.runtime.platform import Platform
from infra.settings import ServiceSettings, instance_of


class Live(Generic[LiveT]):
    """One service's live settings."""

    def __init__(self, client: ConfigClient[LiveT], platform: Platform) -> None:
        """Made by `of`; the program's own defaults are in force."""
        self.client = client
        self._breakers = platform.breakers
        self._enabled = platform.breakers.enabled

    @classmethod
    def of(cls, platform: Platform, settings: ServiceSettings, model: type[LiveT]) -> Self:
        """Make those of a service; nothing is read yet."""
        common = platform.common
        identity = Identity(
            program=platform.service,
            service=config_name(platform.service),
            environment=Environment(common.environment),
            instance=instance_of(common, settings),
            snapshots=common.config_snapshot_dir,
            keys=common.config_keys_dir,
        )
        client = ConfigClient(
            model,
            identity,
            platform.bus,
            program_version=version("tracseq"),
            clock=platform.clock,
        )
        return cls(client, platform)

    @property
    def current(self) -> LiveT:
        """What is in force."""
        return self.client.current

    async def start(self) -> None:
        """Have something in force, and the breakers told of it, now and at every change."""
        await self.client.start()
        self._tell_breakers(self.client.current)
        self.client.on_change(self._tell_breakers)

    def _tell_breakers(self, live: LiveSettings) -> None:
        # Switched off from outside, they stay off whatever the configuration says.
        wanted = live.circuit_breaker_enabled is not False
        self._breakers.switch(enabled=self._enabled and wanted)
        self._breakers.adjust(live.breaker_numbers())
