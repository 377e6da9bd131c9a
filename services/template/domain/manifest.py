"""Judge a manifest row by row: which rows can become samples, and what is wrong with the others.

Every problem of every row is found in one pass, so that a person mends a file once. Whether the
laboratory has a barcode already is not known here.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pydantic import ValidationError

from contracts.sample import SampleDetails
from contracts.types import SampleType, Zone
from services.template.domain import codes, header, words
from services.template.domain.columns import (
    BARCODE,
    COLLECTED_ON,
    SAMPLE_ID,
    SAMPLE_TYPE,
    STORAGE_TEMPERATURE,
)
from services.template.domain.header import Assigned, Header
from services.template.domain.materials import Material
from services.template.domain.remarks import changed_barcode, second_looks
from services.template.domain.table import Fault, Row, Table, letters
from services.template.domain.validation import Findings, Place, Validation, ValidRow

ROWS_NAMED_MAX = 5
"""Other rows that a problem names."""


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the rows of one table."""

    table: Table
    header: Header
    today: date
    found: Findings

    def row(self, row: Row) -> ValidRow | None:
        """Judge one row; None where it has a problem."""
        before = len(self.found.problems)
        values = self._values(row)
        self._strays(row)
        self._barcode(row, values)
        self._collected(row, values)
        material = values.get(SAMPLE_TYPE.field)
        if len(self.found.problems) > before or not isinstance(material, Material):
            return None
        self._remarks(row, values, material)
        return self._valid(row, values, material)

    def _values(self, row: Row) -> dict[str, object]:
        """Read the cells whose columns are known, by field."""
        values: dict[str, object] = {}
        for assigned in self.header.assigned:
            text = row.text(assigned.index)
            value = self._read(row, assigned, text)
            if isinstance(value, Fault):
                self.found.problem(value, assigned.of(row))
            elif value is not None:
                values[assigned.column.field] = value
        return values

    def _read(self, row: Row, assigned: Assigned, text: str) -> object:
        if not text:
            return self._missing(row, assigned) if assigned.required else None
        if words.says_nothing(text):
            return _unknown(assigned, text) if assigned.required else None
        return assigned.column.parse(text, assigned.hint)

    def _missing(self, row: Row, assigned: Assigned) -> Fault:
        column = assigned.column
        blocks = (m for m in self.table.merged if m.holds(row.number, assigned.index + 1))
        block = next(blocks, None)
        if block is not None:
            remedy = f"The cell is part of the merged block {block}: split it, and fill each cell."
        else:
            formula = " A formula that was never calculated reads as empty."
            remedy = f"Fill the cell: {column.accepts}.{formula if self.table.spreadsheet else ''}"
        return Fault(f"{column.name}.missing", f"The {column.words} is missing.", remedy)

    def _strays(self, row: Row) -> None:
        """Find cells that belong to no column: often a separator too many shifted the row."""
        width = len(self.table.header)
        outside = self.header.unnamed
        strays = [i for i, text in enumerate(row.cells) if text and (i >= width or i in outside)]
        if not strays:
            return
        quotes = "" if self.table.spreadsheet else "Put quotes around cells with separators, or "
        fault = Fault(
            "row.stray_cell",
            f"{len(strays)} cell(s) of this row stand under no header.",
            f"{quotes}remove them, or give their column a header.".capitalize(),
        )
        self.found.problem(fault, Place(row.number, letters(strays[0] + 1), row.cells[strays[0]]))

    def _barcode(self, row: Row, values: dict[str, object]) -> None:
        """Take the sample's id as its barcode where there is no column for barcodes."""
        assigned = self.header.of(SAMPLE_ID)
        if self.header.of(BARCODE) is not None or assigned is None:
            return
        if SAMPLE_ID.field not in values:
            return
        code = codes.barcode(row.text(assigned.index), "")
        if isinstance(code, Fault):
            self.found.problem(code, assigned.of(row))
        else:
            values[BARCODE.field] = code

    def _collected(self, row: Row, values: Mapping[str, object]) -> None:
        day = values.get(COLLECTED_ON.field)
        assigned = self.header.of(COLLECTED_ON)
        if assigned is not None and isinstance(day, date) and day > self.today:
            fault = Fault("collected_on.future", f"{day} is still to come.", "Check the date.")
            self.found.problem(fault, assigned.of(row))

    def _remarks(self, row: Row, values: Mapping[str, object], material: Material) -> None:
        """Warn of what is allowed, and worth a second look."""
        for column, fault in second_looks(values, material):
            assigned = self.header.of(column)
            if assigned is not None:
                self.found.warn(fault, assigned.of(row))
        source = self.header.barcodes
        changed = changed_barcode(row.text(source.index)) if source else None
        if source is not None and changed is not None:
            self.found.warn(changed, source.of(row))

    def _valid(self, row: Row, values: dict[str, object], material: Material) -> ValidRow | None:
        values[SAMPLE_TYPE.field] = material.sample_type
        values.setdefault(STORAGE_TEMPERATURE.field, material.zone)
        source = self.header.barcodes
        try:
            details = SampleDetails.model_validate(values)
        except ValidationError as error:
            self._not_a_sample(row, error)
            return None
        return ValidRow(details, source.of(row) if source else Place(row.number))

    def _not_a_sample(self, row: Row, error: ValidationError) -> None:
        """Tell of a value that the parsers take and a sample does not."""
        for wrong in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(wrong["loc"][0]) if wrong["loc"] else "row"
            assigned = next((a for a in self.header.assigned if a.column.field == name), None)
            fault = Fault(f"{name}.invalid", f"{wrong['msg']}.", "Write what the column accepts.")
            self.found.problem(fault, assigned.of(row) if assigned else Place(row.number))


