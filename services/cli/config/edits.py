"""`tracseq config set|delete|rollback`: one change of one layer, all of it or nothing."""

import getpass
import sys
from typing import Annotated, Any

import typer
from pydantic import JsonValue

from contracts.config import BulkConfig, DeleteConfig, RollbackConfig, SetConfig
from contracts.config_queries import GetSealingKey
from contracts.config_types import VALUE_BYTES_MAX
from infra.config.ciphers import seal
from infra.http.client import EdgeClient
from infra.http.sealing import STAND_IN
from services.cli import running
from services.cli.actor import who
from services.cli.config import shown
from services.cli.config.given import (
    AsOption,
    DryRunOption,
    EnvOption,
    ExpectOption,
    KeyArgument,
    ReasonOption,
    ServiceArgument,
    TextOption,
    assignments,
    environment,
    made,
)
from services.cli.exits import Exit
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_set(group)
    _register_delete(group)
    _register_rollback(group)


def _register_set(group: typer.Typer) -> None:
    @command(group, "set")
    async def set_config(  # noqa: PLR0913 - each is an option
        service: ServiceArgument,
        given: Annotated[
            list[str],
            typer.Argument(metavar="KEY=VALUE...", help="What to set; with --secret, a KEY alone."),
        ],
        *,
        env: EnvOption = "default",
        secret: Annotated[
            bool,
            typer.Option("--secret", help="A secret: asked for, sealed here, shown to nobody."),
        ] = False,
        stdin: Annotated[
            bool, typer.Option("--stdin", help="Read the secret from standard input.")
        ] = False,
        plain: Annotated[
            bool, typer.Option("--plain", help="It is named like a secret, and is none.")
        ] = False,
        text: TextOption = False,
        tag: Annotated[
            list[str] | None, typer.Option("--tag", help="Tag of the key; repeat it for several.")
        ] = None,
        expect: ExpectOption = None,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Set one key, or several at once: all of them, or none.

        A value is JSON (2000, true, [1, 2], "text"), or else text, and then it is said so. Without
        --env it is set for every environment that does not set it itself. Examples:

        `tracseq config set sample-service max_batch_size=2000 --reason "new robot"`

        `tracseq config set auth-service jwt_secret --secret --env production`
        """
        layer: dict[str, Any] = {
            "service": service,
            "environment": environment(env),
            "expected_version": expect,
            "reason": reason,
            "dry_run": dry_run or None,
        }
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            message: SetConfig | BulkConfig
            if secret:
                message = await _secret(edge, _alone(given), stdin=stdin, tag=tag, layer=layer)
            else:
                values = assignments(given, text=text, plain=plain)
                message = _plain(values, plain=plain, tag=tag, layer=layer)
            shown.edited(await edge.ask(message), as_json=as_json)


def _plain(
    values: dict[str, JsonValue], *, plain: bool, tag: list[str] | None, layer: dict[str, Any]
) -> SetConfig | BulkConfig:
    if len(values) > 1:
        if plain or tag:
            remedy = "Set it with a command of its own."
            raise usage_error("--plain and --tag", "", "are of one key", remedy)
        return made(BulkConfig, **layer, values=values)
    ((key, value),) = values.items()
    encrypted = False if plain else None
    said = {"name": key, "value": value, "encrypted": encrypted, "tags": tag}
    return made(SetConfig, nulls=("value",), **layer, **said)


async def _secret(
    edge: EdgeClient, key: str, *, stdin: bool, tag: list[str] | None, layer: dict[str, Any]
) -> SetConfig:
    """Ask for a secret and seal it; in this process alone it is ever in the clear."""
    message = made(SetConfig, **layer, name=key, value=STAND_IN, encrypted=True, tags=tag)
    public_key = (await edge.ask(GetSealingKey())).public_key
    sealed = seal(
        public_key,
        service=message.service,
        environment=str(message.environment),
        key=message.name,
        value=_read_secret(key, stdin=stdin),
    )
    return message.model_copy(update={"value": sealed})


def _alone(given: list[str]) -> str:
    key, equals, _ = given[0].partition("=")
    if len(given) > 1 or equals:
        raise CliError(
            f"The value of {key} stands in the command line, where others can see it."
            if equals
            else "Only one secret is taken at a time.",
            remedy="Give one KEY alone: its value is asked for, or read with --stdin. "
            "Whoever may have seen the value should not be able to use it: choose another.",
            code=Exit.USAGE,
        )
    return key


def _read_secret(key: str, *, stdin: bool) -> str:
    if stdin:
        value = sys.stdin.read(VALUE_BYTES_MAX + 1).removesuffix("\n")
    elif sys.stdin.isatty():
        value = getpass.getpass(f"Value of {key} (it is not shown): ")
    else:
        raise usage_error("--stdin", "", "is needed where nobody can be asked", "Pipe it in.")
    if not value:
        raise CliError(f"The secret {key} is empty.", remedy="Give it.", code=Exit.USAGE)
    return value


def _register_delete(group: typer.Typer) -> None:
    @command(group, "delete")
    async def delete_config(
        service: ServiceArgument,
        key: KeyArgument,
        *,
        env: EnvOption = "default",
        expect: ExpectOption = None,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Delete a key from a layer; what lies beneath it is in force again.

        Example: `tracseq config delete sample-service max_batch_size --env staging`
        """
        message = made(
            DeleteConfig,
            service=service,
            environment=environment(env),
            name=key,
            expected_version=expect,
            reason=reason,
            dry_run=dry_run or None,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            shown.edited(await edge.ask(message), as_json=as_json)


def _register_rollback(group: typer.Typer) -> None:
    @command(group, "rollback")
    async def rollback(
        service: ServiceArgument,
        *,
        to: Annotated[
            int, typer.Option("--to", min=1, metavar="VERSION", help="As `history` lists it.")
        ],
        env: EnvOption = "default",
        expect: ExpectOption = None,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Make a layer what it was in an earlier version, as a new one; history stays as it is.

        Example: `tracseq config rollback sample-service --env staging --to 3 --dry-run`
        """
        message = made(
            RollbackConfig,
            service=service,
            environment=environment(env),
            to_version=to,
            expected_version=expect,
            reason=reason,
            dry_run=dry_run or None,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            shown.edited(await edge.ask(message), as_json=as_json)
