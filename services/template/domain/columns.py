"""The columns that a manifest may have: one table, to match headers, read cells and tell people.

Headers are compared by letters and digits alone, in any case, with or without a unit. Cells that
are empty, or say that nothing is known, do not come to the parsers.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from functools import lru_cache
from typing import Final

from contracts.template import ROWS_MAX, ColumnView, ManifestTemplate
from contracts.types import AnalysisType, Priority, SampleType
from services.template.domain import codes, dates, materials, numbers, words, zones
from services.template.domain.numbers import squashed
from services.template.domain.table import listed

CACHED_HEADERS_MAX = 4_096
HEADER_CHARACTERS_MAX = 120
"""A longer cell is no header."""
LIKENESS_MIN = 0.8

Parse = Callable[[str, str], object]
"""Cell and the header's hint in, value or `Fault` out."""

_ADDITIONS = ("required", "mandatory", "optional")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column that a manifest may have."""

    name: str
    """Its stable name, the first part of its rules."""
    header: str
    """The header that the template suggests."""
    field: str
    """The field of a sample's details that it fills."""
    aliases: str
    """Other headers that mean it, separated by commas."""
    parse: Parse
    accepts: str
    example: str
    required: bool = False
    hints: Mapping[str, str] = default(default_factory=dict[str, str])
    """What may follow the name in a header, squashed, and what it tells the parser."""

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return self.name.replace("_", " ")

    def spellings(self) -> list[str]:
        """List every squashed header that means it without a hint."""
        spelt = (self.name, self.header, *listed(self.aliases))
        return [squashed(spelling) for spelling in spelt]


@dataclass(frozen=True, slots=True)
class Match:
    """A header that is known."""

    column: Column
    hint: str


SAMPLE_ID: Final = Column(
    name="sample_id",
    header="sample_id",
    field="name",
    aliases=(
        "sample, sample name, sample no, sample nr, sample number, sample identifier, id, "
        "specimen, specimen id, tube id, external id, external name, external sample id"
    ),
    parse=codes.sample_id,
    required=True,
    accepts="the name on the tube; also its barcode, unless there is a column for that",
    example="LAB-2026-000123",
)
BARCODE: Final = Column(
    name="barcode",
    header="barcode",
    field="barcode",
    aliases="bar code, tube barcode, sample barcode, container barcode, 2d barcode",
    parse=codes.barcode,
    accepts=(
        "2 to 50 of A-Z, 0-9, '-', '_' and '.'; without this column the sample id is the barcode"
    ),
    example="LAB-2026-000123",
)
SAMPLE_TYPE: Final = Column(
    name="sample_type",
    header="sample_type",
    field="sample_type",
    aliases=(
        "type, specimen type, material, material type, matrix, analyte, source type, "
        "source material"
    ),
    parse=materials.material,
    required=True,
    accepts=f"{', '.join(SampleType)}, or a common word for one, such as gDNA",
    example="DNA",
)
STORAGE_TEMPERATURE: Final = Column(
    name="storage_temperature",
    header="storage_temperature",
    field="zone",
    aliases=(
        "storage temp, temperature, temp, storage, storage condition, storage conditions, "
        "store at, storage class, storage zone, temperature zone, zone"
    ),
    parse=zones.zone,
    accepts="-80, -20, 4, RT or 37, with or without °C; where it is empty, what the type needs",
    example="-80",
    hints={"c": "", "degc": "", "celsius": "", "degreescelsius": ""},
)
VOLUME: Final = Column(
    name="volume",
    header="volume_ul",
    field="volume_ul",
    aliases="vol, sample volume, tube volume, total volume",
    parse=numbers.volume_ul,
    accepts="more than 0 up to 1,000,000 µL; another unit stands in the cell ('1.5 mL') or header",
    example="50",
    hints={unit: unit for unit in numbers.VOLUME_UNITS if unit},
)
CONCENTRATION: Final = Column(
    name="concentration",
    header="concentration_ng_per_ul",
    field="concentration_ng_per_ul",
    aliases="conc, sample concentration, DNA concentration, RNA concentration, DNA conc, RNA conc",
    parse=numbers.concentration_ng_per_ul,
    accepts="0 to 100,000 ng/µL; another unit stands in the cell ('0.5 mg/mL') or header",
    example="120.5",
    hints={unit: unit for unit in (*numbers.CONCENTRATION_UNITS, *numbers.MOLAR_UNITS) if unit},
)
QUALITY_SCORE: Final = Column(
    name="quality_score",
    header="quality_score",
    field="quality_score",
    aliases="quality, qc score, score, quality value",
    parse=numbers.quality_score,
    accepts="0 to 10",
    example="8.5",
)
SUBJECT_ID: Final = Column(
    name="subject_id",
    header="subject_id",
    field="subject_id",
    aliases=(
        "patient, patient id, patient number, subject, subject number, participant, "
        "participant id, donor, donor id, individual, individual id, pseudonym, case id"
    ),
    parse=codes.subject_id,
    accepts="the patient's or subject's pseudonym",
    example="P-0017",
)
COLLECTED_ON: Final = Column(
    name="collected_on",
    header="collection_date",
    field="collected_on",
    aliases=(
        "collected, date collected, collected at, date of collection, collection day, "
        "sampling date, sample date, sampled on, date of sampling"
    ),
    parse=dates.collected_on,
    accepts="a day not to come: 2026-11-03, 3 Nov 2026, 03.11.2026, or a spreadsheet's date",
    example="2026-11-03",
    hints={
        "yyyymmdd": dates.YEAR_FIRST,
        "ddmmyyyy": dates.DAY_FIRST,
        "mmddyyyy": dates.MONTH_FIRST,
    },
)
SUBMITTER: Final = Column(
    name="submitter",
    header="submitter",
    field="submitter",
    aliases=(
        "submitted by, submitter name, sender, sent by, requester, requestor, contact, "
        "contact person"
    ),
    parse=codes.submitter,
    accepts="who sends the sample",
    example="A. Curie",
)
DEPARTMENT: Final = Column(
    name="department",
    header="department",
    field="department",
    aliases="dept, group, laboratory, clinic, division, institute",
    parse=codes.department,
    accepts="where it comes from",
    example="Oncology",
)
PRIORITY: Final = Column(
    name="priority",
    header="priority",
    field="priority",
    aliases="urgency, prio, priority level",
    parse=words.priority,
    accepts=f"{', '.join(Priority)}; normal where it is empty",
    example="normal",
)
ANALYSIS_TYPE: Final = Column(
    name="analysis_type",
    header="analysis_type",
    field="analysis_type",
    aliases=(
        "analysis, requested analysis, analysis requested, assay, test, application, "
        "sequencing type"
    ),
    parse=words.analysis_type,
    accepts=", ".join(AnalysisType),
    example="WGS",
)
NOTES: Final = Column(
    name="notes",
    header="notes",
    field="notes",
    aliases="note, comment, comments, remark, remarks, description",
    parse=codes.notes,
    accepts=f"any text of at most {codes.NOTES_CHARACTERS_MAX} characters",
    example="second draw",
)

