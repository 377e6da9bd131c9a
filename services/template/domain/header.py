"""Judge a header: which column is which, what is missing, twice, or unknown."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from services.template.domain import columns
from services.template.domain.columns import BARCODE, COLUMNS, SAMPLE_ID, Column
from services.template.domain.table import Fault, Row, Table, letters, shortened
from services.template.domain.validation import Place

HEADERS_NAMED_MAX = 20


@dataclass(frozen=True, slots=True)
class Assigned:
    """A column of the file whose meaning is known."""

    index: int
    header: str
    column: Column
    hint: str
    required: bool

    def of(self, row: Row) -> Place:
        """Say where the cell of this column stands in a row."""
        return Place(row.number, self.header, row.text(self.index) or None)


@dataclass(frozen=True, slots=True)
class Header:
    """A header, judged."""

    assigned: Sequence[Assigned]
    unnamed: frozenset[int]
    """Indexes of columns that have no header: no cell may stand there."""
    faults: Sequence[tuple[str | None, Fault]]
    """Problems, each with the header it is about."""
    remarks: Sequence[tuple[str | None, Fault]]
    """Warnings, likewise."""

    @property
    def barcodes(self) -> Assigned | None:
        """Where the barcodes stand: in their own column, or in the one for sample ids."""
        return self.of(BARCODE) or self.of(SAMPLE_ID)

    def of(self, column: Column) -> Assigned | None:
        """Give a column's place in the file."""
        return next((a for a in self.assigned if a.column is column), None)


def judge(table: Table) -> Header:
    """Assign the columns of a table."""
    places: dict[str, list[Assigned]] = defaultdict(list)
    remarks: list[tuple[str | None, Fault]] = []
    for index, text in enumerate(table.header):
        found = columns.match(text) if text else None
        if found is None:
            if text:
                remarks.append((text, _unknown(text)))
            continue
        column = found.column
        places[column.name].append(Assigned(index, text, column, found.hint, column.required))
    faults = [(a[1].header, _twice(a)) for a in places.values() if len(a) > 1]
    missing = [c for c in COLUMNS if c.required and c.name not in places]
    if _barcode_is_empty(table, places):
        header = places.pop(BARCODE.name)[0].header
        remarks.append((header, _no_barcodes()))
    return Header(
        assigned=_with_barcode_required([a[0] for a in places.values()]),
        unnamed=frozenset(i for i, text in enumerate(table.header) if not text),
        faults=[*faults, *((None, _missing(c, table.header)) for c in missing)],
        remarks=remarks,
    )


def _barcode_is_empty(table: Table, places: dict[str, list[Assigned]]) -> bool:
    if BARCODE.name not in places or SAMPLE_ID.name not in places:
        return False
    at = places[BARCODE.name][0].index
    return not any(row.text(at) for row in table.rows)


def _with_barcode_required(assigned: list[Assigned]) -> list[Assigned]:
    """A column with barcodes must have one for each sample: half of them would mix two namings."""
    return [
        Assigned(a.index, a.header, a.column, a.hint, required=True) if a.column is BARCODE else a
        for a in assigned
    ]


def _unknown(text: str) -> Fault:
    near = columns.nearest(text)
    meant = f"Did you mean '{near.header}'? " if near else ""
    return Fault(
        "header.unknown",
        f"Column '{shortened(text)}' is not known and was left out.",
        f"{meant}Rename it if it belongs to the sample; "
        "GET /api/v1/manifests/template lists the columns.",
    )


def _twice(assigned: Sequence[Assigned]) -> Fault:
    named = " and ".join(
        f"'{shortened(a.header)}' (column {letters(a.index + 1)})" for a in assigned[:3]
    )
    words = assigned[0].column.words
    return Fault(
        "header.twice", f"{named} both mean the {words}.", "Keep one of them, or rename the other."
    )


def _missing(column: Column, header: Sequence[str]) -> Fault:
    found = ", ".join(f"'{shortened(text)}'" for text in header[:HEADERS_NAMED_MAX] if text)
    return Fault(
        "header.missing",
        f"There is no column for the {column.words}. The headers found are: {found}.",
        f"Add a column '{column.header}': {column.accepts}.",
    )


def _no_barcodes() -> Fault:
    return Fault(
        "barcode.column_empty",
        "The column for barcodes is empty; each sample's id was taken as its barcode.",
        "Fill the column if the tubes bear other barcodes.",
    )
