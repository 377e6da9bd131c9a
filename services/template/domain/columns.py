"""The columns that a manifest may have: one table, for matching headers, reading cells and telling people.

Headers are compared by letters and digits alone, in any case, with or without a unit. Cells that are
empty, or say that nothing is known, do not come to the parsers.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from contracts.template import ROWS_MAX, ColumnView, ManifestTemplate
from contracts.types import AnalysisType, Priority, SampleType, normalise_barcode
from services.template.domain import dates, numbers, vocabulary
from services.template.domain.numbers import squashed
from services.template.domain.table import Fault, visible

CACHED_HEADERS_MAX = 4_096
HEADER_CHARACTERS_MAX = 120
"""A longer cell is no header."""
NAME_CHARACTERS_MAX = 255
NOTES_CHARACTERS_MAX = 2_000
BARCODE_CHARACTERS_MAX = 50
BARCODE_CHARACTERS_MIN = 2

Parse = Callable[[str, str], object]
"""Cell and the header's hint in, value or `Fault` out."""

_SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*[eE]\+[0-9]+")
_BARCODE = re.compile(r"[A-Z0-9][A-Z0-9_.\-]*")
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
    aliases: tuple[str, ...]
    parse: Parse
    accepts: str
    example: str
    required: bool = False
    hints: Mapping[str, str] = field(default_factory=dict[str, str])
    """What may follow the name in a header, squashed, and what it tells the parser."""


@dataclass(frozen=True, slots=True)
class Match:
    """A header that is known."""

    column: Column
    hint: str


def name(what: str) -> Parse:
    """Make the parser of a text in one line."""

    def parse(text: str, _hint: str) -> str | Fault:
        line = visible(text)
        if len(line) <= NAME_CHARACTERS_MAX:
            return line
        words = what.replace("_", " ")
        return Fault(
            f"{what}.length",
            f"The {words} has {len(line)} characters; at most {NAME_CHARACTERS_MAX} are kept.",
            "Shorten it, and put the rest into the notes.",
        )

    return parse


def notes(text: str, _hint: str) -> str | Fault:
    """Read free text."""
    if len(text) <= NOTES_CHARACTERS_MAX:
        return text
    return Fault(
        "notes.length",
        f"The notes have {len(text)} characters; at most {NOTES_CHARACTERS_MAX} are kept.",
        "Shorten them.",
    )


def barcode(text: str, _hint: str) -> str | Fault:
    """Read a barcode as scanners and spreadsheets give it."""
    if _SCIENTIFIC.fullmatch(text):
        return Fault(
            "barcode.scientific",
            "The spreadsheet made a number of this barcode, and its last digits are lost.",
            "Format the column as text, and enter or scan the barcode again.",
        )
    code = str(normalise_barcode(text))
    if not BARCODE_CHARACTERS_MIN <= len(code) <= BARCODE_CHARACTERS_MAX:
        return Fault(
            "barcode.length",
            f"A barcode has {BARCODE_CHARACTERS_MIN} to {BARCODE_CHARACTERS_MAX} characters; this has {len(code)}.",
            "Scan the tube again, or give it another label.",
        )
    return code if _BARCODE.fullmatch(code) else _odd_barcode(code)


def _odd_barcode(code: str) -> Fault:
    odd = [c for c in dict.fromkeys(code) if not _BARCODE.fullmatch(f"A{c}")]
    what = f"contains {' '.join(odd[:5])}" if odd else f"begins with {code[0]}"
    return Fault(
        "barcode.characters",
        f"This {what}; a barcode is made of letters A-Z, digits, '-', '_' and '.', and begins with a letter or digit.",
        "Use only these, on the tube and in the file; or add a column 'Barcode' with what the tube's label says.",
    )


def _one_of(words: Iterable[str]) -> str:
    return ", ".join(words)