COLUMNS: Final = (
    *(SAMPLE_ID, BARCODE, SAMPLE_TYPE, STORAGE_TEMPERATURE, VOLUME, CONCENTRATION, QUALITY_SCORE),
    *(SUBJECT_ID, COLLECTED_ON, SUBMITTER, DEPARTMENT, PRIORITY, ANALYSIS_TYPE, NOTES),
)

_PLAIN = {spelling: Match(column, "") for column in COLUMNS for spelling in column.spellings()}
_HINTED = {
    f"{spelling}{addition}": Match(match.column, hint)
    for spelling, match in _PLAIN.items()
    for addition, hint in match.column.hints.items()
}
KNOWN: Final[Mapping[str, Match]] = _PLAIN | _HINTED
"""Every squashed header that is known."""


@lru_cache(maxsize=CACHED_HEADERS_MAX)
def match(header: str) -> Match | None:
    """Find the column that a header means."""
    if len(header) > HEADER_CHARACTERS_MAX:
        return None
    key = squashed(header)
    for addition in _ADDITIONS:
        key = key.removesuffix(addition)
    return KNOWN.get(key)


def nearest(header: str) -> Column | None:
    """Find the column that an unknown header may have been meant for."""
    spelt = squashed(header)[:HEADER_CHARACTERS_MAX]
    near = difflib.get_close_matches(spelt, KNOWN, n=1, cutoff=LIKENESS_MIN)
    return KNOWN[near[0]].column if near else None


def template() -> ManifestTemplate:
    """Describe every column to people."""
    return ManifestTemplate(columns=[_view(c) for c in COLUMNS], rows_max=ROWS_MAX)


def _view(column: Column) -> ColumnView:
    return ColumnView(
        name=column.header,
        required=column.required,
        aliases=[a for a in (column.words, *listed(column.aliases)) if a != column.header],
        accepts=column.accepts,
        example=column.example,
    )
