"""Register a whole submission, take it back, mark it stored: in parts of one atomic batch each.

No rule of the laboratory stands here.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import TypeAdapter

from contracts.aggregate import Decide
from contracts.errors import Refused
from contracts.sample import (
    BatchTooLarge,
    MarkSamplesStored,
    RegisterSamples,
    SamplesRegistered,
    SamplesStored,
    SampleStatus,
    SamplesWithdrawn,
    WithdrawSamples,
)
from contracts.template import ROWS_MAX, ManifestRow
from contracts.types import Barcode, FileRef, SampleId, SubmissionId
from infra.bus.context import Context
from infra.bus.files import Files
from infra.log.log import Change
from services.sample import domain
from services.sample.domain import BarcodeClaim, Sample
from services.sample.handlers.logs import Samples

ROWS_AT_ONCE = 450
"""Samples of one atomic batch, which holds 1,000 entries: a sample and its barcode are two."""

_ROWS = TypeAdapter(list[ManifestRow])

CountMax = Callable[[], int]
"""How many samples are taken at once, at the moment."""


def whole_manifest() -> int:
    """Take as many as a manifest can hold."""
    return ROWS_MAX


async def on_register_many(
    command: RegisterSamples,
    context: Context,
    *,
    samples: Samples,
    files: Files,
    count_max: CountMax = whole_manifest,
) -> SamplesRegistered:
    """Register a submission, part by part; a refused part takes the earlier ones back."""
    rows = await read_rows(files, command.rows)
    try:
        refuse_too_many(rows, count_max())
        for part in parts(rows):
            named = context.part(f"row-{part[0].row}")
            await _register_part(samples, command.submission_id, part, named)
    except Refused:
        await take_back(samples, command.submission_id, rows, context.part("undo"))
        raise
    return SamplesRegistered(submission_id=command.submission_id, registered=len(rows))


async def _register_part(
    samples: Samples, submission_id: SubmissionId, part: Sequence[ManifestRow], context: Context
) -> None:
    def make(abandoned: AbstractSet[Barcode]) -> Sequence[Change[Any]]:
        return registrations(samples, submission_id, part, context, abandoned=abandoned)

    await samples.transact_claiming(make, context)


def registrations(
    samples: Samples,
    submission_id: SubmissionId,
    part: Sequence[ManifestRow],
    context: Context,
    *,
    abandoned: AbstractSet[Barcode],
) -> list[Change[Any]]:
    """Say what to decide so that a part of a submission becomes samples."""
    changes: list[Change[Any]] = [
        samples.submissions.change(
            submission_id,
            lambda current: domain.register_part(
                current, submission_id, first_row=part[0].row, samples=len(part)
            ),
        )
    ]
    for row in part:
        barcode = row.details.barcode
        changes.append(samples.claim(barcode, row.sample_id, context.now, abandoned=abandoned))
        changes.append(
            samples.samples.change(row.sample_id, _registration(row, submission_id), new=True)
        )
    return changes


def _registration(row: ManifestRow, submission_id: SubmissionId) -> Decide[Sample]:
    return lambda current: domain.register(
        current,
        row.sample_id,
        row.details,
        submission_id=submission_id,
        status=SampleStatus.VALIDATED,
    )


async def on_withdraw_many(
    command: WithdrawSamples, context: Context, *, samples: Samples, files: Files
) -> SamplesWithdrawn:
    """Take back whatever a submission registered, and whatever it might still."""
    rows = await read_rows(files, command.rows)
    withdrawn = await take_back(samples, command.submission_id, rows, context)
    return SamplesWithdrawn(submission_id=command.submission_id, withdrawn=withdrawn)


async def take_back(
    samples: Samples, submission_id: SubmissionId, rows: Sequence[ManifestRow], context: Context
) -> int:
    """Close the submission first, so that nothing is registered for it afterwards."""
    await samples.submissions.execute(
        submission_id,
        lambda current: domain.withdraw_submission(current, submission_id),
        context,
    )
    return await _withdraw(samples, rows, context)


async def _withdraw(samples: Samples, rows: Sequence[ManifestRow], context: Context) -> int:
    withdrawn = 0
    for part in parts(rows):
        changes: list[Change[Any]] = []
        for row in part:
            changes.append(samples.samples.change(row.sample_id, domain.withdraw))
            changes.append(samples.claims.change(row.details.barcode, _release(row.sample_id)))
        loaded = await samples.log.transact(changes, context)
        withdrawn += sum(
            isinstance(one.state, Sample) and one.state.status is SampleStatus.WITHDRAWN
            for one in loaded
        )
    return withdrawn


def _release(sample_id: SampleId) -> Decide[BarcodeClaim]:
    return lambda current: domain.release(current, sample_id)


async def on_mark_stored(
    command: MarkSamplesStored, context: Context, *, samples: Samples, files: Files
) -> SamplesStored:
    """Record that a submission's samples rest in their positions."""
    rows = await read_rows(files, command.rows)
    for part in parts(rows):
        await samples.log.transact(
            [samples.samples.change(row.sample_id, _mark(row.sample_id)) for row in part], context
        )
    return SamplesStored(submission_id=command.submission_id, stored=len(rows))


def _mark(sample_id: SampleId) -> Decide[Sample]:
    return lambda current: domain.mark_stored(current, sample_id)


async def read_rows(files: Files, ref: FileRef) -> list[ManifestRow]:
    """Read the rows of a manifest."""
    return _ROWS.validate_json(await files.get(ref))


def refuse_too_many(rows: Sequence[ManifestRow], count_max: int) -> None:
    """See that there are no more samples than are taken at once.

    Raises:
        Refused: there are.
    """
    if len(rows) > count_max:
        raise Refused(BatchTooLarge(count=len(rows), count_max=count_max))


def parts(rows: Sequence[ManifestRow]) -> Iterator[Sequence[ManifestRow]]:
    """Split rows into parts of one atomic batch each."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]
