"""`tracseq config history|diff`: what was changed, by whom, when and why, and what differs."""

from typing import Annotated

import typer

from contracts.config_queries import DiffConfig, ReleaseHistory
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.config import shown
from services.cli.config.given import (
    ENV_HELP,
    EnvOption,
    ServiceArgument,
    environment,
    made,
)
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

CHANGES_CHARS_MAX = 160
"""Of what one release changed, in the table; --json tells all."""


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_history(group)
    _register_diff(group)


def _register_history(group: typer.Typer) -> None:
    @command(group, "history")
    async def history(
        service: ServiceArgument,
        *,
        env: EnvOption = "default",
        key: Annotated[str | None, typer.Option(help="Releases that changed this key.")] = None,
        page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
        page_size: Annotated[int, typer.Option(min=1, max=1_000, help="How many on a page.")] = 50,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List the releases of a configuration, newest first: who, when, why, and what changed.

        Example: `tracseq config history sample-service --env production`
        """
        query = made(
            ReleaseHistory,
            service=service,
            environment=environment(env),
            key=key,
            page=page,
            page_size=page_size,
        )
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        rows = (
            (
                one.version,
                one.at,
                one.author if one.author == one.actor else f"{one.author}, by {one.actor}",
                one.cause.value.replace("_", " "),
                _shortened(shown.in_words(one.changes)),
                one.reason,
            )
            for one in found.items
        )
        columns = ("Version", "At", "Who", "What", "Changes", "Why")
        title = f"{len(found.items)} of {found.total}"
        shown.listed(found, title, columns, rows, as_json=as_json)


def _shortened(text: str) -> str:
    return text if len(text) <= CHANGES_CHARS_MAX else f"{text[: CHANGES_CHARS_MAX - 1]}…"


def _register_diff(group: typer.Typer) -> None:
    @command(group, "diff")
    async def diff(
        service: ServiceArgument,
        *,
        env: EnvOption = "default",
        from_version: Annotated[
            int | None,
            typer.Option("--from", min=1, metavar="VERSION", help="The one before, by default."),
        ] = None,
        to_version: Annotated[
            int | None,
            typer.Option("--to", min=1, metavar="VERSION", help="The newest, by default."),
        ] = None,
        to_env: Annotated[
            str | None, typer.Option("--to-env", help=f"Compare with another: {ENV_HELP}.")
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Say what differs between two versions, or between two environments.

        Examples: `tracseq config diff sample-service --env staging --to-env production`

        `tracseq config diff sample-service --env staging --from 3 --to 7`
        """
        query = made(
            DiffConfig,
            service=service,
            environment=environment(env),
            from_version=from_version,
            to_version=to_version,
            to_environment=environment(to_env) if to_env is not None else None,
        )
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        if not found.changes and not as_json:
            output.stdout().print(f"{found.left} and {found.right} do not differ.")
            return
        rows = ((one.key, *shown.before_after(one)) for one in found.changes)
        columns = ("Key", found.left, found.right)
        shown.listed(found, found.service_name, columns, rows, as_json=as_json)
