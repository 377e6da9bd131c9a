"""`tracseq publish`: a raw fact from the bench, straight to the broker, as instruments do it."""

import json
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from contracts.catalog import LAB_EVENTS
from contracts.errors import FieldError
from contracts.event import Site
from contracts.message import LabEvent
from infra.http.invalid import invalid_input, shorten
from services.cli import output
from services.cli.actor import ActorOption, who
from services.cli.broker import bus_to
from services.cli.outcome import command, invalid, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

BODY_BYTES_MAX = 1024 * 1024
STDIN = "-"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def publish(
        event_type: Annotated[
            str,
            typer.Argument(
                metavar="TYPE", help="Type of the lab event, such as sensor.temperature_read."
            ),
        ],
        body: Annotated[
            str,
            typer.Argument(metavar="JSON", help="Its fields as a JSON object; @FILE or - read it."),
        ],
        *,
        source: Annotated[
            str, typer.Option(help="Who tells it: the instrument's or sensor's name.")
        ] = "tracseq-cli",
        site: Annotated[str, typer.Option(help="The site of the laboratory.")] = "main",
        message_id: Annotated[
            str | None, typer.Option("--id", help="Its id; the same id twice is one event.")
        ] = None,
        actor: ActorOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Publish a lab event to the broker, checked against its contract first.

        Example: tracseq publish sensor.temperature_read '{"sensor": "F1", "celsius": -80.5}'
        """
        event = read_event(event_type, body)
        checked_site = _site(site)
        async with bus_to(data) as bus:
            stored = await bus.publish_lab(
                event, source=source, site=checked_site, message_id=message_id, actor=who(actor)
            )
        if as_json:
            output.print_json(
                {
                    "type": event_type,
                    "stream": stored.stream,
                    "seq": stored.seq,
                    "duplicate": stored.duplicate,
                }
            )
            return
        known = " (was there already: the same id is one event)" if stored.duplicate else ""
        output.stdout().print(f"{event_type} is kept in {stored.stream} as {stored.seq}{known}.")


def read_event(event_type: str, given: str) -> LabEvent:
    """Make a lab event of its type and JSON.

    Raises:
        CliError: there is no such type, or the JSON does not fit it; each field is named.
    """
    contract = LAB_EVENTS.get(event_type)
    if contract is None:
        close = get_close_matches(event_type, LAB_EVENTS, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        remedy = f"{hint}Known are: {', '.join(sorted(LAB_EVENTS))}."
        raise usage_error("TYPE", event_type, "is no lab event", remedy)
    values = _read_object(given)
    # Contracts of events ignore what they do not know, for later versions' sake. A person who types
    # a field that nobody knows has mistyped it.
    errors = [
        _unknown(name, value, contract)
        for name, value in values.items()
        if name not in contract.model_fields
    ]
    event = None
    try:
        event = contract.model_validate(values)
    except ValidationError as error:
        errors = invalid_input(error, contract, errors).errors
    if event is None or errors:
        raise invalid(f"{event_type} does not fit its contract; nothing was published.", errors)
    return event


def _unknown(name: str, value: object, contract: type[LabEvent]) -> FieldError:
    remedy = f"Leave it out; known are: {', '.join(contract.model_fields)}."
    return FieldError(field=name, value=shorten(value), problem="is not known here", remedy=remedy)


def _read_object(given: str) -> dict[str, Any]:
    try:
        document = json.loads(_read_text(given))
    except json.JSONDecodeError as error:
        remedy = """Quote it for the shell, as in '{"sensor": "F1", "celsius": -80.5}'."""
        where = f"is no JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        raise usage_error("JSON", given[:80], where, remedy) from None
    if not isinstance(document, dict):
        raise usage_error("JSON", given[:80], "is no object", "Give {...} with the event's fields.")
    return document  # pyright: ignore[reportUnknownVariableType] - JSON objects have string keys


def _read_text(given: str) -> str:
    if given == STDIN:
        return sys.stdin.read(BODY_BYTES_MAX)
    if given.startswith("@"):
        with Path(given[1:]).open(encoding="utf-8") as file:
            return file.read(BODY_BYTES_MAX)
    return given


def _site(site: str) -> str:
    try:
        return TypeAdapter[str](Site).validate_python(site)
    except ValidationError:
        raise usage_error("--site", site, "is no site", "Use 1 to 32 of a-z 0-9 _ -.") from None