def validate(table: Table, *, today: date) -> Validation:
    """Judge every row; `today` is the latest day on which a sample can have been collected."""
    head = header.judge(table)
    found = Findings(table.file, table.sheet)
    for text, fault in head.faults:
        found.problem(fault, Place(table.header_row, text))
    for fault in table.remarks:
        found.warn(fault, Place())
    for text, fault in head.remarks:
        found.warn(fault, Place(table.header_row, text))
    judge = _Judge(table, head, today, found)
    valid = [judged for row in table.rows if (judged := judge.row(row)) is not None]
    twins = _twins(table, head, found)
    rows = [] if head.faults else [row for row in valid if row.number not in twins]
    _summaries(head, rows, found)
    return found.validation(rows, rejected=len(table.rows) - len(rows))


def _unknown(assigned: Assigned, text: str) -> Fault:
    column = assigned.column
    return Fault(
        f"{column.name}.unknown",
        f"'{text}' says that the {column.words} is not known, and no sample is taken without it.",
        f"Find it out, or leave the row out. It is {column.accepts}.",
    )


def _twins(table: Table, head: Header, found: Findings) -> set[int]:
    """Find every row whose barcode another row has too: nobody knows which of them is right."""
    source = head.barcodes
    if source is None:
        return set()
    holders: dict[str, list[Row]] = defaultdict(list)
    for row in table.rows:
        text = row.text(source.index)
        code = codes.barcode(text, "") if text and not words.says_nothing(text) else None
        if isinstance(code, str):
            holders[code].append(row)
    groups = {code: rows for code, rows in holders.items() if len(rows) > 1}
    for code, rows in groups.items():
        for row in rows:
            others = [r.number for r in rows[: ROWS_NAMED_MAX + 2] if r is not row]
            found.problem(_twin(code, others), source.of(row))
    return {row.number for rows in groups.values() for row in rows}


def _twin(code: str, others: Sequence[int]) -> Fault:
    more = ", …" if len(others) > ROWS_NAMED_MAX else ""
    named = ", ".join(map(str, others[:ROWS_NAMED_MAX])) + more
    return Fault(
        "barcode.duplicate",
        f"Barcode {code} also stands in row {named}.",
        "Scan the tubes again; remove the row that is there twice.",
    )


def _summaries(head: Header, rows: Sequence[ValidRow], found: Findings) -> None:
    """Warn once of what holds for many rows."""
    if head.of(STORAGE_TEMPERATURE) is None:
        counts = Counter((row.details.sample_type, row.details.zone) for row in rows)
        for (sample_type, zone), count in sorted(counts.items()):
            found.warn(_assumed(sample_type, zone, count), Place())
    source = head.of(SAMPLE_ID)
    if head.of(BARCODE) is not None and source is not None:
        _same_names(source, rows, found)


def _assumed(sample_type: SampleType, zone: Zone, count: int) -> Fault:
    return Fault(
        "storage_temperature.assumed",
        "There is no column for the storage temperature; "
        f"{zone.value} is assumed for {count} {sample_type.value} sample(s).",
        f"Add a column '{STORAGE_TEMPERATURE.header}' if they need another.",
    )


def _same_names(source: Assigned, rows: Sequence[ValidRow], found: Findings) -> None:
    first: dict[str, int] = {}
    for row in rows:
        name = row.details.name
        other = first.setdefault(name.casefold(), row.number)
        if other != row.number:
            problem = f"Row {other} has the same sample id."
            fault = Fault("sample_id.twice", problem, "Check that these are two tubes.")
            found.warn(fault, Place(row.number, source.header, name))
