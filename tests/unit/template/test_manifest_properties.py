"""What holds for every manifest, also for those that nobody would write."""

import csv
import io
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.sample import SampleDetails
from contracts.template import ManifestUnreadable
from contracts.types import normalise_barcode
from services.template.domain import codes, columns, numbers
from services.template.domain.columns import COLUMNS
from services.template.domain.manifest import validate
from services.template.domain.table import Fault, Row, Table, cell, letters
from tests.unit.template.tables import TODAY, read_or_refusal

HEADERS = sorted({c.header for c in COLUMNS} | {"Vol (mL)", "Conc [mg/mL]", "Colour", ""})
WORDS = ("S-1", "s-1", "DNA", "gDNA", "n/a", "-80", "RT", "4", "1,5", "1e9", "2026-01-02", "high")
CELLS = st.one_of(st.sampled_from(WORDS), st.text(max_size=30).map(cell))


def table(header: list[str], rows: list[list[str]]) -> Table:
    """Make a table of a header and rows."""
    numbered = [Row(number, cells) for number, cells in enumerate(rows, 2)]
    return Table(file="f.csv", sheet=None, header_row=1, header=header, rows=numbered)


TABLES = st.builds(
    table,
    st.lists(st.one_of(st.sampled_from(HEADERS), CELLS), min_size=1, max_size=12),
    st.lists(st.lists(CELLS, max_size=14), min_size=1, max_size=6),
)


@given(TABLES)
def test_every_table_can_be_judged(made: Table) -> None:
    """Each row is accepted or rejected; a rejected one has a problem; what is said can be sent."""
    judged = validate(made, today=TODAY)

    assert len(judged.rows) + judged.rejected == len(made.rows)
    assert bool(judged.rejected) == bool(judged.problems)
    barcodes = judged.barcodes
    assert len(set(barcodes)) == len(barcodes)
    assert judged.report().model_dump_json()


@given(TABLES)
def test_a_valid_row_is_a_sample_that_can_be_written_and_read(made: Table) -> None:
    """Details that were accepted survive the wire."""
    for row in validate(made, today=TODAY).rows:
        assert SampleDetails.model_validate_json(row.details.model_dump_json()) == row.details


@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00")
@example(b'="')
@example(b"sep=")
@example(b'[{"": 1}]')
@example(b'{"samples": [{"a": [[]]}]}')
@example(b"\xef\xbb\xbf[")
def test_every_file_is_read_or_refused(data: bytes) -> None:
    """No bytes make anything but a table or a refusal."""
    outcome = read_or_refusal(data)

    if isinstance(outcome, ManifestUnreadable):
        assert outcome.to_problem().detail
    else:
        judged = validate(outcome, today=TODAY)
        assert len(judged.rows) + judged.rejected == len(outcome.rows)


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)
@settings(max_examples=60)
def test_csv_that_was_written_is_read_the_same(rows: list[list[str]], separator: str) -> None:
    """Quoting, line ends in cells and foreign scripts survive, but for white space around."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([("Sample ID", "Type", "Notes"), *rows])
    expected = [[cell(c) for c in row] for row in rows]
    expected = [row for row in expected if any(row)]

    outcome = read_or_refusal(text.getvalue())

    if isinstance(outcome, ManifestUnreadable):
        # Binary where a cell holds NUL; without rows where no cell holds anything.
        assert outcome.rule == ("rows.none" if not expected else "file.kind")
    else:
        assert [[row.text(i) for i in range(3)] for row in outcome.rows] == expected


@given(
    st.decimals(min_value="0.001", max_value="999999", places=4),
    st.sampled_from([("ul", 1), ("µL", 1), ("\u03bcl", 1), ("mL", 1000), ("L", 1_000_000)]),
)
def test_a_volume_comes_back_from_every_unit(volume: Decimal, unit: tuple[str, int]) -> None:
    """Written in any unit, in the cell or in the header, it is the same volume."""
    name, factor = unit
    written = format(volume / factor, "f")
    header = columns.match(f"Volume ({name})")

    assert header is not None
    assert numbers.volume_ul(f"{written} {name}", "") == volume
    assert numbers.volume_ul(f"{written}{name}", "ml") == volume
    assert numbers.volume_ul(written, header.hint) == volume


@given(st.decimals(min_value=0, max_value=99999, places=3))
def test_a_decimal_comma_is_a_decimal_point_or_refused(value: Decimal) -> None:
    """A comma before three digits may separate thousands; nothing else is read differently."""
    point = numbers.concentration_ng_per_ul(format(value, "f"), "")
    comma = numbers.concentration_ng_per_ul(format(value, "f").replace(".", ","), "")

    assert point == value
    assert comma == value or (isinstance(comma, Fault) and comma.rule == "concentration.ambiguous")


@given(st.text())
def test_normalising_a_barcode_twice_changes_nothing(text: str) -> None:
    """What is kept as a barcode is what a scan of it gives."""
    code = codes.barcode(text, "")

    assert isinstance(code, Fault) or normalise_barcode(code) == code


@given(st.text(st.characters()))
def test_a_cell_can_always_be_written(text: str) -> None:
    """Nothing is left that UTF-8 cannot hold, and making a cell of a cell changes nothing."""
    made = cell(text)

    assert made.encode().decode() == made
    assert cell(made) == made


@given(st.integers(min_value=1, max_value=16_384))
def test_columns_are_named_as_spreadsheets_do(column: int) -> None:
    """Letters are digits of base 26 without a zero."""
    value = 0
    for letter in letters(column):
        value = value * 26 + ord(letter) - ord("A") + 1

    assert value == column
