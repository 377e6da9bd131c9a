"""Which header means which column, and what is said of those that mean none, or the same."""

import pytest

from contracts.sample import SampleDetails
from services.template.domain import columns
from services.template.domain.columns import COLUMNS, Column
from services.template.domain.numbers import squashed
from tests.unit.template.tables import found, judge, judge_column


@pytest.mark.parametrize(
    ("header", "name", "hint"),
    [
        ("Sample_ID", "sample_id", ""),
        ("  sample-id ", "sample_id", ""),
        ("SampleID", "sample_id", ""),
        ("Sample ID*", "sample_id", ""),
        ("Sample ID (required)", "sample_id", ""),
        ("Patient_ID", "subject_id", ""),
        ("Collection Date (DD/MM/YYYY)", "collected_on", "dmy"),
        ("Storage Temp (°C)", "storage_temperature", ""),
        ("Temperature [ºC]", "storage_temperature", ""),
        ("Volume", "volume", ""),
        ("Volume_mL", "volume", "ml"),
        ("Volume_Litres", "volume", "litres"),
        ("Vol. (uL)", "volume", "ul"),
        ("Volume (\u00b5L)", "volume", "ul"),
        ("Volume (\u03bcL)", "volume", "ul"),
        ("Concentration_ng_uL", "concentration", "ngul"),
        ("Conc. [mg/mL]", "concentration", "mgml"),
        ("Concentration (nM)", "concentration", "nm"),
        ("Tube Barcode", "barcode", ""),
    ],
)
def test_a_header_is_known_by_any_of_its_spellings(header: str, name: str, hint: str) -> None:
    """Case, spaces, dashes and units do not matter; a unit is remembered."""
    match = columns.match(header)

    assert match is not None
    assert (match.column.name, match.hint) == (name, hint)


@pytest.mark.parametrize("header", ["Colour", "", "Name", "Date", "Sample" * 100])
def test_a_header_that_says_too_little_is_not_known(header: str) -> None:
    """What could be meant for several columns is left out, with a warning."""
    assert columns.match(header) is None


def test_no_header_means_two_columns() -> None:
    """Every spelling, with and without a hint, belongs to one column."""
    spelt = [
        (f"{spelling}{hint}", column.name)
        for column in COLUMNS
        for spelling in column.spellings()
        for hint in ("", *column.hints)
    ]

    assert len({text for text, _ in spelt}) == len(set(spelt))


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_the_template_s_own_example_is_accepted(column: Column) -> None:
    """What people are told to write can be read, under the header that they are told."""
    match = columns.match(column.header)

    assert match is not None
    assert match.column is column
    assert not judge_column(column.header, column.example).problems or column in COLUMNS[:4]
    assert column.field in SampleDetails.model_fields


def test_the_template_tells_every_column() -> None:
    """The template lists each column with its aliases, and each alias is understood."""
    views = columns.template().columns

    assert [view.name for view in views] == [column.header for column in COLUMNS]
    assert {view.name for view in views if view.required} == {"sample_id", "sample_type"}
    assert all(squashed(alias) in columns.KNOWN for view in views for alias in view.aliases)


def test_an_unknown_column_is_left_out_with_a_warning() -> None:
    """Nothing is lost unseen, and a mistyped header is recognised."""
    judged = judge("sample_id,sample_type,storage,Volumne,Colour\nS-1,Blood,4,5,red\n")

    assert len(judged.rows) == 1
    assert found(judged.warnings) == [
        (1, "Volumne", "header.unknown"),
        (1, "Colour", "header.unknown"),
    ]
    assert "Did you mean 'volume_ul'?" in judged.warnings[0].remedy


def test_a_column_that_is_there_twice_is_refused() -> None:
    """Two headers that mean the same are named, with their letters; no row is accepted."""
    judged = judge("Sample ID,type,Volume,Vol (mL)\nS-1,Blood,5,5\n")

    assert (len(judged.rows), judged.rejected) == (0, 1)
    assert found(judged.problems) == [(1, "Vol (mL)", "header.twice")]
    assert "'Volume' (column C) and 'Vol (mL)' (column D)" in judged.problems[0].problem


def test_the_same_header_twice_is_refused_as_well() -> None:
    """Which of the two is meant cannot be known."""
    judged = judge("Sample ID,type,Sample ID\nS-1,Blood,S-2\n")

    assert found(judged.problems) == [(1, "Sample ID", "header.twice")]


def test_a_missing_column_is_refused_with_the_headers_that_were_found() -> None:
    """A person sees what the header was taken for."""
    judged = judge("Sample ID,Colour\nS-1,red\n")

    assert found(judged.problems) == [(1, None, "header.missing")]
    assert "sample type" in judged.problems[0].problem
    assert "'Sample ID', 'Colour'" in judged.problems[0].problem
    assert (len(judged.rows), judged.rejected) == (0, 1)


def test_with_a_faulty_header_the_rows_are_judged_all_the_same() -> None:
    """Every problem is told at once, those of the header and those of the rows."""
    judged = judge("Sample ID,Volume\nS-1,-5\n")

    assert found(judged.problems) == [
        (1, None, "header.missing"),
        (2, "Volume", "volume.positive"),
    ]
