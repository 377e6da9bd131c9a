"""The example manifests: that they are what their maker makes, and show what they are to show."""

import runpy
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from contracts.template import ROWS_MAX
from contracts.types import Zone
from services.template.domain.validation import Validation
from tests.unit.template.tables import found, judge

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def maker() -> dict[str, Any]:
    """Give the names that the script defines."""
    return runpy.run_path(str(EXAMPLES / "make.py"))


def example(name: str) -> Validation:
    """Judge an example."""
    return judge((EXAMPLES / name).read_bytes(), file=name)


def test_the_examples_are_what_the_script_makes(maker: dict[str, Any]) -> None:
    """Whoever changes the script runs it; a workbook may be packed otherwise by another zlib."""
    contents: dict[str, bytes] = maker["contents"]()

    for name, made in contents.items():
        kept = judge((EXAMPLES / name).read_bytes(), file=name)
        assert kept == judge(made, file=name)
        assert name.endswith(".xlsx") or (EXAMPLES / name).read_bytes() == made


@pytest.mark.parametrize("name", ["manifest-20.csv", "manifest-20.xlsx"])
def test_the_good_examples_are_accepted_without_a_word(name: str) -> None:
    """Twenty samples, none of them with a problem or a warning."""
    judged = example(name)

    assert (len(judged.rows), judged.problems, judged.warnings) == (20, [], [])


def test_the_good_examples_can_both_be_submitted() -> None:
    """They share no barcode."""
    one, other = example("manifest-20.csv").barcodes, example("manifest-20.xlsx").barcodes

    assert set(one).isdisjoint(other)


def test_the_example_with_bad_rows_shows_seven_kinds_of_trouble() -> None:
    """Each with its row, column and rule; five rows are good."""
    judged = example("manifest-bad-rows.csv")

    assert found(judged.problems) == [
        (3, "Volume_uL", "volume.positive"),
        (5, "Sample_Type", "sample_type.unheard"),
        (6, "Concentration_ng_uL", "concentration.range"),
        (7, "Sample_ID", "barcode.duplicate"),
        (8, "Sample_ID", "barcode.duplicate"),
        (10, "Collection_Date", "collected_on.ambiguous"),
        (12, "Sample_ID", "sample_id.missing"),
    ]
    assert (len(judged.rows), judged.rejected) == (5, 7)


def test_the_example_without_room_is_valid_and_needs_forty_cold_positions() -> None:
    """What is wrong with it only storage can know."""
    judged = example("manifest-no-room.csv")

    assert [(zone.zone, zone.samples) for zone in judged.zones()] == [(Zone.ULTRA_LOW, 40)]
    assert judged.problems == judged.warnings == []


@pytest.mark.parametrize("kind", ["as_csv", "as_xlsx"])
def test_the_largest_manifest_is_judged_to_its_last_row(maker: dict[str, Any], kind: str) -> None:
    """Ten thousand rows of thirteen columns are read, judged and good."""
    rows: list[list[Any]] = maker["samples"]("LARGE", ROWS_MAX)
    for row in rows:
        row[3] = date(2026, 1, 1)
    write: Callable[[list[list[Any]]], bytes] = maker[kind]
    data = write(rows)

    judged = judge(data)

    assert (len(judged.rows), judged.problems) == (ROWS_MAX, [])
