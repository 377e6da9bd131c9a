"""When a row can become a sample, and what is said when it cannot."""

from datetime import date
from decimal import Decimal

import pytest

from contracts.sample import SampleDetails, SampleStatus, TakenBarcode
from contracts.template import PROBLEMS_MAX, ManifestInvalid, ZoneCount
from contracts.types import AnalysisType, Priority, SampleId, SampleType, Zone
from infra.ids import new_id
from tests.unit.template.tables import found, judge, judge_column

FULL = (
    "Sample_ID,Patient_ID,Sample_Type,Collection_Date,Submitter,Department,Priority,"
    "Analysis_Type,Storage_Temp,Volume_mL,Concentration_ng_uL,Quality_Score,Notes\n"
)


def test_a_whole_row_becomes_a_sample() -> None:
    """Every column finds its field, in the units of the record."""
    judged = judge(
        f"{FULL}lab-1,P-7,gDNA,2026-11-02,A. Curie,Oncology,High,exome,-20 °C,0.5,120.50,8.5,"
        '"a ""note"", quoted"\n'
    )

    assert judged.problems == judged.warnings == []
    (row,) = judged.rows
    assert row.number == 2
    assert row.details == SampleDetails(
        barcode="LAB-1",
        name="lab-1",
        sample_type=SampleType.DNA,
        zone=Zone.FROZEN,
        volume_ul=Decimal(500),
        concentration_ng_per_ul=Decimal("120.5"),
        quality_score=Decimal("8.5"),
        subject_id="P-7",
        collected_on=date(2026, 11, 2),
        submitter="A. Curie",
        department="Oncology",
        priority=Priority.HIGH,
        analysis_type=AnalysisType.WES,
        notes='a "note", quoted',
    )


def test_a_cell_that_is_empty_and_one_that_says_unknown_are_two_things() -> None:
    """Missing and unknown have their own rules and remedies where a value is required."""
    judged = judge("Sample ID,Type,Storage\n,Blood,4\nS-2,n/a,4\n")

    assert found(judged.problems) == [
        (2, "Sample ID", "sample_id.missing"),
        (3, "Type", "sample_type.unknown"),
    ]
    missing, unknown = judged.problems
    assert (missing.value, unknown.value) == (None, "n/a")
    assert missing.remedy != unknown.remedy


@pytest.mark.parametrize("nothing", ["", "-", "n/a", "NA", "Unknown", "?", "not available"])
def test_a_value_that_is_not_required_may_be_unknown(nothing: str) -> None:
    """The field stays empty, and nothing is said about it."""
    judged = judge_column("Volume", nothing)

    assert [row.details.volume_ul for row in judged.rows] == [None]
    assert judged.problems == judged.warnings == []


def test_every_problem_of_a_row_is_told_at_once() -> None:
    """A person mends a file once, not once for each cell."""
    judged = judge(f"{FULL}S-1,,Goo,2027-01-01,,,someday,,hot,-1,1e9,11,\n")

    assert [rule for _, _, rule in found(judged.problems)] == [
        "sample_type.unheard",
        "priority.unheard",
        "storage_temperature.unheard",
        "volume.positive",
        "concentration.range",
        "quality_score.range",
        "collected_on.future",
    ]
    assert {problem.file for problem in judged.problems} == {"manifest.csv"}
    assert all(problem.remedy for problem in judged.problems)


def test_a_value_is_shown_as_it_stands_and_shortened() -> None:
    """A problem shows at most 80 characters of the cell."""
    judged = judge_column("Volume", "x" * 500)

    assert judged.problems[0].value == "x" * 79 + "…"


def test_a_sample_can_be_collected_today_and_not_tomorrow() -> None:
    """The day is judged by the day that is given."""
    judged = judge_column("Collected", "2026-11-03", "2026-11-04")

    assert len(judged.rows) == 1
    assert found(judged.problems) == [(3, "Collected", "collected_on.future")]


def test_an_empty_temperature_is_assumed_and_said() -> None:
    """The cold that the material needs is taken, with a warning for the row."""
    judged = judge("Sample ID,Type,Storage\nS-1,RNA,\nS-2,gDNA,n/a\n")

    assert [row.details.zone for row in judged.rows] == [Zone.ULTRA_LOW, Zone.FROZEN]
    assert found(judged.warnings) == [
        (2, "Storage", "storage_temperature.assumed"),
        (3, "Storage", "storage_temperature.assumed"),
    ]


