"""The configuration service over a real broker and store, and instances that tell of themselves."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from contracts.config_queries import CheckIn, LookConfig
from contracts.config_types import Environment
from contracts.config_views import CheckedIn, ServiceConfig
from contracts.errors import Refusal, Refused
from contracts.message import Command, Query
from infra.clock import SYSTEM
from infra.config.ciphers import seal
from infra.config.keyring import Keyring
from infra.runtime import Blueprint
from services.config.domain.defaults import DEFAULTS
from services.config.service import build
from services.config.settings import Settings
from tests.fixtures.laboratory import Laboratory

WAIT_SECONDS = 60.0
"""A bound, never a measurement."""
PRODUCTION = Environment.PRODUCTION
SCHEMA_HASH = "a" * 64
RefusalT = TypeVar("RefusalT", bound=Refusal)


@dataclass(frozen=True, slots=True)
class House:
    """The service, and those who ask it."""

    lab: Laboratory
    ring: Keyring

    async def ask(self, message: Command[Any] | Query[Any], *, actor: str = "ada") -> Any:  # noqa: ANN401 - any answer
        """Ask in somebody's name."""
        return await self.lab.bus.ask(message, actor=actor, timeout_seconds=30)

    async def refusal(
        self, kind: type[RefusalT], message: Command[Any] | Query[Any], *, actor: str = "ada"
    ) -> RefusalT:
        """Ask for what must be refused in this way."""
        with pytest.raises(Refused) as refused:
            await self.ask(message, actor=actor)
        assert isinstance(refused.value.refusal, kind), refused.value
        return refused.value.refusal

    async def look(self, service: str, environment: str = PRODUCTION) -> ServiceConfig:
        """Show what is in force."""
        found = await self.ask(LookConfig(service=service, name=environment))
        assert isinstance(found, ServiceConfig)
        return found

    async def check_in(self, instance: str, version: int, **told: Any) -> CheckedIn:  # noqa: ANN401 - its fields
        """Tell what an instance of the sample service runs."""
        return await self.lab.bus.ask(
            CheckIn(
                service="sample-service",
                environment=PRODUCTION,
                instance=instance,
                version=version,
                schema_hash=SCHEMA_HASH,
                **told,
            )
        )

    def sealed(self, service: str, key: str, value: Any, environment: str = "default") -> str:  # noqa: ANN401 - JSON
        """Seal a value as the boundary does."""
        public = self.ring.public_key
        return seal(public, service=service, environment=environment, key=key, value=value)


def blueprint(folder: Path, **settings: Any) -> Blueprint:  # noqa: ANN401 - settings
    """Make the service, impatient, with the ring of a folder."""
    told: dict[str, Any] = {
        "http_port": 0,
        "keyring_file": folder / "ring.json",
        "rollout_seconds": 0.05,
        **settings,
    }
    return Blueprint("config", build, Settings(**told))


async def open_house(
    lab: Laboratory,
    folder: Path,
    **settings: Any,  # noqa: ANN401 - settings
) -> AsyncGenerator[House]:
    """Run the service until its defaults are set."""
    ring = Keyring.make(folder / "ring.json")
    await lab.start(blueprint(folder, **settings))
    house = House(lab, ring)
    async with asyncio.timeout(WAIT_SECONDS):
        for service in DEFAULTS:
            while not await _stands(house, service):
                await SYSTEM.sleep(0.02)
    yield house


async def _stands(house: House, service: str) -> bool:
    try:
        await house.look(service)
    except Refused:
        return False
    return True
