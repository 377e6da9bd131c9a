"""A service's live settings: kept up to date from the bus, its breakers and logs told of them.

What a service does with its own is its own affair: it reads `current` where it needs it.
"""

from importlib.metadata import version
from typing import Generic, Self

from contracts.config_types import Environment, config_name
from infra.config.client import ConfigClient
from infra.config.configuration import Identity, LiveT
from infra.config.live import LiveSettings
from infra.runtime.platform import Platform
from infra.runtime.told import Told
from infra.settings import ServiceSettings, instance_of
from infra.telemetry import logs


class Live(Generic[LiveT]):
    """One service's live settings."""

    def __init__(self, client: ConfigClient[LiveT], platform: Platform) -> None:
        """Made by `of`; the program's own defaults are in force."""
        self.client = client
        self._service = platform.service
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
        """Have something in force, and breakers and logs told of it, now and at every change."""
        await self.client.start()
        for tell in (self._tell_breakers, self._tell_logs):
            tell(self.client.current)
            self.client.on_change(tell)

    def stop(self) -> None:
        """Ask nothing of the process any more."""
        logs.ask_level(self._service, None)

    def _tell_breakers(self, live: LiveSettings) -> None:
        # Switched off from outside, they stay off whatever the configuration says.
        wanted = live.circuit_breaker_enabled is not False
        self._breakers.switch(enabled=self._enabled and wanted)
        self._breakers.adjust(live.breaker_numbers())

    def _tell_logs(self, live: LiveSettings) -> None:
        if isinstance(live, Told):
            logs.ask_level(self._service, live.log_level)
