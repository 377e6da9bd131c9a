"""What the command line prints: JSON for programs, tables and colours for people.

Results go to standard output; errors, progress and notices to standard error, so that a pipe holds
results alone.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TextIO

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.errors import FieldError

STATUS_STYLES = {
    "completed": "green",
    "compensated": "yellow",
    "compensating": "yellow",
    "cancelled": "yellow",
    "awaiting": "magenta",
    "paused": "magenta",
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
    "baking": "cyan",
    "finished": "green",
    "rolled_back": "bold red",
}


FIRM_CHARS_MAX = 36
"""As long as an id."""
PIPE_COLUMNS = 240
"""The width where there is no terminal: a file has no edge to fold at."""


@cache
def stdout() -> Console:
    """Give the console for results."""
    # COLUMNS is the user's own word; rich reads it where no width is given.
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPE_COLUMNS if piped else None)


@cache
def stderr() -> Console:
    """Give the console for errors, progress and notices."""
    return Console(stderr=True)


def print_json(document: object, *, file: TextIO | None = None) -> None:
    """Print one JSON document on one line."""
    text = json.dumps(to_jsonable_python(document), ensure_ascii=False)
    print(text, file=file or sys.stdout, flush=True)


def print_text(text: str) -> None:
    """Print a text as it is: no markup in it is meant, and no line is folded."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def print_result(
    result: BaseModel | Sequence[BaseModel] | dict[str, Any], *, as_json: bool, table: Table
) -> None:
    """Print a result as JSON or as a table."""
    if as_json:
        print_json(result)
    else:
        stdout().print(table)


def make_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Make a table; None is shown as nothing, times in UTC to the second, states in colour.

    A column of short values, such as ids, is never folded: whoever copies one gets it whole.
    """
    names, written = list(columns), [[cell(value) for value in row] for row in rows]
    table = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        show_header=any(names),
        box=None,
        pad_edge=False,
    )
    for number, name in enumerate(names):
        widest = max((cell_len(row[number]) for row in written), default=0)
        table.add_column(name, overflow="fold", no_wrap=widest <= FIRM_CHARS_MAX)
    for row in written:
        table.add_row(*row)
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
