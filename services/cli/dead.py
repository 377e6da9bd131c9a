"""`tracseq dead`: what could not be handled, and why; look at it, send it again, drop it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from infra.bus.dead import DeadLetter, DeadLetters
from services.cli import output
from services.cli.broker import connection_to
from services.cli.outcome import CliError, command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

SeqArgument = Annotated[
    int, typer.Argument(min=1, help="The letter's number, as `dead list` shows it.")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True, help="Dead letters: what a consumer could not handle."
    )
    app.add_typer(group, name="dead")
    _register_reading(group)
    _register_changing(group)


def _register_reading(group: typer.Typer) -> None:
    @command(group, "list")
    async def list_letters(
        *,
        after: Annotated[int, typer.Option(min=0, help="Only later numbers than this.")] = 0,
        limit: Annotated[
            int, typer.Option(min=1, max=1_000, help="How many at most, oldest first.")
        ] = 100,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List dead letters, oldest first."""
        async with _letters(data) as letters:
            found = await letters.list(after=after, limit=limit)
        if as_json:
            output.print_json([_document(letter) for letter in found])
            return
        columns = ("Number", "At", "Consumer", "Type", "Deliveries", "Reason")
        rows = ((x.seq, x.at, x.consumer, x.type, x.deliveries, x.reason) for x in found)
        output.stdout().print(output.make_table("", columns, rows) if found else "No dead letters.")

    @command(group, "show")
    async def show_letter(
        seq: SeqArgument, *, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False
    ) -> None:
        """Show one dead letter: why, its headers, its body."""
        async with _letters(data) as letters:
            letter = await letters.get(seq)
        if letter is None:
            raise _unknown(seq)
        if as_json:
            output.print_json(_document(letter))
            return
        facts = {k: v for k, v in _document(letter).items() if k not in {"headers", "body"}}
        output.stdout().print(output.make_table("", ("", ""), facts.items()))
        output.stdout().print(
            output.make_table("Headers", ("Name", "Value"), letter.headers.items())
        )
        output.stdout().print(f"[bold]Body[/]\n{escape(letter.text())}")


def _register_changing(group: typer.Typer) -> None:
    @command(group, "replay")
    async def replay_letter(
        seq: SeqArgument, *, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False
    ) -> None:
        """Send a dead letter again, under a new id; it stays here until it is dropped."""
        async with _letters(data) as letters:
            stored = await letters.replay(seq)
        if stored is None:
            raise _unknown(seq)
        if as_json:
            output.print_json({"seq": seq, "sent_to": stored.stream, "as": stored.seq})
            return
        output.stdout().print(f"Letter {seq} was sent again: {stored.stream} {stored.seq}.")

    @command(group, "drop")
    async def drop_letter(
        seq: SeqArgument, *, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False
    ) -> None:
        """Delete a dead letter for good."""
        async with _letters(data) as letters:
            dropped = await letters.drop(seq)
        if not dropped:
            raise _unknown(seq)
        if as_json:
            output.print_json({"seq": seq, "dropped": True})
            return
        output.stdout().print(f"Letter {seq} is gone.")


@asynccontextmanager
async def _letters(data: Path) -> AsyncGenerator[DeadLetters]:
    async with connection_to(data) as connection:
        yield DeadLetters(connection)


def _document(letter: DeadLetter) -> dict[str, Any]:
    return {**asdict(letter), "headers": dict(letter.headers), "body": letter.text()}


def _unknown(seq: int) -> CliError:
    return CliError(
        f"There is no dead letter {seq}.", remedy="`tracseq dead list` shows which there are."
    )