def test_without_a_column_for_temperatures_one_warning_stands_for_all_rows() -> None:
    """Ten thousand rows do not make ten thousand warnings."""
    judged = judge("Sample ID,Type\nS-1,RNA\nS-2,RNA\nS-3,Blood\n")

    assert found(judged.warnings) == [(None, None, "storage_temperature.assumed")] * 2
    assert "4C is assumed for 1 Blood sample(s)" in judged.warnings[0].problem
    assert "-80C is assumed for 2 RNA sample(s)" in judged.warnings[1].problem


@pytest.mark.parametrize(
    ("row", "column", "rule"),
    [
        ("S-1,RNA,RT,", "Storage", "storage_temperature.unusual"),
        ("S-1,gDNA,-20,1500", "Conc", "concentration.viscous"),
        ("S-1,stool,-80,", "Type", "sample_type.generalised"),
        ("LAB 1,Blood,4,", "Sample ID", "barcode.changed"),
        ("LAB\u200b1,Blood,4,", "Sample ID", "barcode.changed"),
        ("LAB-1\u200b,Blood,4,", "Sample ID", "barcode.changed"),
    ],
)
def test_what_is_allowed_and_unusual_is_a_warning(row: str, column: str, rule: str) -> None:
    """The row is accepted, and a person may look again."""
    judged = judge(f"Sample ID,Type,Storage,Conc\n{row}\n")

    assert len(judged.rows) == 1
    assert judged.problems == []
    assert found(judged.warnings) == [(2, column, rule)]


def test_a_barcode_in_lower_case_is_taken_silently() -> None:
    """Case is no difference between barcodes, and the name keeps it."""
    judged = judge("Sample ID,Type,Storage\n lab-1 ,Blood,4\n")

    assert judged.warnings == []
    assert (judged.rows[0].details.barcode, judged.rows[0].details.name) == ("LAB-1", "lab-1")


def test_the_same_barcode_twice_rejects_both_rows() -> None:
    """Each names the other; nobody knows which tube is which. Case and spaces hide nothing."""
    judged = judge("Sample ID,Type,Storage\nA-1,Blood,4\nA-2,Blood,4\na-\u200b1,Blood,4\n")

    assert [row.number for row in judged.rows] == [3]
    assert found(judged.problems) == [
        (2, "Sample ID", "barcode.duplicate"),
        (4, "Sample ID", "barcode.duplicate"),
    ]
    assert "in row 4" in judged.problems[0].problem
    assert "in row 2" in judged.problems[1].problem


def test_a_duplicate_of_a_row_with_other_problems_is_found() -> None:
    """Mending the other problem would only bring the next one."""
    judged = judge("Sample ID,Type,Storage\nA-1,Goo,4\nA-1,Blood,4\n")

    assert [(row, rule) for row, _, rule in found(judged.problems)] == [
        (2, "sample_type.unheard"),
        (2, "barcode.duplicate"),
        (3, "barcode.duplicate"),
    ]
    assert judged.rejected == 2


def test_many_rows_with_one_barcode_name_a_few_of_the_others() -> None:
    """A column filled down by mistake gives problems of a bounded length."""
    judged = judge("Sample ID,Type,Storage\n" + "A-1,Blood,4\n" * 300)

    assert judged.rejected == 300
    assert "row 3, 4, 5, 6, 7, …" in judged.problems[0].problem


def test_barcodes_of_their_own_stand_in_their_own_column() -> None:
    """The sample id is then a name only, and may be anything; the same one twice is a warning."""
    judged = judge("Sample ID,Barcode,Type,Storage\nMr. X/1,t-1,Blood,4\nMr. X/1,T-2,Blood,4\n")

    assert [(r.details.name, r.details.barcode) for r in judged.rows] == [
        ("Mr. X/1", "T-1"),
        ("Mr. X/1", "T-2"),
    ]
    assert found(judged.warnings) == [(3, "Sample ID", "sample_id.twice")]


