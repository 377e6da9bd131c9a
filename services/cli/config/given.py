"""What `tracseq config` commands share: options, values as they are typed, messages of them."""

import json
from collections.abc import Collection
from typing import Annotated, Any, TypeVar, cast

import typer
from pydantic import JsonValue, ValidationError

from contracts.config_types import (
    ALIASES,
    RUN_IN,
    Environment,
    as_environment,
    looks_secret,
)
from contracts.message import Message
from infra.http.invalid import invalid_input
from services.cli import output
from services.cli.exits import Exit
from services.cli.outcome import CliError, invalid, usage_error

MessageT = TypeVar("MessageT", bound=Message)

ServiceArgument = Annotated[
    str, typer.Argument(metavar="SERVICE", help="Whose configuration, such as sample-service.")
]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key.")]
ENV_HELP = "development (or dev), staging, production (or prod)"
EnvOption = Annotated[
    str,
    typer.Option(
        "--env", "-e", help=f"{ENV_HELP}; or default, which these inherit and which is meant here."
    ),
]
RunEnvOption = Annotated[
    str, typer.Option("--env", "-e", help=f"Where the service runs: {ENV_HELP}.")
]
AsOption = Annotated[
    str | None,
    typer.Option("--as", envvar="TRACSEQ_ACTOR", help="Who acts; the login name by default."),
]
ReasonOption = Annotated[
    str | None, typer.Option("--reason", help="Why; it is recorded with who did it.")
]
ExpectOption = Annotated[
    int | None,
    typer.Option(
        "--expect",
        min=0,
        metavar="VERSION",
        help="The version that was seen; refused where it is another by now.",
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would change; nothing is done.")
]
TextOption = Annotated[
    bool, typer.Option("--text", help="Take every value as text, also what looks like JSON.")
]


def environment(text: str) -> Environment:
    """Read the name of an environment.

    Raises:
        CliError: it is none.
    """
    try:
        return Environment(cast("str", as_environment(text)))
    except ValueError:
        known = ", ".join([*Environment, *ALIASES])
        raise usage_error("--env", text, "is no environment", f"Use one of {known}.") from None


def run_environment(text: str) -> Environment:
    """Read the name of an environment in which services run.

    Raises:
        CliError: it is none, or `default`.
    """
    found = environment(text)
    if found not in RUN_IN:
        remedy = f"Nothing runs there: use one of {', '.join(RUN_IN)}."
        raise usage_error("--env", text, "is inherited by the others", remedy)
    return found


def assignments(given: list[str], *, text: bool, plain: bool = False) -> dict[str, JsonValue]:
    """Read `KEY=VALUE` several times; a value is JSON, or else text.

    Raises:
        CliError: one is not that, or a key is there twice, or (unless all is plain) named like a
            secret.
    """
    found: dict[str, JsonValue] = {}
    taken_as_text: list[str] = []
    for one in given:
        key, equals, value = one.partition("=")
        if not equals:
            remedy = "Write KEY=VALUE, such as max_batch_size=2000."
            raise usage_error("KEY=VALUE", one, "has no =", remedy)
        if key in found:
            raise usage_error("KEY=VALUE", key, "is given twice", "Give each key once.")
        if not plain:
            _refuse_secret(key)
        found[key], is_text = _value(value, text=text)
        if is_text and not text:
            taken_as_text.append(key)
    for key in taken_as_text:
        output.notice(f"{output.cell(key)} is taken as text; JSON would be a number, true, [..].")
    return found


def _refuse_secret(key: str) -> None:
    """See that a key is not named like a secret; its value is never told."""
    if looks_secret(key):
        raise CliError(
            f"{key} is named like a secret, and others can see a command line.",
            remedy="`tracseq config set SERVICE KEY --secret` asks for the value; --plain says "
            "that it is none.",
            code=Exit.USAGE,
        )


def _value(given: str, *, text: bool) -> tuple[JsonValue, bool]:
    """Give a value, and whether it is one only as text."""
    if text:
        return given, True
    try:
        return cast("JsonValue", json.loads(given, parse_constant=_no_constant)), False
    except (ValueError, RecursionError):
        return given, True


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def made(
    kind: type[MessageT],
    *,
    nulls: Collection[str] = (),
    **values: Any,  # noqa: ANN401 - raw input
) -> MessageT:
    """Make a message of what was typed; what is None was not said, except for `nulls`.

    Raises:
        CliError: it does not fit; every field is listed with its remedy.
    """
    said = {name: value for name, value in values.items() if value is not None or name in nulls}
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        found = invalid_input(error, kind)
        what = f"{found.count} value(s) cannot be used."
        raise invalid(what, found.errors) from None
