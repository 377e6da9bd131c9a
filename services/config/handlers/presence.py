"""Which instances run now, and what each runs: notes in a bucket that expire unless renewed."""

from contextlib import aclosing
from typing import Any

import orjson

from contracts import subjects
from contracts.config_queries import CheckIn
from contracts.config_types import Environment
from contracts.config_views import ClientView
from infra.bus.connection import Connection
from infra.bus.reads import Raw

STREAM = f"KV_{subjects.CONFIG_CLIENTS_BUCKET}"


class Presence:
    """The bucket of those that run."""

    def __init__(self, connection: Connection) -> None:
        """Read nothing yet."""
        self._connection = connection

    async def note(self, told: CheckIn) -> None:
        """Write what an instance told of itself, over what it told before."""
        body = told.model_dump_json(include={"version", "refused_version", "error", "schema_hash"})
        subject = _subject(told.service, told.environment, subjects.token(told.instance))
        await self._connection.publish(subject, body.encode(), stream=STREAM)

    async def of(self, service: str, environment: Environment) -> list[ClientView]:
        """List the instances of a service that run in an environment, by name."""
        wanted = _subject(service, environment, "*")
        async with aclosing(self._connection.read(STREAM, wanted)) as notes:
            found = [_view(note, service, environment) async for note in notes if note.body]
        return sorted(found, key=lambda one: one.instance)

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
