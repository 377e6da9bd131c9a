"""Judge a manifest row by row: which rows can become samples, and what is wrong with the others.

Every problem of every row is found in one pass, so that a person mends a file once. Whether the
laboratory has a barcode already is not known here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from pydantic import ValidationError

from contracts.sample import SampleDetails
from contracts.template import ManifestProblem
from contracts.types import SampleType, Zone, normalise_barcode
from services.template.domain import columns, header, vocabulary
from services.template.domain.columns import (
    BARCODE,
    COLLECTED_ON,
    CONCENTRATION,
    SAMPLE_ID,
    SAMPLE_TYPE,
    STORAGE_TEMPERATURE,
)
from services.template.domain.header import Assigned, Header
from services.template.domain.table import Fault, Row, Table, letters
from services.template.domain.validation import Validation, ValidRow, located
from services.template.domain.vocabulary import Material

DNA_VISCOUS_NG_PER_UL: Final = Decimal(1_000)
"""Above this genomic DNA is too viscous to be pipetted exactly."""
ROWS_NAMED_MAX = 5
"""Other rows that a problem names."""


@dataclass(slots=True)
class _Findings:
    """What was found so far."""

    table: Table
    problems: list[ManifestProblem] = field(default_factory=list[ManifestProblem])
    warnings: list[ManifestProblem] = field(default_factory=list[ManifestProblem])

    def problem(
        self, fault: Fault, row: int | None, column: str | None = None, value: str | None = None
    ) -> None:
        self.problems.append(located(self.table, fault, row, column, value))

    def warn(
        self, fault: Fault, row: int | None, column: str | None = None, value: str | None = None
    ) -> None:
        self.warnings.append(located(self.table, fault, row, column, value))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the rows of one table."""

    table: Table
    header: Header
    today: date
    found: _Findings

    def row(self, row: Row) -> ValidRow | None:
        """Judge one row; None where it has a problem."""
        before = len(self.found.problems)
        values = self._values(row)
        self._strays(row)
        barcode_from = self._barcode(row, values)
        self._collected(row, values)
        if len(self.found.problems) > before or barcode_from is None:
            return None
        self._remarks(row, values)
        return self._valid(row, values, barcode_from)

    def _values(self, row: Row) -> dict[str, object]:
        """Read the cells whose columns are known, by field."""
        values: dict[str, object] = {}
        for place in self.header.assigned:
            text = _text(row, place.index)
            value = self._read(row, place, text)
            if isinstance(value, Fault):
                self.found.problem(value, row.number, place.header, text)
            elif value is not None:
                values[place.column.field] = value
        return values

    def _read(self, row: Row, place: Assigned, text: str) -> object:
        if not text:
            return self._missing(row, place) if place.required else None
        if vocabulary.says_nothing(text):
            return _unknown(place, text) if place.required else None
        return place.column.parse(text, place.hint)

    def _missing(self, row: Row, place: Assigned) -> Fault:
        words = place.column.name.replace("_", " ")
        block = next((m for m in self.table.merged if m.holds(row.number, place.index + 1)), None)
        if block is not None:
            remedy = f"The cell is part of the merged block {block}: split it, and fill every cell."
        elif self.table.spreadsheet:
            remedy = f"Fill the cell: {place.column.accepts}. A formula that was never calculated reads as empty."
        else:
            remedy = f"Fill the cell: {place.column.accepts}."
        return Fault(f"{place.column.name}.missing", f"The {words} is missing.", remedy)

    def _strays(self, row: Row) -> None:
        """Find cells that belong to no column: often the row is shifted by a separator too many."""
        width = len(self.table.header)
        strays = [
            i
            for i, text in enumerate(row.cells)
            if text and (i >= width or i in self.header.unnamed)
        ]
        for index in strays[:1]:
            beyond = (
                "Put quotes around cells that hold the separator"
                if not self.table.spreadsheet
                else "Remove the cell"
            )
            fault = Fault(
                "row.stray_cell",
                f"{len(strays)} cell(s) of this row stand under no header.",
                f"{beyond}, or give the column a header.",
            )
            self.found.problem(fault, row.number, letters(index + 1), row.cells[index])

    def _barcode(self, row: Row, values: dict[str, object]) -> Assigned | None:
        """Find the barcode and put it among the values; give the column that it came from."""
        place = self.header.of(BARCODE) or self.header.of(SAMPLE_ID)
        if place is None or place.column.field not in values:
            return None
        text = _text(row, place.index)
        if place.column is SAMPLE_ID:
            code = columns.barcode(text, "")
            if isinstance(code, Fault):
                self.found.problem(code, row.number, place.header, text)
                return None
            values[BARCODE.field] = code
        return place

    def _collected(self, row: Row, values: Mapping[str, object]) -> None:
        day = values.get(COLLECTED_ON.field)
        place = self.header.of(COLLECTED_ON)
        if place is None or not isinstance(day, date) or day <= self.today:
            return
        fault = Fault(
            "collected_on.future", f"{day} is still to come.", "Check year, month and day."
        )
        self.found.problem(fault, row.number, place.header, _text(row, place.index))

    def _remarks(self, row: Row, values: dict[str, object]) -> None:
        """Warn of what is allowed, and worth a second look; fill in what is assumed."""
        for column, fault in _second_looks(values):
            place = self.header.of(column)
            if place is not None:
                self.found.warn(fault, row.number, place.header, _text(row, place.index))
        place = self.header.of(BARCODE) or self.header.of(SAMPLE_ID)
        if place is not None and (fault := _changed(_text(row, place.index))):
            self.found.warn(fault, row.number, place.header, _text(row, place.index))

    def _valid(
        self, row: Row, values: dict[str, object], barcode_from: Assigned
    ) -> ValidRow | None:
        material = values.pop(SAMPLE_TYPE.field, None)
        if not isinstance(material, Material):
            return None
        values.setdefault(STORAGE_TEMPERATURE.field, material.zone)
        values[SAMPLE_TYPE.field] = material.sample_type
        try:
            details = SampleDetails.model_validate(values)
        except ValidationError as error:
            self._not_a_sample(row, error)
            return None
        return ValidRow(row.number, details, barcode_from.header, _text(row, barcode_from.index))

    def _not_a_sample(self, row: Row, error: ValidationError) -> None:
        """Tell of a value that the parsers take and a sample does not."""
        for wrong in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(wrong["loc"][0]) if wrong["loc"] else "row"
            place = next((a for a in self.header.assigned if a.column.field == name), None)
            fault = Fault(
                f"{name}.invalid", f"{wrong['msg']}.", "Write a value as the column accepts it."
            )
            self.found.problem(
                fault,
                row.number,
                place.header if place else None,
                _text(row, place.index) if place else None,
            )


