"""What became of a manifest: valid rows, problems and warnings, each where a person finds it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from contracts.sample import SampleDetails, TakenBarcode
from contracts.template import (
    PROBLEMS_MAX,
    ManifestInvalid,
    ManifestProblem,
    ManifestReport,
    ZoneCount,
)
from contracts.types import Barcode, Zone
from services.template.domain.table import Fault, shortened


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file; what is None is not meant."""

    row: int | None = None
    column: str | None = None
    """A header, or the letter of a column without one."""
    value: str | None = None


@dataclass(frozen=True, slots=True)
class ValidRow:
    """A row that can become a sample."""

    details: SampleDetails
    place: Place
    """Where its barcode stands."""

    @property
    def number(self) -> int:
        """The row as the person's program shows it."""
        return self.place.row or 0


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
        found = Findings(self.file, self.sheet, problems=list(self.problems))
        for row in refused:
            found.problem(_taken(others[row.details.barcode]), row.place)
        return replace(
            self,
            rows=[row for row in self.rows if row.details.barcode not in others],
            rejected=self.rejected + len(refused),
            problems=sorted(found.problems, key=_row_of),
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


@dataclass(slots=True)
class Findings:
    """What was found so far in a manifest."""

    file: str
    sheet: str | None
    problems: list[ManifestProblem] = field(default_factory=list[ManifestProblem])
    warnings: list[ManifestProblem] = field(default_factory=list[ManifestProblem])

    def problem(self, fault: Fault, place: Place) -> None:
        """Add what keeps a row, or the file, from being accepted."""
        self.problems.append(self._located(fault, place))

    def warn(self, fault: Fault, place: Place) -> None:
        """Add what is worth a second look."""
        self.warnings.append(self._located(fault, place))

    def _located(self, fault: Fault, place: Place) -> ManifestProblem:
        return ManifestProblem(
            file=self.file,
            sheet=self.sheet,
            row=place.row or None,
            column=shortened(place.column) if place.column else None,
            value=shortened(place.value) if place.value else None,
            rule=fault.rule,
            problem=fault.problem,
            remedy=fault.remedy,
        )

    def validation(self, rows: Sequence[ValidRow], *, rejected: int) -> Validation:
        """Close the judgement: problems and warnings by row, those of the whole file first."""
        return Validation(
            file=self.file,
            sheet=self.sheet,
            rows=rows,
            rejected=rejected,
            problems=sorted(self.problems, key=_row_of),
            warnings=sorted(self.warnings, key=_row_of),
        )


def _row_of(problem: ManifestProblem) -> int:
    return problem.row or 0


def _taken(other: TakenBarcode) -> Fault:
    return Fault(
        "barcode.taken",
        f"Barcode {other.barcode} already belongs to sample {other.sample_id} "
        f"('{shortened(other.name)}'), which is {other.status.value}.",
        "Remove the row if the sample was submitted before; else give the tube another label.",
    )
