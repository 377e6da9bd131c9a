"""`tracseq config get|list|explain`: what is set, what is in force, and where it comes from."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from contracts.config_queries import ExplainConfig, GetRelease, ListConfigs, LookConfig
from contracts.config_views import ConfigItem, KeyEverywhere, ReleaseShown, ServiceConfig
from infra.clock import SYSTEM
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.config import shown
from services.cli.config.given import (
    ENV_HELP,
    EnvOption,
    KeyArgument,
    ServiceArgument,
    environment,
    made,
)
from services.cli.events import parse_since
from services.cli.outcome import CliError, command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_get(group)
    _register_list(group)
    _register_explain(group)


def _register_get(group: typer.Typer) -> None:
    @command(group, "get")
    async def get_config(
        service: ServiceArgument,
        key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="One key alone.")] = None,
        *,
        env: Annotated[
            str | None,
            typer.Option("--env", "-e", help=f"{ENV_HELP}, default; without it, a KEY in all."),
        ] = None,
        at: Annotated[
            str | None,
            typer.Option(help="As it was: a version, a time, or how long ago (15m, 2h, 3d)."),
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Show what is in force for a service in an environment, or one key of it.

        A key in one environment is its value alone, as a script wants it. Examples:

        `tracseq config get sample-service --env production`

        `tracseq config get sample-service max_batch_size --env production`
        """
        async with EdgeClient(running.edge_url(data)) as edge:
            if at is not None:
                query = made(
                    GetRelease,
                    service=service,
                    environment=environment(env or "default"),
                    **_point(at),
                )
                _show_release(await edge.ask(query), key, as_json=as_json)
            elif key is not None and env is None:
                everywhere = await edge.ask(made(LookConfig, service=service, name=key))
                _show_everywhere(everywhere, as_json=as_json)
            else:
                where = environment(env or "default")
                found = await edge.ask(made(LookConfig, service=service, name=where.value))
                _show_config(found, key, as_json=as_json)


def _point(at: str) -> dict[str, Any]:
    return {"version": int(at)} if at.isdecimal() else {"at": parse_since(at, SYSTEM.now())}


def _show_config(found: ServiceConfig | KeyEverywhere, key: str | None, *, as_json: bool) -> None:
    if not isinstance(found, ServiceConfig):
        raise CliError("The edge answered something else.", remedy="Is it of this version?")
    if key is not None:
        _show_value(found.config, set(found.secrets), key, found.service_name, as_json=as_json)
        return
    rows = (
        (name, shown.value(value, secret=name in found.secrets))
        for name, value in sorted(found.config.items())
    )
    of = f"version {found.version} of {output.cell(found.last_updated)}"
    title = f"{found.service_name} in {found.environment}, {of}"
    shown.listed(found, title, ("Key", "Value"), rows, as_json=as_json)


def _show_release(found: ReleaseShown, key: str | None, *, as_json: bool) -> None:
    release = found.release
    if key is not None:
        secrets = {name for name, item in release.items.items() if item.secret}
        values = {name: item.value for name, item in release.items.items()}
        _show_value(values, secrets, key, release.service, as_json=as_json)
        return
    rows = (
        (name, shown.value(item.value, secret=item.secret), item.source)
        for name, item in sorted(release.items.items())
    )
    of = f"version {release.version} of {output.cell(found.at)} by {found.author}"
    title = f"{release.service} in {release.environment}, {of}"
    shown.listed(found, title, ("Key", "Value", "From"), rows, as_json=as_json)


def _show_value(
    values: Mapping[str, object], secrets: set[str], key: str, service: str, *, as_json: bool
) -> None:
    """Print one value alone: text as it is, everything else as JSON."""
    if key not in values:
        remedy = "Without the key all are shown; `tracseq config explain` tells of one."
        raise CliError(f"{service} has no {key} there.", remedy=remedy)
    if key in secrets:
        remedy = "Only the service itself opens it; `tracseq config set --secret` replaces it."
        raise CliError(f"{key} is a secret and is shown to nobody.", remedy=remedy)
    value = values[key]
    if as_json or not isinstance(value, str):
        output.print_text(json.dumps(value, ensure_ascii=False))
    else:
        output.print_text(value)


def _show_everywhere(found: ServiceConfig | KeyEverywhere, *, as_json: bool) -> None:
    if not isinstance(found, KeyEverywhere):
        _show_config(found, None, as_json=as_json)
        return
    title = f"{found.key} of {found.service_name}"
    shown.listed(found, title, ITEM, map(_item, found.environments), as_json=as_json)


ITEM = ("Environment", "Value", "From", "Tags", "Set at", "Read by")


def _item(one: ConfigItem) -> tuple[object, ...]:
    return (
        one.environment.value,
        shown.value(one.value, secret=one.encrypted),
        one.source,
        ", ".join(one.tags),
        one.updated_at,
        f"{len(one.read_by)} running" if one.read_by else "",
    )


def _register_list(group: typer.Typer) -> None:
    @command(group, "list")
    async def list_configs(
        *,
        service: Annotated[str | None, typer.Option(help="Keys of this service.")] = None,
        env: Annotated[
            str | None, typer.Option("--env", "-e", help=f"Keys set in {ENV_HELP} or default.")
        ] = None,
        tag: Annotated[
            list[str] | None, typer.Option("--tag", help="Keys with any of these tags.")
        ] = None,
        key: Annotated[str | None, typer.Option(help="Keys that begin so.")] = None,
        page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
        page_size: Annotated[int, typer.Option(min=1, max=1_000, help="How many on a page.")] = 100,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List keys as their layers set them, by service, environment and key.

        Example: `tracseq config list --service sample-service --tag security`
        """
        query = made(
            ListConfigs,
            service=service,
            environment=environment(env) if env is not None else None,
            tags=",".join(tag) if tag else None,
            key=key,
            page=page,
            page_size=page_size,
        )
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        rows = ((one.service_name, one.key, *_item(one)) for one in found.items)
        title = f"{len(found.items)} of {found.total}"
        shown.listed(found, title, ("Service", "Key", *ITEM), rows, as_json=as_json)


def _register_explain(group: typer.Typer) -> None:
    @command(group, "explain")
    async def explain(
        service: ServiceArgument,
        key: KeyArgument,
        *,
        env: EnvOption = "default",
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Say where the value of a key comes from, who set it, and which instances read it.

        Example: `tracseq config explain sample-service max_batch_size --env production`
        """
        query = made(ExplainConfig, service=service, environment=environment(env), name=key)
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        if as_json:
            output.print_json(found)
            return
        layers = (
            (one.source, shown.value(one.value, secret=one.secret), "in force" * one.in_force)
            for one in found.layers
        )
        title = f"{found.key} of {found.service_name} in {found.environment}"
        shown.listed(found, title, ("Layer", "Value", ""), layers, as_json=False)
        facts = dict(_facts(found.set_by, found.set_at, found.read_by))
        output.stdout().print(output.make_table("", ("", ""), facts.items()))


def _facts(set_by: object, set_at: object, read_by: list[str]) -> Iterator[tuple[str, object]]:
    if set_by is not None:
        yield "Set by", set_by
    if set_at is not None:
        yield "Set at", set_at
    yield "Read by", ", ".join(read_by) or "no running instance"
