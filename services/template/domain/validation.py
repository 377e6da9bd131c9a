"""What became of a manifest: valid rows, problems and warnings, each where a person finds it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from contracts.sample import SampleDetails, TakenBarcode
from contracts.template import (
    PROBLEMS_MAX,
    ManifestInvalid,
    ManifestProblem,
    ManifestReport,
    ZoneCount,
)
from contracts.types import Barcode, Zone
from services.template.domain.table import Fault, Table, shortened


@dataclass(frozen=True, slots=True)
class ValidRow:
    """A row that can become a sample."""

    number: int
    details: SampleDetails
    barcode_header: str
    """The header of the column that the barcode came from."""
    barcode_text: str
    """The barcode as it stands in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A manifest, judged."""

    file: str
    sheet: str | None
    rows: Sequence[ValidRow]
    rejected: int
    problems: Sequence[ManifestProblem]
    warnings: Sequence[ManifestProblem]

    @property
    def barcodes(self) -> list[Barcode]:
        """The barcodes of the valid rows, each once."""
        return [row.details.barcode for row in self.rows]

    def zones(self) -> list[ZoneCount]:
        """Count the valid rows by the temperature they need, coldest first."""
        counts = Counter(row.details.zone for row in self.rows)
        return [ZoneCount(zone=zone, samples=counts[zone]) for zone in Zone if counts[zone]]

    def without_taken(self, taken: Iterable[TakenBarcode]) -> "Validation":
        """Reject the rows whose barcodes the laboratory has already."""
        others = {other.barcode: other for other in taken}
        refused = [row for row in self.rows if row.details.barcode in others]
        if not refused:
            return self
        problems = [
            located(
                self,
                _taken(others[row.details.barcode]),
                row.number,
                row.barcode_header,
                row.barcode_text,
            )
            for row in refused
        ]
        return replace(
            self,
            rows=[row for row in self.rows if row.details.barcode not in others],
            rejected=self.rejected + len(refused),
            problems=sorted([*self.problems, *problems], key=lambda p: p.row or 0),
        )

    def reported(self) -> list[ManifestProblem]:
        """Give as many of the problems as are reported one by one."""
        return list(self.problems[:PROBLEMS_MAX])

    def warned(self) -> list[ManifestProblem]:
        """Give as many of the warnings as are reported one by one."""
        return list(self.warnings[:PROBLEMS_MAX])

    def report(self) -> ManifestReport:
        """Say what a submission of this manifest would find."""
        return ManifestReport(
            file=self.file,
            sheet=self.sheet,
            accepted=len(self.rows),
            rejected=self.rejected,
            zones=self.zones(),
            problems=self.reported(),
            warnings=self.warned(),
        )

    def refusal(self, *, partial: bool) -> ManifestInvalid | None:
        """Refuse a manifest with rejected rows; with `partial`, only one without any other."""
        if not self.problems or (partial and self.rows):
            return None
        return ManifestInvalid(
            file=self.file,
            accepted=len(self.rows),
            rejected=self.rejected,
            count=len(self.problems),
            problems=self.reported(),
        )


def located(
    table: Table | Validation,
    fault: Fault,
    row: int | None,
    column: str | None = None,
    value: str | None = None,
) -> ManifestProblem:
    """Say where a fault stands; header and value are shortened to what is shown."""
    return ManifestProblem(
        file=table.file,
        sheet=table.sheet,
        row=row or None,
        column=shortened(column) if column else None,
        value=shortened(value) if value else None,
        rule=fault.rule,
        problem=fault.problem,
        remedy=fault.remedy,
    )


def _taken(other: TakenBarcode) -> Fault:
    return Fault(
        "barcode.taken",
        f"Barcode {other.barcode} already belongs to sample {other.sample_id} ('{shortened(other.name)}'), "
        f"which is {other.status.value}.",
        "Remove the row if the sample was submitted before; else give the tube another label.",
    )
