"""Take a form or an import: one sample on its way of a manifest, or each row for itself.

No rule of the laboratory stands here.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import TypeAdapter

from contracts.errors import Refusal, Refused
from contracts.sample import (
    BarcodeTaken,
    ImportSamples,
    PrepareSubmission,
    RowOutcome,
    SamplesImported,
    SubmissionPrepared,
)
from contracts.template import ManifestRow
from contracts.types import Barcode, FileRef, SampleId, SubmissionId, derive_id
from infra.bus.context import Context
from infra.bus.files import Files
from infra.log.log import Change
from services.sample.domain import Sample
from services.sample.handlers.logs import Samples
from services.sample.handlers.many import ROWS
from services.sample.handlers.submissions import (
    CountMax,
    parts,
    read_rows,
    refuse_too_many,
    registrations,
    take_back,
    whole_manifest,
)

_OUTCOMES = TypeAdapter(list[RowOutcome])


async def on_prepare(
    command: PrepareSubmission, context: Context, *, samples: Samples, files: Files
) -> SubmissionPrepared | Refusal:
    """Write a form down as a manifest of one row."""
    del context
    sample_id = SampleId(derive_id(command.submission_id, "sample"))
    barcode = command.details.barcode
    bearer = await samples.bearer(barcode)
    if bearer is not None and bearer.sample_id != sample_id:
        return BarcodeTaken(barcode=barcode, sample_id=bearer.sample_id)
    row = ManifestRow(row=1, sample_id=sample_id, details=command.details)
    return SubmissionPrepared(
        submission_id=command.submission_id,
        sample_id=sample_id,
        barcode=barcode,
        rows=await files.put(ROWS.dump_json([row]), name="rows.json"),
        accepted=1,
    )


async def on_import(
    command: ImportSamples,
    context: Context,
    *,
    samples: Samples,
    files: Files,
    count_max: CountMax = whole_manifest,
) -> SamplesImported:
    """Register part by part what can be, and say of every row what became of it."""
    rows = await read_rows(files, command.rows)
    registered: list[ManifestRow] = []
    outcomes: list[RowOutcome] = []
    try:
        refuse_too_many(rows, count_max())
        for part in parts(rows):
            await _register(samples, command, part, context.part(f"row-{part[0].row}"))
            told = await _outcomes(samples, command.submission_id, part)
            outcomes += told
            registered += [
                row for row, one in zip(part, told, strict=True) if one.outcome == "registered"
            ]
    except Refused:
        await take_back(samples, command.submission_id, rows, context.part("undo"))
        raise
    return SamplesImported(
        submission_id=command.submission_id,
        rows=await files.put(ROWS.dump_json(registered), name="registered.json"),
        outcomes=await _keep(files, outcomes),
        registered=len(registered),
        refused=len(rows) - len(registered),
    )


async def _register(
    samples: Samples, command: ImportSamples, part: Sequence[ManifestRow], context: Context
) -> None:
    """Register a part without the rows whose barcodes others bear, as often as some turn up."""
    free: list[ManifestRow] = list(part)

    def make(abandoned: AbstractSet[Barcode]) -> Sequence[Change[Any]]:
        return registrations(samples, command.submission_id, free, context, abandoned=abandoned)

    while free:
        try:
            await samples.transact_claiming(make, context)
        except Refused as refused:
            if not command.partial or not isinstance(refused.refusal, BarcodeTaken):
                raise
            taken = {refused.refusal.barcode, *await _taken(samples, free)}
            free = [row for row in free if row.details.barcode not in taken]
        else:
            return


async def _taken(samples: Samples, rows: Sequence[ManifestRow]) -> set[Barcode]:
    taken: set[Barcode] = set()
    for row in rows:
        bearer = await samples.bearer(row.details.barcode)
        if bearer is not None and bearer.sample_id != row.sample_id:
            taken.add(row.details.barcode)
    return taken


async def _outcomes(
    samples: Samples, submission_id: SubmissionId, part: Sequence[ManifestRow]
) -> list[RowOutcome]:
    """Tell from the logs what became of rows: a second delivery of the command tells the same."""
    found = await samples.all_of(row.sample_id for row in part)
    outcomes: list[RowOutcome] = []
    for row in part:
        sample = found[row.sample_id]
        if sample is not None and sample.submission_id == submission_id:
            outcomes.append(_registered(row))
        else:
            outcomes.append(_refused(row, await samples.bearer(row.details.barcode)))
    return outcomes


def _registered(row: ManifestRow) -> RowOutcome:
    return RowOutcome(
        row=row.row, barcode=row.details.barcode, outcome="registered", sample_id=row.sample_id
    )


def _refused(row: ManifestRow, bearer: Sample | None) -> RowOutcome:
    barcode = row.details.barcode
    holder = bearer.sample_id if bearer is not None else row.sample_id
    refusal = BarcodeTaken(barcode=barcode, sample_id=holder)
    return RowOutcome(
        row=row.row,
        barcode=barcode,
        outcome="refused",
        code=refusal.spec.code,
        detail=refusal.detail,
    )


async def _keep(files: Files, outcomes: list[RowOutcome]) -> FileRef:
    return await files.put(_OUTCOMES.dump_json(outcomes), name="outcomes.json")
