"""What a single cell may hold, and how it is read."""

from datetime import date
from decimal import Decimal

import pytest

from contracts.types import AnalysisType, Priority, SampleType, Zone
from services.template.domain import codes, dates, materials, numbers, words, zones
from services.template.domain.materials import Material
from services.template.domain.table import Fault


def rule(value: object) -> str:
    """Give the rule that a cell broke."""
    assert isinstance(value, Fault), f"it was read as {value!r}"
    return value.rule


@pytest.mark.parametrize(
    ("text", "unit", "microlitres"),
    [
        ("50", "", "50"),
        ("50", "ml", "50000"),
        ("50 uL", "ml", "50"),
        ("50 µL", "", "50"),
        ("50 \u03bcL", "", "50"),
        ("5ml", "", "5000"),
        ("1.5 mL", "", "1500"),
        ("0.25 ML", "", "250"),
        ("1 L", "", "1000000"),
        ("500 nl", "", "0.5"),
        ("1,5", "", "1.5"),
        ("1.234,5", "", "1234.5"),
        ("1,234.5", "", "1234.5"),
        ("1,234,567.8 nl", "", "1234.5678"),
        ("1 250", "", "1250"),
        ("1'250", "", "1250"),
        ("0,125", "", "0.125"),
        (".5", "", "0.5"),
        ("\uff15\uff10", "", "50"),
        ("2e2", "", "200"),
        ("33.333333333333336", "", "33.3333"),
    ],
)
def test_a_volume_is_read_in_microlitres(text: str, unit: str, microlitres: str) -> None:
    """Unit of the cell before unit of the header before µL; comma or point; four places."""
    assert numbers.volume_ul(text, unit) == Decimal(microlitres)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("0", "volume.positive"),
        ("-5", "volume.positive"),
        ("\u22125", "volume.positive"),
        ("0.00001", "volume.positive"),
        ("1000001", "volume.range"),
        ("1e999999999", "volume.range"),
        ("2g", "volume.unit"),
        ("5 %", "volume.unit"),
        ("5 drops", "volume.unit"),
        ("1,500", "volume.ambiguous"),
        ("<5", "volume.number"),
        ("~5", "volume.number"),
        ("much", "volume.number"),
        ("NaN", "volume.number"),
        ("Infinity", "volume.number"),
        ("1.2.3", "volume.number"),
        ("5-10", "volume.unit"),
    ],
)
def test_what_is_no_volume_is_refused(text: str, broken: str) -> None:
    """Nothing, less than nothing, too much, a mass, a guess, or one of two numbers."""
    assert rule(numbers.volume_ul(text, "")) == broken


@pytest.mark.parametrize(
    ("text", "unit", "ng_per_ul"),
    [
        ("120.5", "", "120.5"),
        ("0", "", "0"),
        ("120.5 ng/µL", "mgml", "120.5"),
        ("0.5 mg/mL", "", "500"),
        ("0.5", "mgml", "500"),
        ("7 ug/mL", "", "7"),
        ("7 µg/µl", "", "7000"),
        ("7 g/L", "", "7000"),
        ("250 pg/ul", "", "0.25"),
        ("250 ng per uL", "", "250"),
        ("100000", "", "100000"),
    ],
)
def test_a_concentration_is_read_in_ng_per_ul(text: str, unit: str, ng_per_ul: str) -> None:
    """Units of mass per volume are converted exactly."""
    assert numbers.concentration_ng_per_ul(text, unit) == Decimal(ng_per_ul)


@pytest.mark.parametrize(
    ("text", "unit", "broken"),
    [
        ("1e9", "", "concentration.range"),
        ("100000.1", "", "concentration.range"),
        ("-1", "", "concentration.negative"),
        ("10 nM", "", "concentration.molar"),
        ("10", "nm", "concentration.molar"),
        ("10 cells/µL", "", "concentration.unit"),
        ("high", "", "concentration.number"),
    ],
)
def test_what_is_no_concentration_is_refused(text: str, unit: str, broken: str) -> None:
    """Beyond what can be dissolved, negative, molar, or of something else."""
    assert rule(numbers.concentration_ng_per_ul(text, unit)) == broken


