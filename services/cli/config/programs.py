"""`tracseq config clients|schema`: who runs with which configuration, and what they understand."""

from typing import Any

import typer

from contracts.config_queries import GetSchema, ListClients
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.config import shown
from services.cli.config.given import (
    EnvOption,
    RunEnvOption,
    ServiceArgument,
    environment,
    made,
    run_environment,
)
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

HASH_CHARS = 12
"""Of a schema's hash, enough to tell two apart."""
_BOUNDS = (
    ("minimum", "≥ {}"),
    ("exclusiveMinimum", "> {}"),
    ("maximum", "≤ {}"),
    ("exclusiveMaximum", "< {}"),
    ("minLength", "{}+ characters"),
    ("maxLength", "≤ {} characters"),
    ("pattern", "{}"),
    ("enum", "one of {}"),
)


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_clients(group)
    _register_schema(group)


def _register_clients(group: typer.Typer) -> None:
    @command(group, "clients")
    async def clients(
        service: ServiceArgument,
        *,
        env: RunEnvOption,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List the running instances of a service, and which release each runs, or why not.

        Example: `tracseq config clients sample-service --env production`
        """
        query = made(ListClients, service=service, environment=run_environment(env))
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        rows = (
            (
                one.instance,
                one.version or "its own defaults",
                "running" if one.ok else "refused",
                one.error,
                one.schema_hash[:HASH_CHARS],
                one.seen_at,
            )
            for one in found
        )
        columns = ("Instance", "Version", "Status", "Why", "Schema", "Seen")
        shown.listed(found, f"{len(found)} running", columns, rows, as_json=as_json)


def _register_schema(group: typer.Typer) -> None:
    @command(group, "schema")
    async def schema(
        service: ServiceArgument,
        *,
        env: EnvOption = "development",
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Say which keys the programs of a service understand, and which values.

        Example: `tracseq config schema sample-service --env production`
        """
        query = made(GetSchema, service=service, environment=environment(env))
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        if as_json:
            output.print_json(found)
            return
        rows = (
            (key, one.get("type", ""), limits(one), _default(one), one.get("description", ""))
            for key, one in sorted(found.keys.items())
        )
        columns = ("Key", "Type", "Values", "Default", "What it is")
        shown.listed(found, found.service_name, columns, rows, as_json=False)
        for one in found.programs:
            where = ", ".join(one.instances) or "nobody runs it now"
            text = f"{one.program_version} ({one.schema_hash[:HASH_CHARS]}): {where}"
            output.stdout().print(output.cell(text), soft_wrap=True, highlight=False)


def limits(schema: dict[str, Any]) -> str:
    """Write the bounds of a JSON Schema for people."""
    return ", ".join(says.format(schema[name]) for name, says in _BOUNDS if name in schema)


def _default(schema: dict[str, Any]) -> str:
    return shown.value(schema["default"]) if "default" in schema else ""