def test_a_barcode_that_is_missing_among_others_is_a_problem() -> None:
    """Its sample's id is no substitute where all others were scanned."""
    judged = judge("Sample ID,Barcode,Type,Storage\nS-1,T-1,Blood,4\nS-2,,Blood,4\n")

    assert found(judged.problems) == [(3, "Barcode", "barcode.missing")]


def test_an_empty_column_for_barcodes_is_as_none() -> None:
    """A template's column that nobody filled gives the sample ids, with a warning."""
    judged = judge("Sample ID,Barcode,Type,Storage\nS-1,,Blood,4\n")

    assert [row.details.barcode for row in judged.rows] == ["S-1"]
    assert found(judged.warnings) == [(1, "Barcode", "barcode.column_empty")]


def test_cells_beyond_the_header_are_a_problem() -> None:
    """A separator inside a cell shifts a row: better refused than read under wrong headers."""
    judged = judge("Sample ID,Type,Storage\nS-1,Blood,4,stray\nS-2,Blood,4,,\n")

    assert found(judged.problems) == [(2, "D", "row.stray_cell")]
    assert [row.number for row in judged.rows] == [3]


def test_cells_under_an_empty_header_are_a_problem_too() -> None:
    """A value without a name is not dropped silently."""
    judged = judge("Sample ID,,Type,Storage\nS-1,,Blood,4\nS-2,what?,Blood,4\n")

    assert found(judged.problems) == [(3, "B", "row.stray_cell")]


def test_a_barcode_that_the_laboratory_has_is_told_with_its_sample() -> None:
    """The problem stands where the barcode does, and names the other sample and its status."""
    judged = judge("Sample ID,Type,Storage\nS-1,Blood,4\nS-2,Blood,4\nS-3,Blood,hot\n")
    other = TakenBarcode(
        barcode="S-1", sample_id=SampleId(new_id()), name="old", status=SampleStatus.IN_STORAGE
    )

    left = judged.without_taken([other])

    assert [row.number for row in left.rows] == [3]
    assert left.rejected == 2
    assert [(row, rule) for row, _, rule in found(left.problems)] == [
        (2, "barcode.taken"),
        (4, "storage_temperature.unheard"),
    ]
    assert str(other.sample_id) in left.problems[0].problem
    assert "in_storage" in left.problems[0].problem
    assert left.problems[0].value == "S-1"


def test_without_taken_barcodes_nothing_changes() -> None:
    """A laboratory that knows none of the barcodes takes the manifest as it is."""
    judged = judge("Sample ID,Type,Storage\nS-1,Blood,4\n")

    assert judged.without_taken([]) is judged


def test_a_manifest_is_refused_for_a_single_bad_row_unless_partial() -> None:
    """With `partial` it is refused only where no row is left."""
    half = judge("Sample ID,Type,Storage\nS-1,Blood,4\nS-2,Goo,4\n")
    none = judge("Sample ID,Type,Storage\nS-2,Goo,4\n")
    good = judge("Sample ID,Type,Storage\nS-1,Blood,4\n")

    refused = half.refusal(partial=False)
    assert isinstance(refused, ManifestInvalid)
    assert (refused.accepted, refused.rejected, refused.count) == (1, 1, 1)
    assert [error.field for error in refused.field_errors()] == ["3:Type"]
    assert half.refusal(partial=True) is None
    assert none.refusal(partial=True) is not None
    assert good.refusal(partial=False) is None


def test_problems_are_told_one_by_one_up_to_a_bound() -> None:
    """Beyond it the refusal carries their number."""
    rows = "".join(f"S-{n},Goo,4\n" for n in range(PROBLEMS_MAX + 100))

    refused = judge(f"Sample ID,Type,Storage\n{rows}").refusal(partial=False)

    assert refused is not None
    assert (len(refused.problems), refused.count) == (PROBLEMS_MAX, PROBLEMS_MAX + 100)


def test_the_room_that_is_needed_is_counted_by_temperature() -> None:
    """Valid rows only, coldest first."""
    judged = judge("Sample ID,Type,Storage\nA-1,RNA,-80\nA-2,Blood,4\nA-3,RNA,-80\nA-4,Goo,RT\n")

    assert judged.zones() == [
        ZoneCount(zone=Zone.ULTRA_LOW, samples=2),
        ZoneCount(zone=Zone.REFRIGERATED, samples=1),
    ]
    assert judged.report().zones == judged.zones()
