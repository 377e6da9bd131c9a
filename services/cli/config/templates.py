"""`tracseq config template`: values that several services share, each from the version it chose."""

from typing import Annotated

import typer

from contracts.config import SaveTemplate, UseTemplates
from contracts.config_queries import GetTemplate
from contracts.config_views import TemplateView
from infra.http.client import EdgeClient
from services.cli import running
from services.cli.actor import who
from services.cli.config import shown
from services.cli.config.given import (
    AsOption,
    DryRunOption,
    EnvOption,
    ExpectOption,
    ReasonOption,
    ServiceArgument,
    TextOption,
    assignments,
    environment,
    made,
)
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The template, as small_lab.")]


def register(group: typer.Typer) -> None:
    """Add the group."""
    own = typer.Typer(no_args_is_help=True, help="Values that several services share.")
    group.add_typer(own, name="template")
    _register_save(own)
    _register_show(own)
    _register_use(own)


def _register_save(own: typer.Typer) -> None:
    @command(own, "save")
    async def save(
        name: NameArgument,
        given: Annotated[
            list[str], typer.Argument(metavar="KEY=VALUE...", help="All that it says.")
        ],
        *,
        description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
        required: Annotated[
            list[str] | None,
            typer.Option("--required", help="A key that whoever uses it sets; repeat it."),
        ] = None,
        text: TextOption = False,
        expect: ExpectOption = None,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Keep a version of a template; who uses an older one keeps that until told otherwise.

        Example: `tracseq config template save small_lab max_batch_size=200 --required site_name`
        """
        values = assignments(given, text=text)
        message = made(
            SaveTemplate,
            name=name,
            description=description,
            values=values,
            required=required,
            expected_version=expect,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            _show(await edge.ask(message), as_json=as_json)


def _register_show(own: typer.Typer) -> None:
    @command(own, "show")
    async def show(
        name: NameArgument,
        *,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Show a template. Example: `tracseq config template show small_lab`."""
        async with EdgeClient(running.edge_url(data)) as edge:
            _show(await edge.ask(made(GetTemplate, name=name)), as_json=as_json)


def _register_use(own: typer.Typer) -> None:
    @command(own, "use")
    async def use(
        service: ServiceArgument,
        names: Annotated[
            list[str] | None,
            typer.Argument(metavar="[NAME]...", help="The last over the first; none: without."),
        ] = None,
        *,
        env: EnvOption = "default",
        expect: ExpectOption = None,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Say which templates lie beneath a layer, the newest version of each.

        Example: `tracseq config template use sample-service small_lab --env staging --dry-run`
        """
        message = made(
            UseTemplates,
            service=service,
            environment=environment(env),
            templates=names or [],
            expected_version=expect,
            reason=reason,
            dry_run=dry_run or None,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            shown.edited(await edge.ask(message), as_json=as_json)


def _show(found: TemplateView, *, as_json: bool) -> None:
    rows = [(key, shown.value(value)) for key, value in sorted(found.values.items())]
    rows += [(key, "set by whoever uses it") for key in found.required]
    title = f"{found.name}, version {found.version} {found.description}"
    shown.listed(found, title, ("Key", "Value"), rows, as_json=as_json)
