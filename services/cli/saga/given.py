"""What commands that act on transactions share: options, and how answers are shown."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from contracts.saga_orders import OrderView
from services.cli import output
from services.cli.outcome import usage_error

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only show what it would lead to; nothing is done.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; it is recorded with who gave the order.")
]
AsOption = Annotated[
    str | None,
    typer.Option("--as", envvar="TRACSEQ_ACTOR", help="Who acts; the login name by default."),
]


def check_named(named: object, wanted: object) -> None:
    """See that transactions are named, or selected, and not both.

    Raises:
        CliError: neither, or both.
    """
    remedy = "Name transactions, or say by options which ones: --type, --status, ..."
    if named and wanted:
        raise usage_error("ID", str(named), "and a filter exclude each other", remedy)
    if not named and not wanted:
        raise usage_error("ID", "", "is needed, or options that select", remedy)


def read_object(field: str, text: str | None) -> dict[str, Any]:
    """Read a JSON object, or `@FILE` with one; none is an empty one.

    Raises:
        CliError: it is no JSON object, or the file cannot be read.
    """
    if text is None:
        return {}
    try:
        content = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text
        document = json.loads(content)
    except (OSError, ValueError) as error:
        remedy = """Write an object, such as '{"position": "A1"}', or @FILE."""
        raise usage_error(field, text, f"cannot be read: {error}", remedy) from None
    if not isinstance(document, dict):
        raise usage_error(field, text, "is no JSON object", """Write {"name": value, ...}.""")
    return cast("dict[str, Any]", document)


def show_order(view: OrderView, *, as_json: bool) -> None:
    """Show what an order or a signal led to, or would."""
    if as_json:
        output.print_json(view)
        return
    out = output.stdout()
    if view.repeated:
        out.print(f"It had been done before: {view.transaction_id} is {view.after}.")
        return
    would = "would become" if view.dry_run else "is now"
    out.print(f"{view.transaction_id} was {view.before} and {would} {output.cell(view.after)}.")
    if view.steps:
        rows = ((one.step, one.before.value, one.after.value) for one in view.steps)
        out.print(output.make_table("", ("Step", "Before", "After"), rows))
    if view.asks:
        out.print(f"{'Would be asked' if view.dry_run else 'Asked'}: {', '.join(view.asks)}")