def test_a_quality_score_lies_between_0_and_10() -> None:
    """`8.5` and `8.5/10` are the same; a percentage is none."""
    assert numbers.quality_score("8.5", "") == numbers.quality_score("8.5/10", "") == Decimal("8.5")
    assert rule(numbers.quality_score("85", "")) == "quality_score.range"
    assert rule(numbers.quality_score("-1", "")) == "quality_score.range"
    assert rule(numbers.quality_score("good", "")) == "quality_score.number"


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        *((text, Zone.ULTRA_LOW) for text in ("-80", "-80C", "-80 °C", "\u221280", "\u221280 º C")),
        *((text, Zone.ULTRA_LOW) for text in ("ULT", "-70", "minus 80", "- 80 deg C", "-80.0")),
        *((text, Zone.FROZEN) for text in ("-20", "-20°C", "\u201320", "-20 C freezer")),
        *(
            (text, Zone.REFRIGERATED)
            for text in ("4", "+4 °C", "4C", "2-8 °C", "2\u20138", "fridge")
        ),
        *((text, Zone.ROOM) for text in ("RT", "Room temperature", "room-temp", "ambient", "21")),
        *((text, Zone.INCUBATED) for text in ("37", "37C", "37 degrees Celsius", "incubator")),
    ],
)
def test_a_storage_temperature_is_read(text: str, zone: Zone) -> None:
    """By name or in degrees Celsius, with every sign that looks like a minus."""
    assert zones.zone(text, "") == zone


@pytest.mark.parametrize(
    ("text", "broken", "remedy"),
    [
        ("80", "storage_temperature.zone", "-80C"),
        ("28", "storage_temperature.zone", "RT"),
        ("-196", "storage_temperature.zone", "RT"),
        ("cold", "storage_temperature.unheard", "RT"),
        ("-80F", "storage_temperature.unheard", "RT"),
    ],
)
def test_a_temperature_at_which_nothing_is_kept_is_refused(
    text: str, broken: str, remedy: str
) -> None:
    """A lost minus sign is guessed at in the remedy, never taken for granted."""
    fault = zones.zone(text, "")

    assert rule(fault) == broken
    assert isinstance(fault, Fault)
    assert remedy in fault.remedy


@pytest.mark.parametrize(
    ("text", "sample_type", "zone"),
    [
        ("DNA", SampleType.DNA, Zone.FROZEN),
        ("gDNA", SampleType.DNA, Zone.FROZEN),
        ("genomic DNA", SampleType.DNA, Zone.FROZEN),
        ("cf-DNA", SampleType.DNA, Zone.FROZEN),
        ("mRNA", SampleType.RNA, Zone.ULTRA_LOW),
        ("Total RNA", SampleType.RNA, Zone.ULTRA_LOW),
        ("whole_blood", SampleType.BLOOD, Zone.REFRIGERATED),
        ("FFPE tissue", SampleType.TISSUE, Zone.ROOM),
        ("cell culture", SampleType.CELL_CULTURE, Zone.ULTRA_LOW),
        ("CELLCULTURE", SampleType.CELL_CULTURE, Zone.ULTRA_LOW),
        ("stool", SampleType.OTHER, Zone.ULTRA_LOW),
    ],
)
def test_a_sample_type_is_read_by_its_common_names(
    text: str, sample_type: SampleType, zone: Zone
) -> None:
    """Words for a material give its type, and where it is kept when nobody says."""
    material = materials.material(text, "")

    assert isinstance(material, Material)
    assert (material.sample_type, material.zone) == (sample_type, zone)


@pytest.mark.parametrize("sample_type", SampleType)
def test_every_sample_type_is_understood_as_itself(sample_type: SampleType) -> None:
    """The names that the project gives are words of a manifest."""
    material = materials.material(sample_type.value.upper(), "")

    assert isinstance(material, Material)
    assert (material.sample_type, material.exact) == (sample_type, True)


def test_an_unheard_word_is_refused_with_the_nearest_one() -> None:
    """A mistyped sample type, priority or analysis is not guessed."""
    for fault, meant in (
        (materials.material("Bloood", ""), "'Blood'"),
        (words.priority("urgnt", ""), "'urgent'"),
        (words.analysis_type("RNA-Sequ", ""), "'RNA-Seq'"),
    ):
        assert isinstance(fault, Fault)
        assert f"Did you mean {meant}?" in fault.remedy
    assert rule(words.priority("1", "")) == "priority.unheard"