def validate(table: Table, *, today: date) -> Validation:
    """Judge every row; `today` is the latest day on which a sample can have been collected."""
    head = header.judge(table)
    found = _Findings(table)
    for text, fault in head.faults:
        found.problem(fault, table.header_row, text)
    for fault in table.remarks:
        found.warn(fault, None)
    for text, fault in head.remarks:
        found.warn(fault, table.header_row, text)
    judge = _Judge(table, head, today, found)
    rows = [valid for row in table.rows if (valid := judge.row(row)) is not None]
    twins = _twins(table, head, found)
    rows = [] if head.faults else [row for row in rows if row.number not in twins]
    _summaries(head, rows, found)
    return Validation(
        file=table.file,
        sheet=table.sheet,
        rows=rows,
        rejected=len(table.rows) - len(rows),
        problems=sorted(found.problems, key=_row_of),
        warnings=sorted(found.warnings, key=_row_of),
    )


def _row_of(problem: ManifestProblem) -> int:
    return problem.row or 0


def _text(row: Row, index: int) -> str:
    return row.cells[index] if index < len(row.cells) else ""


def _unknown(place: Assigned, text: str) -> Fault:
    words = place.column.name.replace("_", " ")
    return Fault(
        f"{place.column.name}.unknown",
        f"'{text}' says that the {words} is not known, and a sample cannot be taken without it.",
        f"Find it out, or leave the row out: {place.column.accepts}.",
    )


