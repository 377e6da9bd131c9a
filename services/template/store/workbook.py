"""Read a workbook (XLSX, XLSM, XLSB, XLS, ODS) in a process of its own: bytes in, JSON out.

A small file can ask for endless memory (one stray cell in the last row and column is enough), and
the parser then ends the process it is in. So this program bounds itself, and whoever runs it
outlives it. It imports nothing of the project, to start at once, and decides nothing: cells become
text.
"""

import datetime as dt
import io
import json
import resource
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import python_calamine as calamine

MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""Address space of this process: enough for every workbook of a manifest's size."""
CPU_SECONDS_MAX = 30
SHEETS_MAX = 50
CELL_CHARACTERS_MAX = 4_000
"""A longer cell is cut: it is too long for every column in any case."""
EXACT_BELOW = 10**15
"""Spreadsheets keep 15 digits of a number."""

EXIT_UNREADABLE = 3
EXIT_PASSWORD = 4
EXIT_TOO_LARGE = 5


def text_of(value: object) -> str:
    """Give a cell as text: as it is shown, but for dates, which are ISO."""
    if isinstance(value, str):
        return value.strip()[:CELL_CHARACTERS_MAX]
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time()
        return value.date().isoformat() if midnight else value.isoformat(timespec="seconds")
    if isinstance(value, float):
        return number(value)
    return str(value)


def number(value: float) -> str:
    """Give a number as a spreadsheet shows it."""
    if abs(value) >= EXACT_BELOW:
        return f"{value:.14E}"
    return str(int(value)) if value == int(value) else repr(value)


def cells_of(values: Iterable[Any], before: int) -> list[str]:
    """Give a row from column A on, without the empty cells at its end."""
    cells = [*([""] * before), *map(text_of, values)]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def rows_of(sheet: calamine.CalamineSheet, rows_max: int) -> Iterator[tuple[int, list[str]]]:
    """Give numbered rows that are not empty, at most one more than `rows_max`."""
    if sheet.start is None:
        return
    top, left = sheet.start
    given = 0
    for number_, values in enumerate(sheet.to_python(skip_empty_area=True), top + 1):
        cells = cells_of(values, left)
        if cells:
            yield number_, cells
            given += 1
        if given > rows_max:
            return


def read_sheet(sheet: calamine.CalamineSheet, rows_max: int) -> dict[str, object]:
    """Give one sheet: rows, and merged blocks as first row and column, last row and column."""
    rows = list(rows_of(sheet, rows_max))
    blocks = sheet.merged_cell_ranges or []
    return {
        "name": sheet.name,
        "rows": rows[:rows_max],
        "more": len(rows) > rows_max,
        "merged": [[r1 + 1, c1 + 1, r2 + 1, c2 + 1] for (r1, c1), (r2, c2) in blocks[:rows_max]],
    }


def read(data: bytes, wanted: str | None, rows_max: int) -> dict[str, object]:
    """Give the wanted sheet, also a hidden one, or all that can be seen; and the names of all."""
    with calamine.load_workbook(io.BytesIO(data)) as book:
        sheets = [s for s in book.sheets_metadata if s.typ == calamine.SheetTypeEnum.WorkSheet]
        if wanted is None:
            chosen = [s.name for s in sheets if s.visible == calamine.SheetVisibleEnum.Visible]
        else:
            spelt = wanted.strip().casefold()
            chosen = [s.name for s in sheets if s.name.strip().casefold() == spelt]
        return {
            "names": [s.name for s in sheets],
            "sheets": [
                read_sheet(book.get_sheet_by_name(name), rows_max) for name in chosen[:SHEETS_MAX]
            ],
        }


def main(wanted: str | None, rows_max: int) -> int:
    """Read stdin, write stdout; the exit code says what went wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = read(sys.stdin.buffer.read(), wanted, rows_max)
        sys.stdout.buffer.write(json.dumps(found).encode())
    except calamine.PasswordError:
        return EXIT_PASSWORD
    except MemoryError:
        return EXIT_TOO_LARGE
    except calamine.CalamineError as error:
        sys.stderr.write(str(error))
        return EXIT_UNREADABLE
    return 0


if __name__ == "__main__":
    # Leave at once: after an exhausted memory, tidying up may fail as well.
    code = main(sys.argv[2] if len(sys.argv) > 2 else None, int(sys.argv[1]))  # noqa: PLR2004 - rows_max [sheet]
    sys.stdout.flush()
    sys.exit(code)
