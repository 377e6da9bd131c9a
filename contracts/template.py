"""Manifests: the table that a laboratory sends with its samples, and what can be wrong with it."""

from typing import Annotated

from pydantic import Field

from contracts.errors import FieldError, Refusal
from contracts.message import Command, Query, get, post
from contracts.sample import SampleDetails
from contracts.types import FileRef, Name, SampleId, SubmissionId, Value, View, Zone

ROWS_MAX = 10_000
"""Rows of one manifest."""
PROBLEMS_MAX = 500
"""Problems reported one by one; beyond it only their number."""


class ManifestRow(Value):
    """One valid row: which sample it becomes, and where a person finds it in the file."""

    row: Annotated[int, Field(ge=1)]
    """The row number as a spreadsheet shows it."""
    sample_id: SampleId
    details: SampleDetails


class ManifestProblem(Value):
    """One thing wrong in a manifest, told so that a person can mend it in their own file."""

    file: str
    sheet: str | None = None
    row: int | None = None
    """As the spreadsheet shows it; None where the whole file is meant."""
    column: str | None = None
    """The header as it stands in the file."""
    value: str | None = None
    """The cell as it stands in the file, shortened; None where it is empty."""
    rule: str
    """Stable name of the rule, such as `volume.positive`."""
    problem: str
    remedy: str


class ZoneCount(Value):
    """How many samples must be kept at a temperature."""

    zone: Zone
    samples: int


class ManifestValidated(View):
    """A manifest that can be registered."""

    submission_id: SubmissionId
    rows: FileRef
    """JSON list of `ManifestRow`."""
    accepted: int
    rejected: int
    """Rows left out; only with `partial`."""
    zones: list[ZoneCount]
    problems: list[ManifestProblem]
    """What was wrong with the rows left out, at most `PROBLEMS_MAX`."""
    warnings: list[ManifestProblem]


class ManifestReport(View):
    """What a dry run found."""

    file: str
    sheet: str | None
    accepted: int
    rejected: int
    zones: list[ZoneCount]
    problems: list[ManifestProblem]
    warnings: list[ManifestProblem]


class ColumnView(View):
    """One column that a manifest may have."""

    name: str
    required: bool
    aliases: list[str]
    accepts: str
    """What a cell may hold, in words."""
    example: str


class ManifestTemplate(View):
    """The columns of a manifest."""

    columns: list[ColumnView]
    rows_max: int


class ValidateManifest(Command[ManifestValidated], type="template.validate_manifest"):
    """Read a manifest and check every row; nothing is changed."""

    submission_id: SubmissionId
    file: FileRef
    sheet: Name | None = None
    partial: bool = False


class CheckManifest(
    Command[ManifestReport],
    type="template.check_manifest",
    http=post("/manifests/check", status=200),
    needs="samples:create",
):
    """Dry run: say what a submission of this file would find."""

    file: FileRef
    sheet: Name | None = None


class GetManifestTemplate(
    Query[ManifestTemplate],
    type="template.manifest_columns",
    http=get("/manifests/template"),
    needs="templates:read",
):
    """Show the columns that a manifest may have."""


class ManifestInvalid(
    Refusal,
    code="template.manifest_invalid",
    status=422,
    says="{file}: {rejected} row(s) cannot be accepted, {count} problem(s) in all; "
    "each is listed with its remedy. Nothing was registered. Mend the file and submit it again, "
    "or submit with partial=true to take the {accepted} valid row(s).",
):
    """The manifest has rows that cannot be accepted."""

    file: str
    accepted: int
    rejected: int
    count: int
    problems: list[ManifestProblem]
    """At most `PROBLEMS_MAX` of them."""

    def field_errors(self) -> list[FieldError]:
        """Name each cell at fault as `sheet!row:column`."""
        return [
            FieldError(
                field=f"{p.sheet + '!' if p.sheet else ''}{p.row or '-'}:{p.column or '-'}",
                value=p.value,
                problem=p.problem,
                remedy=p.remedy,
            )
            for p in self.problems
        ]


class ManifestUnreadable(
    Refusal,
    code="template.manifest_unreadable",
    status=422,
    says="{file}: {problem} {remedy} Nothing was registered.",
):
    """The file cannot be read as a manifest."""

    file: str
    rule: str
    problem: str
    remedy: str
