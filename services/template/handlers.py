"""Message in, manifest judged, answer out. No rule of manifests stands here."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice

from contracts.errors import Refused, Retryable, Unavailable
from contracts.sample import CheckBarcodes, TakenBarcode
from contracts.template import (
    CheckManifest,
    GetManifestTemplate,
    ManifestInvalid,
    ManifestReport,
    ManifestRow,
    ManifestTemplate,
    ManifestValidated,
    ValidateManifest,
)
from contracts.types import Barcode, SampleId, derive_id
from infra.bus.bus import Bus
from infra.bus.context import Context
from services.template.domain import columns
from services.template.domain.manifest import validate
from services.template.domain.validation import Validation
from services.template.store import ManifestFiles

BARCODES_AT_ONCE = 1_000
"""Barcodes of one question to the sample service."""
BARCODES_SECONDS = 2.0
"""For the answer to one: a killed process takes questions along, so ask anew before long."""
PATIENCE_MAX = 5
"""Each delivery waits longer than the one before, this many times as long at most."""
EASTERNMOST = timedelta(hours=14)
"""How far the calendar is ahead of UTC where the day begins first."""


class BarcodesUnknown(Retryable):
    """The sample service does not say now which barcodes are taken."""


async def on_validate_manifest(
    command: ValidateManifest, context: Context, *, files: ManifestFiles, bus: Bus
) -> ManifestValidated | ManifestInvalid:
    """Validate a submission's manifest, and keep its valid rows for whoever registers them."""
    judged = await _judge(command, context, files=files, bus=bus)
    refusal = judged.refusal(partial=command.partial)
    if refusal is not None:
        return refusal
    rows = [
        ManifestRow(
            row=row.number,
            sample_id=SampleId(derive_id(command.submission_id, row.number)),
            details=row.details,
        )
        for row in judged.rows
    ]
    return ManifestValidated(
        submission_id=command.submission_id,
        rows=await files.keep(rows, of=command.file),
        accepted=len(rows),
        rejected=judged.rejected,
        zones=judged.zones(),
        problems=judged.reported(),
        warnings=judged.warned(),
    )


async def on_check_manifest(
    command: CheckManifest, context: Context, *, files: ManifestFiles, bus: Bus
) -> ManifestReport:
    """Say what a submission of this file would find; nothing is kept."""
    return (await _judge(command, context, files=files, bus=bus)).report()


async def on_manifest_columns(_query: GetManifestTemplate, _context: Context) -> ManifestTemplate:
    """Show the columns that a manifest may have."""
    return columns.template()


async def _judge(
    command: ValidateManifest | CheckManifest, context: Context, *, files: ManifestFiles, bus: Bus
) -> Validation:
    today = latest_day(context.now)
    judged = await files.read(
        command.file, command.sheet, lambda table: validate(table, today=today)
    )
    return judged.without_taken(await _taken(judged.barcodes, bus, context))


def latest_day(now: datetime) -> date:
    """Give the latest day that it is anywhere: a tube may come from where it is tomorrow."""
    return (now + EASTERNMOST).date()


async def _taken(barcodes: Sequence[Barcode], bus: Bus, context: Context) -> list[TakenBarcode]:
    """Ask which barcodes the laboratory has, in parts that a message can carry.

    Raises:
        BarcodesUnknown: the sample service does not answer; a manifest is not judged without it.
    """
    timeout_seconds = BARCODES_SECONDS * min(context.delivered, PATIENCE_MAX)
    taken: list[TakenBarcode] = []
    for part in _parts(barcodes):
        try:
            answer = await bus.ask(
                CheckBarcodes(barcodes=part),
                actor=context.actor,
                correlation=context.correlation,
                timeout_seconds=timeout_seconds,
            )
        except Refused as refused:
            if isinstance(refused.refusal, Unavailable):
                raise BarcodesUnknown(refused.refusal.detail) from refused
            raise
        taken.extend(answer.taken)
    return taken


def _parts(barcodes: Sequence[Barcode]) -> Iterator[list[Barcode]]:
    rest = iter(barcodes)
    while part := list(islice(rest, BARCODES_AT_ONCE)):
        yield part
