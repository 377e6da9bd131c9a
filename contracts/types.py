"""The constrained types of the laboratory: what a barcode, a zone, a volume may be.

Values are normalised here once (a scanned barcode with a zero-width space is the barcode), and
refused here once. No message is defined here.
"""

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Generic, NewType, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

ItemT = TypeVar("ItemT")

SampleId = NewType("SampleId", UUID)
SubmissionId = NewType("SubmissionId", UUID)
TransactionId = NewType("TransactionId", UUID)
LocationId = NewType("LocationId", UUID)
ContainerId = NewType("ContainerId", UUID)
NotificationId = NewType("NotificationId", UUID)

_INVISIBLE = re.compile("[\\u200b-\\u200f\\u2060\\ufeff\\u00ad\\s]+")


def normalise_barcode(value: object) -> object:
    """Read a barcode as scanners and spreadsheets give it: NFKC, nothing invisible, upper case."""
    if not isinstance(value, str):
        return value
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", value)).upper()


Barcode = Annotated[
    str,
    BeforeValidator(normalise_barcode),
    StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_.\-]{1,49}$"),
    Field(
        description="2 to 50 of A-Z 0-9 - _ . ; scans are normalised first",
        examples=["LAB-2026-000123"],
    ),
]


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


UtcTime = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An instant; any offset is accepted and UTC is kept."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Text = Annotated[str, StringConstraints(max_length=2_000)]
ActorId = Annotated[str, StringConstraints(min_length=1, max_length=128)]
EmailAddress = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=254),
    Field(examples=["bench@lab.example"]),
]
Reason = Annotated[str, StringConstraints(min_length=3, max_length=500)]
Sha256 = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{64}$"),
    Field(examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]),
]

VolumeUl = Annotated[Decimal, Field(gt=0, le=Decimal(1_000_000), max_digits=12, decimal_places=4)]
ConcentrationNgPerUl = Annotated[
    Decimal, Field(ge=0, le=Decimal(100_000), max_digits=12, decimal_places=4)
]
QualityScore = Annotated[Decimal, Field(ge=0, le=Decimal(10), max_digits=6, decimal_places=3)]
Celsius = Annotated[
    Decimal, Field(ge=Decimal(-273), le=Decimal(200), max_digits=7, decimal_places=3)
]


class SampleType(StrEnum):
    """What the material is."""

    BLOOD = "Blood"
    SALIVA = "Saliva"
    TISSUE = "Tissue"
    URINE = "Urine"
    DNA = "DNA"
    RNA = "RNA"
    PLASMA = "Plasma"
    SERUM = "Serum"
    SWAB = "Swab"
    CELL_CULTURE = "Cell Culture"
    PROTEIN = "Protein"
    ENVIRONMENTAL = "Environmental"
    OTHER = "Other"


class Zone(StrEnum):
    """A temperature at which material is kept."""

    ULTRA_LOW = "-80C"
    FROZEN = "-20C"
    REFRIGERATED = "4C"
    ROOM = "RT"
    INCUBATED = "37C"


class Priority(StrEnum):
    """How soon the work is wanted, least first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"
    CRITICAL = "critical"


class AnalysisType(StrEnum):
    """What shall be learnt from the sample."""

    WGS = "WGS"
    WES = "WES"
    TARGETED_PANEL = "Targeted Panel"
    RNA_SEQ = "RNA-Seq"
    CHIP_SEQ = "ChIP-Seq"
    ATAC_SEQ = "ATAC-Seq"
    METHYLATION = "Methylation"
    AMPLICON = "Amplicon"
    OTHER = "Other"


class Value(BaseModel):
    """A part of messages: immutable, strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class View(BaseModel):
    """An answer, or a part of one: immutable, tolerant of fields that a later version added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FileRef(Value):
    """A file in the object store, named by its content; messages carry this, never the bytes."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]
    name: Name
    """The name under which a person knows the file."""
    media_type: Annotated[str, StringConstraints(max_length=255)] = "application/octet-stream"


class Page(View, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT]
    total: Annotated[int, Field(ge=0)]
    page: Annotated[int, Field(ge=1)]
    page_size: Annotated[int, Field(ge=1)]


PageNumber = Annotated[int, Field(ge=1, le=100_000)]
PageSize = Annotated[int, Field(ge=1, le=1_000)]
MinSeq = Annotated[
    int,
    Field(
        ge=0,
        description="wait until the list has seen this log sequence: "
        "the token that a command's answer carries",
    ),
]


def derive_id(parent: UUID, *parts: object) -> UUID:
    """Make a UUIDv7 that is always the same for the same parent and parts.

    The time stays the parent's; the 74 random bits come from SHA-256. So the work that follows from
    one decision can name what it makes, and a repetition names the same.
    """
    digest = hashlib.sha256("\x1f".join([parent.hex, *map(str, parts)]).encode()).digest()
    bits = int.from_bytes(digest[:16]) & ((1 << 80) - 1)
    bits = (bits & ~(0xF << 76)) | (0x7 << 76)
    bits = (bits & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=((parent.int >> 80) << 80) | bits)
