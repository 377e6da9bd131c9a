"""How values, changes and what became of an edit are shown; a secret is a word, never its value."""

import json
from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel

from contracts.config_types import Change
from contracts.config_views import Affected, ConfigEdited
from services.cli import output

SECRET = "(secret)"  # noqa: S105 - what is shown in its place
NOTHING = "-"
CHARS_MAX = 80
"""Of one value in a table; `get` shows it whole."""


def value(given: object, *, secret: bool = False) -> str:
    """Write a value for a table: JSON on one line, shortened."""
    if secret:
        return SECRET
    text = json.dumps(given, ensure_ascii=False)
    return text if len(text) <= CHARS_MAX else f"{text[: CHARS_MAX - 1]}…"


def listed(
    result: BaseModel | Sequence[BaseModel],
    title: str,
    columns: Sequence[str],
    rows: Iterable[Iterable[object]],
    *,
    as_json: bool,
) -> None:
    """Show a result: as JSON, or as a table under its title, which is not folded with it."""
    if as_json:
        output.print_json(result)
        return
    out = output.stdout()
    out.print(output.cell(title), soft_wrap=True, highlight=False, style="italic")
    out.print(output.make_table("", columns, rows))


def before_after(change: Change) -> tuple[str, str]:
    """Write both sides of a change."""
    before = value(change.before, secret=change.secret) if change.was else NOTHING
    after = value(change.after, secret=change.secret) if change.stays else NOTHING
    return before, after


def in_words(changes: Iterable[Change]) -> str:
    """Write changes on one line."""
    sides = ((one.key, *before_after(one)) for one in changes)
    return ", ".join(f"{key}: {before} → {after}" for key, before, after in sides)


def cautions(view: ConfigEdited) -> None:
    """Warn on standard error of what is allowed and most likely not meant."""
    for one in view.warnings:
        text = f"{output.cell(one.key)}: {output.cell(one.problem)}. {output.cell(one.remedy)}"
        output.stderr().print(f"[yellow]Caution:[/] {text}", soft_wrap=True, highlight=False)


def edited(view: ConfigEdited, *, as_json: bool) -> None:
    """Show what an edit did, would do, or waits for; cautions go to standard error."""
    cautions(view)
    if as_json:
        output.print_json(view)
        return
    out = output.stdout()
    rows = [row for one in view.affected for row in _rows(one)]
    if not rows and view.change_request is None:
        where = f"{view.service_name} in {view.environment}"
        out.print(f"Nothing changes: {where} is so already, at version {view.version}.")
        return
    columns = ("Environment", "Version", "Key", "Before", "After")
    listed(view, _title(view), columns, rows, as_json=False)
    if view.change_request is not None:
        out.print(
            f"Somebody else must consent: `tracseq config approve {view.change_request}`.",
            soft_wrap=True,
        )


def _title(view: ConfigEdited) -> str:
    if view.change_request is not None:
        return "Nothing has changed yet; this waits:"
    return "This would change:" if view.dry_run else "Changed:"


def _rows(one: Affected) -> Iterator[tuple[object, ...]]:
    for change in one.changes:
        yield one.environment.value, one.version, change.key, *before_after(change)
    for key in one.shadowed:
        yield one.environment.value, one.version, key, "", "unchanged: it sets this itself"
