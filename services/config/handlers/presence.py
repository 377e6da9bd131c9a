"""Which instances run now, and what each runs: notes in a bucket that expire unless renewed."""

from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from contracts import subjects
from contracts.config_queries import CheckIn
from contracts.config_types import Environment
from contracts.config_views import ClientView
from infra.bus.connection import Connection
from infra.bus.reads import Raw
from infra.clock import Clock

STREAM = f"KV_{subjects.CONFIG_CLIENTS_BUCKET}"
REMEMBERED_SECONDS = 2.0
"""How long it is known which schemas are run, where other processes take check-ins too. Who began
to run one since then is as one that begins after a release: it may find that it cannot take it."""
PLACES_MAX = 1_024


@dataclass(frozen=True, slots=True)
class _Run:
    schemas: frozenset[str | None]
    until: float


class Presence:
    """The bucket of those that run."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        """Read nothing yet."""
        self._connection = connection
        self._clock = clock
        self._run = dict[tuple[str, Environment], _Run]()

    async def note(self, told: CheckIn) -> None:
        """Write what an instance told of itself, over what it told before."""
        known = self._run.get((told.service, told.environment))
        if known is not None and told.schema_hash not in known.schemas:
            del self._run[told.service, told.environment]
        body = told.model_dump_json(include={"version", "refused_version", "error", "schema_hash"})
        subject = _subject(told.service, told.environment, subjects.token(told.instance))
        await self._connection.publish(subject, body.encode(), stream=STREAM)

    async def of(self, service: str, environment: Environment) -> list[ClientView]:
        """List the instances of a service that run in an environment, by name."""
        wanted = _subject(service, environment, "*")
        async with aclosing(self._connection.read(STREAM, wanted)) as notes:
            found = [_view(note, service, environment) async for note in notes if note.body]
        return sorted(found, key=lambda one: one.instance)

    async def schemas_run(self, service: str, environment: Environment) -> frozenset[str | None]:
        """Name the schemas of what runs in an environment, as of a moment ago."""
        place, now = (service, environment), self._clock.monotonic()
        known = self._run.pop(place, None)
        if known is None or now >= known.until:
            found = frozenset(one.schema_hash for one in await self.of(service, environment))
            known = _Run(found, now + REMEMBERED_SECONDS)
        self._run[place] = known
        while len(self._run) > PLACES_MAX:
            del self._run[next(iter(self._run))]
        return known.schemas

    async def everywhere(self, service: str) -> dict[Environment, list[ClientView]]:
        """List the instances of a service by environment."""
        return {one: await self.of(service, one) for one in Environment if one != "default"}


def _subject(service: str, environment: str, instance: str) -> str:
    place = subjects.token(subjects.config_release(service, environment))
    return subjects.in_bucket(subjects.CONFIG_CLIENTS_BUCKET, f"{place}.{instance}")


def _view(note: Raw, service: str, environment: Environment) -> ClientView:
    told: dict[str, Any] = orjson.loads(note.body)
    return ClientView(
        instance=subjects.key_in(note.subject.rpartition(".")[2]),
        service_name=service,
        environment=environment,
        version=told["version"],
        ok=told["refused_version"] is None,
        error=told["error"],
        schema_hash=told["schema_hash"],
        seen_at=note.at,
    )
