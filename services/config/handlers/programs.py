"""What a release is checked by: the schemas of every program that may read it, by environment."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.config_release import Edits, Released
from contracts.config_types import Environment
from contracts.config_views import Caution
from contracts.errors import FieldError
from infra.log.log import Log
from services.config.domain import schema
from services.config.domain.defaults import schema as schema_of_defaults
from services.config.domain.release import seen_by_members
from services.config.domain.schema import SCHEMA, Known
from services.config.handlers.presence import Presence
from services.config.handlers.secrets import Safe

Program = tuple[str, dict[str, Any]]
"""What it is called, and the schema of what it understands."""


@dataclass(frozen=True, slots=True)
class Schemas:
    """The schemas of a service by environment: what each release is checked by."""

    by_environment: dict[Environment, list[Program]]
    safe: Safe

    def faults(self, planned: dict[Environment, Released]) -> list[FieldError]:
        """Say what any program would refuse."""
        found: dict[tuple[str, str], FieldError] = {}
        for environment, released in planned.items():
            seen = seen_by_members(released.release)
            opened = self.safe.opened(released.release.service, seen)
            for fault in schema.faults(seen, self.by_environment[environment], opened):
                found.setdefault((fault.field, fault.problem), fault)
        return list(found.values())

    def cautions(self, edits: Edits) -> list[Caution]:
        """Warn of keys that nobody knows."""
        everything = [one for named in self.by_environment.values() for one in named]
        return schema.cautions(edits.set.keys(), everything)


async def gather(
    log: Log, presence: Presence, safe: Safe, where: tuple[str, Sequence[Environment]]
) -> Schemas:
    """Gather the schemas of a service: of the programs that run, and of what is known of it."""
    service, environments = where
    known: Known | None = (await log.load(SCHEMA, service, fresh=False)).state
    own: Program = ("what is known of it", schema_of_defaults(service))
    by_environment: dict[Environment, list[Program]] = {Environment.DEFAULT: [own]}
    running = await asyncio.gather(*(presence.schemas_run(service, one) for one in environments))
    for environment, hashes in zip(environments, running, strict=True):
        counting = schema.in_question(known, hashes)
        by_environment[environment] = [
            own,
            *((f"program {one.program_version}", one.document) for one in counting),
        ]
    return Schemas(by_environment, safe)