def test_priorities_and_analyses_are_read_by_their_common_names() -> None:
    """`Standard` is normal, `ASAP` urgent; `exome` is WES, `rna_seq` RNA-Seq."""
    assert words.priority("Standard", "") is Priority.NORMAL
    assert words.priority("ASAP", "") is Priority.URGENT
    assert words.analysis_type("exome", "") is AnalysisType.WES
    assert words.analysis_type("rna_seq", "") is AnalysisType.RNA_SEQ


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-03", "2026/11/03", "2026.11.3", "20261103", "2026-11-03T08:15:00Z"),
        *(
            "2026-11-03 08:15",
            "03.11.2026",
            "3.11.2026",
            "3 Nov 2026",
            "3-Nov-2026",
            "3rd Nov 2026",
        ),
        *("03 November 2026", "Nov 3, 2026", "November 3rd 2026", "46329", "46329.5"),
    ],
)
def test_a_day_is_read_however_it_is_written(text: str) -> None:
    """ISO, with points, with the month in words, or as a spreadsheet's serial number."""
    assert dates.collected_on(text, "") == date(2026, 11, 3)


def test_a_day_and_month_that_can_be_exchanged_are_refused() -> None:
    """`03/04/2026` is two days; `13/04/2026` and `04/13/2026` are one, and so is `03/03/2026`."""
    fault = dates.collected_on("03/04/2026", "")

    assert rule(fault) == "collected_on.ambiguous"
    assert isinstance(fault, Fault)
    assert "2026-04-03 or 2026-03-04" in fault.problem
    assert dates.collected_on("13/04/2026", "") == date(2026, 4, 13)
    assert dates.collected_on("04/13/2026", "") == date(2026, 4, 13)
    assert dates.collected_on("03/03/2026", "") == date(2026, 3, 3)


def test_the_header_may_say_whether_the_day_or_the_month_comes_first() -> None:
    """With the order known, `03/04/2026` is one day."""
    assert dates.collected_on("03/04/2026", dates.DAY_FIRST) == date(2026, 4, 3)
    assert dates.collected_on("03/04/2026", dates.MONTH_FIRST) == date(2026, 3, 4)


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("2026-02-30", "collected_on.date"),
        ("2026-13-01", "collected_on.date"),
        ("03.11.26", "collected_on.year"),
        ("3-Nov-26", "collected_on.year"),
        ("3 Smarch 2026", "collected_on.date"),
        ("2026", "collected_on.date"),
        ("yesterday", "collected_on.date"),
        ("0000-01-01", "collected_on.date"),
    ],
)
def test_what_is_no_day_is_refused(text: str, broken: str) -> None:
    """Days that never were, years of two digits, words."""
    assert rule(dates.collected_on(text, "")) == broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("A", "barcode.length"),
        ("A" * 51, "barcode.length"),
        ("\u200b", "barcode.length"),
        ("LAB/1", "barcode.characters"),
        ("-LAB", "barcode.characters"),
        ("LÄB-1", "barcode.characters"),
        ("1.23457E+11", "barcode.scientific"),
    ],
)
def test_what_is_no_barcode_is_refused(text: str, broken: str) -> None:
    """Too short, too long, with odd characters, or made a number by a spreadsheet."""
    assert rule(codes.barcode(text, "")) == broken


def test_text_is_kept_without_what_nobody_sees() -> None:
    """Names are one line of visible characters; notes keep their lines, and nothing odd."""
    assert codes.sample_id("A\u200b \n  B\x00", "") == "A B"
    assert codes.notes("one\n\ttwo\x00\x1b", "") == "one\n\ttwo"


def test_text_that_is_too_long_is_refused() -> None:
    """Nothing is cut off silently."""
    assert rule(codes.submitter("x" * 256, "")) == "submitter.length"
    assert rule(codes.notes("x" * 2001, "")) == "notes.length"
    assert codes.notes("x" * 2000, "") == "x" * 2000
