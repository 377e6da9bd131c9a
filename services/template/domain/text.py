"""Read CSV and JSON: bytes become text, and text becomes one sheet.

CSV comes as UTF-8 with or without a mark, as UTF-16 with one, or in the old Windows encoding; with
commas, semicolons, tabs or bars. The separator is the one with which the header is best understood.
"""

import codecs
import contextlib
import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from contracts.errors import Refused
from services.template.domain import layout
from services.template.domain.kinds import TAKEN
from services.template.domain.table import Fault, Row, Sheet, cell, unreadable

SEPARATORS: Final = (",", ";", "\t", "|")
SNIFFED_LINES = 40
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LISTS: Final = ("samples", "rows", "data")


def decode(file: str, data: bytes) -> tuple[str, list[Fault]]:
    """Decode text, and say so where the encoding had to be guessed.

    Raises:
        Refused: the text breaks its own encoding.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), []
            except UnicodeDecodeError as error:
                name = encoding.removesuffix("-sig").upper()
                problem = f"The file says it is {name}, and breaks that at byte {error.start + 1}."
                raise unreadable(
                    file, "file.encoding", problem, "Save it as CSV UTF-8 again."
                ) from None
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        return _decode_windows(data), [_guessed(data, error.start)]


def _decode_windows(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _guessed(data: bytes, at: int) -> Fault:
    line = data.count(b"\n", 0, at) + 1
    return Fault(
        "file.encoding_guessed",
        f"The file is not UTF-8 (line {line}); it was read as Windows-1252 (Latin-1).",
        "Check names with accents; save the file as CSV UTF-8 to be sure.",
    )


def read_csv(file: str, text: str) -> Sheet:
    """Read separated values; a row is numbered by its first line in the file.

    Raises:
        Refused: quotes do not match.
    """
    beginning = list(itertools.islice(_lines(text), SNIFFED_LINES))
    separator, skipped = _declared(beginning)
    if separator is None:
        separator = max(SEPARATORS, key=lambda s: _understood(beginning, s))
    rows: list[Row] = []
    read = _rows(_lines(text), separator, skipped)
    try:
        # Extended while it is read: where a quote does not match, the rows before it say where.
        rows.extend(itertools.islice(read, layout.ROWS_READ_MAX + 1))
    except csv.Error as error:
        raise _broken(file, error, after=rows) from None
    return Sheet(None, rows[: layout.ROWS_READ_MAX], more=len(rows) > layout.ROWS_READ_MAX)


def _lines(text: str) -> Iterator[str]:
    """Split at line ends alone, and keep them: other separators of Unicode may stand in a cell."""
    return (found[0] for found in _LINE.finditer(text))


def _broken(file: str, error: csv.Error, *, after: Sequence[Row]) -> Refused:
    where = f"after line {after[-1].number}" if after else "in the first row"
    return unreadable(
        file,
        "csv.quotes",
        f"The quotes do not match {where} ({error}).",
        'Put quotes around a whole cell only, and double those inside it: "5"" tube".',
    )


def _declared(lines: Sequence[str]) -> tuple[str | None, int]:
    """Read the line `sep=;` with which spreadsheets begin some files."""
    first = lines[0].strip() if lines else ""
    if first.lower().startswith("sep=") and first[4:] in {*SEPARATORS, ""}:
        return (first[4:] or "\t"), 1
    return None, 0


def _understood(lines: Sequence[str], separator: str) -> tuple[int, int]:
    """Tell how well the beginning reads with a separator: known columns, then cells."""
    rows: list[Row] = []
    # A quote that does not match ends the look; reading the whole file tells of it.
    with contextlib.suppress(csv.Error):
        rows.extend(itertools.islice(_rows(lines, separator, 0), layout.HEADER_WITHIN_ROWS))
    at, known = layout.find_header(rows)
    return known, len(rows[at].cells) if rows else 0


def _rows(lines: Iterable[str], separator: str, skipped: int) -> Iterator[Row]:
    reader = csv.reader(itertools.islice(lines, skipped, None), delimiter=separator, strict=True)
    number = skipped + 1
    for record in reader:
        cells = _trimmed([_csv_cell(text) for text in record])
        if cells:
            yield Row(number, cells)
        number = skipped + reader.line_num + 1


def _csv_cell(text: str) -> str:
    if text.startswith('="') and (found := _EXCEL_TEXT.fullmatch(text)):
        return cell(found[1])
    return cell(text)


def _trimmed(cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells.pop()
    return cells


def read_json(file: str, text: str) -> Sheet:
    """Read a list of objects, one for each sample; a row's number is its object's, from 1.

    Raises:
        Refused: it is no JSON, or no list of objects.
    """
    try:
        content: Any = json.loads(
            text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_Object
        )
    except json.JSONDecodeError as error:
        problem = (
            f"This is no valid JSON: {error.msg} (line {error.lineno}, character {error.colno})."
        )
        raise unreadable(file, "json.syntax", problem, TAKEN) from None
    except RecursionError:
        raise unreadable(
            file, "json.depth", "The JSON is nested too deeply.", "Give a list of flat objects."
        ) from None
    return _sheet_of(file, _objects(file, content))


class _Object(dict[str, Any]):
    """A JSON object that remembers a key that came twice."""

    twice: str | None = None

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) < len(pairs):
            self.twice = Counter(key for key, _ in pairs).most_common(1)[0][0]


def _objects(file: str, content: Any) -> list[_Object]:  # noqa: ANN401 - JSON may be anything
    if isinstance(content, _Object):
        content = next((content[key] for key in _LISTS if key in content), None)
    items = cast("list[object]", content) if isinstance(content, list) else None
    if items is None or not all(isinstance(item, _Object) for item in items):
        raise unreadable(
            file,
            "json.shape",
            "The JSON is not a list of objects.",
            'Give one object for each sample: [{"sample_id": "S1", "sample_type": "DNA"}].',
        )
    if not items:
        raise unreadable(
            file, "rows.none", "The list has no samples.", "Give one object for each sample."
        )
    return cast("list[_Object]", items)


def _sheet_of(file: str, objects: list[_Object]) -> Sheet:
    for number, item in enumerate(objects, 1):
        if item.twice is not None:
            problem = f"Object {number} has the key '{cell(item.twice)[:80]}' twice."
            raise unreadable(file, "json.key_twice", problem, "Keep one of them.")
    keys = list(dict.fromkeys(key for item in objects for key in item))
    # Checked before the rows are made: as many keys as objects would make cells without end.
    layout.check_width(file, len(keys))
    rows = (
        Row(n, [_json_cell(item.get(key)) for key in keys]) for n, item in enumerate(objects, 1)
    )
    filled = list(
        itertools.islice((row for row in rows if any(row.cells)), layout.ROWS_READ_MAX + 1)
    )
    header = Row(0, [cell(key) for key in keys])
    more = len(filled) > layout.ROWS_READ_MAX
    return Sheet(None, [header, *filled[: layout.ROWS_READ_MAX]], more=more, header_first=True)


def _json_cell(value: object) -> str:
    if value is None:
        return ""
    return cell(value if isinstance(value, str) else json.dumps(value))
