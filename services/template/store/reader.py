"""Run the program that reads workbooks, and understand what it says or how it ended."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.errors import Refused
from services.template.domain import layout
from services.template.domain.kinds import TAKEN
from services.template.domain.table import Merged, Row, Sheet, cell, unreadable
from services.template.store.workbook import EXIT_PASSWORD, EXIT_TOO_LARGE

READ_SECONDS_MAX = 60
"""The program bounds its own processor time; this is for when it gets none."""

_PROGRAM = Path(__file__).with_name("workbook.py")


def read_workbook(file: str, data: bytes, wanted: str | None) -> Sequence[Sheet]:
    """Read the wanted sheet of a workbook, or all that can be seen.

    Raises:
        Refused: it cannot be read, or has no such sheet.
    """
    sheet = [] if wanted is None else [wanted.replace("\0", "")]
    command = [sys.executable, "-I", str(_PROGRAM), str(layout.ROWS_READ_MAX), *sheet]
    try:
        done = subprocess.run(  # noqa: S603 - this project's own program; the sheet's name is an argument, not code
            command,
            input=data,
            capture_output=True,
            timeout=READ_SECONDS_MAX,
            check=False,
            env={"RUST_BACKTRACE": "0"},
        )
    except subprocess.TimeoutExpired:
        raise _too_large(file) from None
    if done.returncode != 0:
        raise _failed(file, done.returncode, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    if wanted is not None and not found["sheets"]:
        raise layout.sheet_not_found(file, wanted, found["names"])
    return [_sheet(sheet) for sheet in found["sheets"]]


def _sheet(found: dict[str, Any]) -> Sheet:
    rows = (Row(number, [cell(text) for text in cells]) for number, cells in found["rows"])
    return Sheet(
        name=found["name"],
        rows=[row for row in rows if any(row.cells)],
        merged=[Merged(*block) for block in found["merged"]],
        more=found["more"],
    )


def _failed(file: str, code: int, said: bytes) -> Refused:
    if code == EXIT_PASSWORD:
        return unreadable(
            file,
            "workbook.password",
            "The workbook is protected by a password.",
            "Save it without one.",
        )
    # A negative code is a signal: the program was ended for wanting too much.
    if code < 0 or code == EXIT_TOO_LARGE:
        return _too_large(file)
    detail = said.decode(errors="replace").strip().splitlines()[-1:]
    return unreadable(
        file, "workbook.damaged", f"The workbook cannot be read ({''.join(detail)[:200]}).", TAKEN
    )


def _too_large(file: str) -> Refused:
    return unreadable(
        file,
        "workbook.too_large",
        "A sheet of the workbook reaches too far: often one value stands far out.",
        "Press Ctrl+End on each sheet to find it, or copy the table alone to a new workbook.",
    )