SAMPLE_ID: Final = Column(
    name="sample_id",
    header="sample_id",
    field="name",
    aliases=(
        *(
            "sample",
            "sample name",
            "sample no",
            "sample nr",
            "sample number",
            "sample identifier",
            "id",
        ),
        *(
            "specimen",
            "specimen id",
            "tube id",
            "external id",
            "external name",
            "external sample id",
        ),
    ),
    parse=name("sample_id"),
    required=True,
    accepts="the name on the tube; also its barcode, unless there is a column for that",
    example="LAB-2026-000123",
)
BARCODE: Final = Column(
    name="barcode",
    header="barcode",
    field="barcode",
    aliases=("bar code", "tube barcode", "sample barcode", "container barcode", "2d barcode"),
    parse=barcode,
    accepts="2 to 50 of A-Z, 0-9, '-', '_' and '.'; without this column the sample id is the barcode",
    example="LAB-2026-000123",
)
SAMPLE_TYPE: Final = Column(
    name="sample_type",
    header="sample_type",
    field="sample_type",
    aliases=(
        "type",
        "specimen type",
        "material",
        "material type",
        "matrix",
        "analyte",
        "source type",
        "source material",
    ),
    parse=vocabulary.material,
    required=True,
    accepts=f"{_one_of(SampleType)}, or a common word for one, such as gDNA",
    example="DNA",
)
SUBJECT_ID: Final = Column(
    name="subject_id",
    header="subject_id",
    field="subject_id",
    aliases=(
        *(
            "patient",
            "patient id",
            "patient number",
            "subject",
            "subject number",
            "participant",
            "participant id",
        ),
        *("donor", "donor id", "individual", "individual id", "pseudonym", "case id"),
    ),
    parse=name("subject_id"),
    accepts="the patient's or subject's pseudonym",
    example="P-0017",
)
COLLECTED_ON: Final = Column(
    name="collected_on",
    header="collection_date",
    field="collected_on",
    aliases=(
        *(
            "collected on",
            "collected",
            "date collected",
            "collected at",
            "date of collection",
            "collection day",
        ),
        *("sampling date", "sample date", "sampled on", "date of sampling"),
    ),
    parse=dates.collected_on,
    accepts="a day that is not to come: 2026-11-03, 3 Nov 2026, 03.11.2026, or a spreadsheet's date",
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
        "submitted by",
        "submitter name",
        "sender",
        "sent by",
        "requester",
        "requestor",
        "contact",
        "contact person",
    ),
    parse=name("submitter"),
    accepts="who sends the sample",
    example="A. Curie",
)
DEPARTMENT: Final = Column(
    name="department",
    header="department",
    field="department",
    aliases=("dept", "group", "laboratory", "clinic", "division", "institute"),
    parse=name("department"),
    accepts="where it comes from",
    example="Oncology",
)
PRIORITY: Final = Column(
    name="priority",
    header="priority",
    field="priority",
    aliases=("urgency", "prio", "priority level"),
    parse=vocabulary.priority,
    accepts=f"{_one_of(Priority)}; normal where it is empty",
    example="normal",
)
ANALYSIS_TYPE: Final = Column(
    name="analysis_type",
    header="analysis_type",
    field="analysis_type",
    aliases=(
        "analysis",
        "requested analysis",
        "analysis requested",
        "assay",
        "test",
        "application",
        "sequencing type",
    ),
    parse=vocabulary.analysis_type,
    accepts=_one_of(AnalysisType),
    example="WGS",
)
STORAGE_TEMPERATURE: Final = Column(
    name="storage_temperature",
    header="storage_temperature",
    field="zone",
    aliases=(
        *(
            "storage temp",
            "temperature",
            "temp",
            "storage",
            "storage condition",
            "storage conditions",
            "store at",
            "zone",
        ),
        *("storage class", "storage zone", "temperature zone"),
    ),
    parse=vocabulary.zone,
    accepts="-80, -20, 4, RT or 37, with or without °C; assumed from the sample type where it is empty",
    example="-80",
    hints={"c": "", "degc": "", "celsius": "", "degreescelsius": ""},
)
VOLUME: Final = Column(
    name="volume",
    header="volume_ul",
    field="volume_ul",
    aliases=("vol", "sample volume", "tube volume", "total volume"),
    parse=numbers.volume_ul,
    accepts="more than 0 up to 1,000,000 µL; another unit stands in the cell ('1.5 mL') or in the header",
    example="50",
    hints={unit: unit for unit in numbers.VOLUME_UNITS if unit},
)
CONCENTRATION: Final = Column(
    name="concentration",
    header="concentration_ng_per_ul",
    field="concentration_ng_per_ul",
    aliases=(
        "conc",
        "dna concentration",
        "rna concentration",
        "sample concentration",
        "dna conc",
        "rna conc",
    ),
    parse=numbers.concentration_ng_per_ul,
    accepts="0 to 100,000 ng/µL; another unit stands in the cell ('0.5 mg/mL') or in the header",
    example="120.5",
    hints={unit: unit for unit in (*numbers.CONCENTRATION_UNITS, *numbers.MOLAR_UNITS) if unit},
)
QUALITY_SCORE: Final = Column(
    name="quality_score",
    header="quality_score",
    field="quality_score",
    aliases=("quality", "qc score", "score", "quality value"),
    parse=numbers.quality_score,
    accepts="0 to 10",
    example="8.5",
)
NOTES: Final = Column(
    name="notes",
    header="notes",
    field="notes",
    aliases=("note", "comment", "comments", "remark", "remarks", "description"),
    parse=notes,
    accepts=f"any text of at most {NOTES_CHARACTERS_MAX} characters",
    example="second draw",
)

COLUMNS: Final = (
    *(
        SAMPLE_ID,
        BARCODE,
        SAMPLE_TYPE,
        STORAGE_TEMPERATURE,
        VOLUME,
        CONCENTRATION,
        QUALITY_SCORE,
        SUBJECT_ID,
    ),
    *(COLLECTED_ON, SUBMITTER, DEPARTMENT, PRIORITY, ANALYSIS_TYPE, NOTES),
)


def spellings(column: Column) -> list[str]:
    """List every squashed header that means a column without a hint."""
    return [squashed(s) for s in (column.name, column.header, column.field, *column.aliases)]


def _known() -> dict[str, Match]:
    """List every squashed header that is known; a plain name goes before a name with a hint."""
    plain = {s: Match(c, "") for c in COLUMNS for s in spellings(c)}
    hinted = {
        f"{s}{h}": Match(c, means)
        for c in COLUMNS
        for s in spellings(c)
        for h, means in c.hints.items()
    }
    return hinted | plain


KNOWN: Final[Mapping[str, Match]] = _known()


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
    near = difflib.get_close_matches(
        squashed(header)[:HEADER_CHARACTERS_MAX], KNOWN, n=1, cutoff=0.8
    )
    return KNOWN[near[0]].column if near else None


def template() -> ManifestTemplate:
    """Describe every column to people."""
    return ManifestTemplate(
        columns=[
            ColumnView(
                name=c.header,
                required=c.required,
                aliases=list(dict.fromkeys(a for a in (c.name, *c.aliases) if a != c.header)),
                accepts=c.accepts,
                example=c.example,
            )
            for c in COLUMNS
        ],
        rows_max=ROWS_MAX,
    )
