"""Find the manifest in what was read: which sheet it is on, and which row is its header.

Titles may stand above the header, empty rows anywhere; row numbers stay those that the person sees.
"""

from collections.abc import Sequence

from contracts.errors import Refused
from contracts.template import ROWS_MAX
from services.template.domain import columns
from services.template.domain.table import Fault, Row, Sheet, Table, unreadable

HEADER_WITHIN_ROWS = 20
"""The header is among this many rows from the first that is not empty."""
ROWS_READ_MAX = ROWS_MAX + HEADER_WITHIN_ROWS + 1
"""Rows of a sheet that are worth reading: with one more than this it has too many in any case."""
SHEETS_NAMED_MAX = 20
COLUMNS_MAX = 500
"""Columns of a manifest, beyond every sensible one."""


def known_columns(row: Row) -> int:
    """Count the different columns whose headers a row holds."""
    matches = (columns.match(text) for text in row.cells if text)
    return len({m.column.name for m in matches if m is not None})


def find_header(rows: Sequence[Row]) -> tuple[int, int]:
    """Give the index of the row that is most of a header, and how many columns it names."""
    first = rows[:HEADER_WITHIN_ROWS]
    scores = [known_columns(row) for row in first]
    best = max(scores, default=0)
    return (scores.index(best) if scores else 0), best


def score(sheet: Sheet) -> int:
    """Count the columns that the header of a sheet names."""
    return find_header(sheet.rows)[1]


def check_width(file: str, width: int) -> None:
    """Refuse a header that is wider than any manifest.

    Raises:
        Refused: it has more than `COLUMNS_MAX` columns.
    """
    if width > COLUMNS_MAX:
        raise unreadable(
            file,
            "header.too_wide",
            f"The header has {width:,} columns; at most {COLUMNS_MAX} are read.",
            "Remove the columns that do not belong to the manifest.",
        )


def table(
    file: str,
    sheets: Sequence[Sheet],
    wanted: str | None,
    *,
    spreadsheet: bool,
    remarks: Sequence[Fault] = (),
) -> Table:
    """Make a table of the sheet that is wanted, or of the one that looks most like a manifest.

    Raises:
        Refused: there is no such sheet, or nothing in it that could be a manifest.
    """
    sheet, others = _choose(file, sheets, wanted)
    if not sheet.rows:
        raise unreadable(
            file,
            "file.empty",
            f"{_named(sheet)} is empty.",
            "Choose the file that holds the samples.",
        )
    at = 0 if sheet.header_first else find_header(sheet.rows)[0]
    header, rows = sheet.rows[at], sheet.rows[at + 1 :]
    check_width(file, len(header.cells))
    if not rows:
        raise unreadable(
            file,
            "rows.none",
            f"{_named(sheet)} has a header in row {header.number} and no samples below it.",
            "Write one row for each sample.",
        )
    if len(rows) > ROWS_MAX:
        count = f"more than {ROWS_MAX:,}" if sheet.more else f"{len(rows):,}"
        raise unreadable(
            file,
            "rows.too_many",
            f"{_named(sheet)} has {count} rows; a manifest has at most {ROWS_MAX:,}.",
            f"Split it into files of at most {ROWS_MAX:,} rows.",
        )
    return Table(
        file=file,
        sheet=sheet.name,
        header_row=header.number,
        header=header.cells,
        rows=rows,
        merged=sheet.merged,
        spreadsheet=spreadsheet,
        remarks=(*remarks, *_unread(sheet, others)),
    )


def _choose(
    file: str, sheets: Sequence[Sheet], wanted: str | None
) -> tuple[Sheet, Sequence[Sheet]]:
    if wanted is not None:
        return _by_name(file, sheets, wanted), ()
    if not sheets:
        raise unreadable(
            file,
            "sheet.none",
            "The workbook has no visible sheet.",
            "Show the sheet with the samples.",
        )
    best = max(sheets, key=score)
    return best, [sheet for sheet in sheets if sheet is not best]


def _by_name(file: str, sheets: Sequence[Sheet], wanted: str) -> Sheet:
    spelt = wanted.strip().casefold()
    found = next((s for s in sheets if (s.name or "").strip().casefold() == spelt), None)
    if found is None:
        raise sheet_not_found(file, wanted, [s.name for s in sheets if s.name is not None])
    return found


def sheet_not_found(file: str, wanted: str, names: Sequence[str]) -> Refused:
    """Refuse a file for the sheet that it does not have."""
    if not names:
        remedy = "This kind of file has no sheets: leave the sheet out."
    else:
        more = ", …" if len(names) > SHEETS_NAMED_MAX else ""
        remedy = f"Name one of these: {', '.join(names[:SHEETS_NAMED_MAX])}{more}."
    return unreadable(file, "sheet.not_found", f"There is no sheet '{wanted}'.", remedy)


def _unread(sheet: Sheet, others: Sequence[Sheet]) -> list[Fault]:
    """Warn of other sheets that look like manifests: samples must not be lost unseen."""
    required = sum(c.required for c in columns.COLUMNS)
    alike = [
        other.name or "" for other in others if score(other) >= required and len(other.rows) > 1
    ]
    return [
        Fault(
            "sheet.unread",
            f"Sheet '{name}' looks like a manifest as well; only '{sheet.name}' was read.",
            f"Submit the file once more with sheet={name} if its samples are meant too.",
        )
        for name in alike[:SHEETS_NAMED_MAX]
    ]


def _named(sheet: Sheet) -> str:
    return "The file" if sheet.name is None else f"Sheet '{sheet.name}'"