def _second_looks(values: Mapping[str, object]) -> Iterator[tuple[columns.Column, Fault]]:
    """Find what is allowed and unusual in one row."""
    material, zone = values.get(SAMPLE_TYPE.field), values.get(STORAGE_TEMPERATURE.field)
    if not isinstance(material, Material):
        return
    if not material.exact:
        kept = f"It is kept as {material.sample_type.value}."
        yield (
            SAMPLE_TYPE,
            Fault("sample_type.generalised", kept, "Say more in the notes if it matters."),
        )
    if zone is None:
        yield (
            STORAGE_TEMPERATURE,
            Fault(
                "storage_temperature.assumed",
                f"No storage temperature is given; {material.zone.value} is assumed for {material.sample_type.value}.",
                "Write the temperature if it is another.",
            ),
        )
    elif zone in vocabulary.UNUSUAL.get(material.sample_type, ()):
        yield (
            STORAGE_TEMPERATURE,
            Fault(
                "storage_temperature.unusual",
                f"{material.sample_type.value} is usually kept at {material.zone.value}.",
                "Check the temperature.",
            ),
        )
    concentration = values.get(CONCENTRATION.field)
    if (
        material.sample_type is SampleType.DNA
        and isinstance(concentration, Decimal)
        and concentration > DNA_VISCOUS_NG_PER_UL
    ):
        yield (
            CONCENTRATION,
            Fault(
                "concentration.viscous",
                f"DNA above {DNA_VISCOUS_NG_PER_UL:,} ng/µL is hard to pipette exactly.",
                "Check the unit; dilute the sample before it is used.",
            ),
        )


def _changed(text: str) -> Fault | None:
    """Warn where the barcode that is kept is not what the cell shows, but for its case."""
    code = str(normalise_barcode(text))
    if code == text.upper():
        return None
    return Fault(
        "barcode.changed",
        f"The cell holds spaces or characters that cannot be seen; the barcode is taken as {code}.",
        "Check that this is what the tube's label says.",
    )


def _twins(table: Table, head: Header, found: _Findings) -> set[int]:
    """Find every row whose barcode another row has as well: nobody knows which of them is right."""
    place = head.of(BARCODE) or head.of(SAMPLE_ID)
    if place is None:
        return set()
    holders: dict[str, list[int]] = defaultdict(list)
    texts: dict[int, str] = {}
    for row in table.rows:
        text = texts[row.number] = _text(row, place.index)
        code = columns.barcode(text, "") if text and not vocabulary.says_nothing(text) else None
        if isinstance(code, str):
            holders[code].append(row.number)
    groups = {code: rows for code, rows in holders.items() if len(rows) > 1}
    for code, rows in groups.items():
        for number in rows:
            others = [n for n in rows[: ROWS_NAMED_MAX + 2] if n != number]
            found.problem(_twin(code, others), number, place.header, texts[number])
    return {number for rows in groups.values() for number in rows}


def _twin(code: str, others: Sequence[int]) -> Fault:
    named = ", ".join(map(str, others[:ROWS_NAMED_MAX])) + (
        ", …" if len(others) > ROWS_NAMED_MAX else ""
    )
    return Fault(
        "barcode.duplicate",
        f"Barcode {code} also stands in row {named}.",
        "Scan both tubes again; remove the row that is there twice.",
    )


def _summaries(head: Header, rows: Sequence[ValidRow], found: _Findings) -> None:
    """Warn once of what holds for many rows."""
    if head.of(STORAGE_TEMPERATURE) is None:
        for (kind, zone), count in sorted(
            Counter((r.details.sample_type, r.details.zone) for r in rows).items()
        ):
            found.warn(_assumed(kind, zone, count), None)
    if head.of(BARCODE) is not None:
        _same_names(head, rows, found)


def _assumed(kind: SampleType, zone: Zone, count: int) -> Fault:
    return Fault(
        "storage_temperature.assumed",
        f"There is no column for the storage temperature; {zone.value} is assumed for {count} {kind.value} sample(s).",
        f"Add a column '{STORAGE_TEMPERATURE.header}' if they need another.",
    )


def _same_names(head: Header, rows: Sequence[ValidRow], found: _Findings) -> None:
    place = head.of(SAMPLE_ID)
    first: dict[str, int] = {}
    for row in rows:
        other = first.setdefault(row.details.name.casefold(), row.number)
        if place is not None and other != row.number:
            fault = Fault(
                "sample_id.twice",
                f"Row {other} has the same sample id.",
                "Check that these are two tubes.",
            )
            found.warn(fault, row.number, place.header, row.details.name)
