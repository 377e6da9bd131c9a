"""What the command line prints: JSON for programs, tables and colours for people.

Results go to standard output; errors, progress and notices to standard error, so that a pipe holds
results alone.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TextIO

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.errors import FieldError

STATUS_STYLES = {
    "completed": "green",
    "compensated": "yellow",
    "compensating": "yellow",
    "failed": "bold red",
    "running": "cyan",
    "done": "green",
    "undone": "yellow",
    "undoing": "yellow",
    "refused": "red",
    "stuck": "bold red",
    "asked": "cyan",
    "skipped": "dim",
    "waiting": "dim",
}


@cache
def stdout() -> Console:
    """Give the console for results."""
    return Console(soft_wrap=False)


@cache
def stderr() -> Console:
    """Give the console for errors, progress and notices."""
    return Console(stderr=True)


def print_json(document: object, *, file: TextIO | None = None) -> None:
    """Print one JSON document on one line."""
    text = json.dumps(to_jsonable_python(document), ensure_ascii=False)
    print(text, file=file or sys.stdout, flush=True)


def print_result(
    result: BaseModel | Sequence[BaseModel] | dict[str, Any], *, as_json: bool, table: Table
) -> None:
    """Print a result as JSON or as a table."""
    if as_json:
        print_json(result)
    else:
        stdout().print(table)


def make_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Make a table; None is shown as nothing, times in UTC to the second, states in colour."""
    names = list(columns)
    table = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        show_header=any(names),
        box=None,
        pad_edge=False,
    )
    for column in names:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def cell(value: object) -> str:
    """Write one value of a table."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    text = escape(str(value))
    style = STATUS_STYLES.get(text)
    return f"[{style}]{text}[/]" if style else text


def notice(text: str) -> None:
    """Tell a person something that is no result."""
    stderr().print(text)


def print_field_errors(errors: Sequence[FieldError]) -> None:
    """List what is wrong with which value, and what to do about it."""
    if not errors:
        return
    rows = ((e.field, e.value, e.problem, e.remedy) for e in errors)
    stderr().print(make_table("", ("Field", "Value", "Problem", "Remedy"), rows))
