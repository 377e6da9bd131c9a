"""Message in, decide on the log, answer out. No rule of the laboratory stands here."""

import asyncio
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, cast

from pydantic import TypeAdapter

from contracts.aggregate import Decide, Decision, Loaded
from contracts.errors import Refused
from contracts.sample import (
    BarcodeTaken,
    ChangeSampleStatus,
    CheckBarcodes,
    GetSample,
    GetSampleByBarcode,
    GetSampleHistory,
    ListSamples,
    MarkSamplesStored,
    RegisterSample,
    RegisterSamples,
    SampleHistory,
    SampleNotFound,
    SamplesRegistered,
    SamplesStored,
    SampleStatus,
    SamplesWithdrawn,
    SampleView,
    StatusChange,
    TakenBarcode,
    TakenBarcodes,
    WithdrawSamples,
)
from contracts.template import ManifestRow
from contracts.types import Barcode, FileRef, Page, SampleId, SubmissionId
from infra.bus.context import Context
from infra.bus.files import Files
from infra.clock import SYSTEM, Clock
from infra.log.log import Aggregates, Change, Log
from services.sample import domain
from services.sample.domain import BarcodeClaim, ClaimUndecided, Sample, Submission
from services.sample.store import SampleStore, view

ROWS_AT_ONCE = 450
"""Samples of one atomic batch, which holds 1,000 entries: a sample and its barcode are two."""
LOOKUPS_AT_ONCE = 64

_ROWS = TypeAdapter(list[ManifestRow])


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The logs that the handlers decide on."""

    log: Log
    samples: Aggregates[Sample]
    claims: Aggregates[BarcodeClaim]
    submissions: Aggregates[Submission]
    claim_grace: timedelta
    clock: Clock

    @classmethod
    def of(cls, log: Log, *, claim_grace_seconds: float, clock: Clock = SYSTEM) -> Self:
        """Take the service's log."""
        return cls(
            log=log,
            samples=log.of(domain.SAMPLE),
            claims=log.of(domain.BARCODE),
            submissions=log.of(domain.SUBMISSION),
            claim_grace=timedelta(seconds=claim_grace_seconds),
            clock=clock,
        )

    def claim(
        self,
        barcode: Barcode,
        sample_id: SampleId,
        now: datetime,
        *,
        abandoned: AbstractSet[Barcode] = frozenset(),
    ) -> Change[BarcodeClaim]:
        """Say what to decide on a barcode that a sample wants to bear.

        `abandoned`: whose present holder is known not to exist.
        """
        return self.claims.change(
            barcode,
            lambda current: domain.claim(
                current,
                barcode,
                sample_id,
                holder_exists=barcode not in abandoned,
                now=now,
                grace=self.claim_grace,
            ),
            new=barcode not in abandoned,
        )

    async def abandoned(self, refused: Refused) -> Barcode:
        """Give the barcode that was refused because of a registration that was given up half-way.

        Raises:
            Refused: the refusal itself, where it is another one, or a sample bears the barcode.
        """
        taken = refused.refusal
        if not isinstance(taken, BarcodeTaken):
            raise refused
        if (await self.samples.get(taken.sample_id)).state is not None:
            raise refused
        return taken.barcode

    async def require(self, key: SampleId) -> Loaded[Sample]:
        """Load a sample that must exist.

        Raises:
            Refused: it does not.
        """
        loaded = await self.samples.get(key)
        if loaded.state is None:
            raise Refused(SampleNotFound(key=str(key)))
        return loaded


async def on_register(command: RegisterSample, context: Context, *, samples: Samples) -> SampleView:
    """Accept one sample: its barcode first, so that no two samples ever bear the same one."""
    sample_id = SampleId(context.derive("sample"))
    details = command.details
    claim = await _claim(samples, details.barcode, sample_id, context)

    def register(current: Sample | None) -> Decision:
        # Asked right before the append: on an old claim another may have begun to take over.
        if not domain.fresh(claim, samples.clock.now(), samples.claim_grace):
            raise ClaimUndecided(f"the claim on barcode {details.barcode} grew old: renew it")
        return domain.register(current, sample_id, details)

    return view(await samples.samples.execute(sample_id, register, context, new=True))


async def _claim(
    samples: Samples, barcode: Barcode, sample_id: SampleId, context: Context
) -> BarcodeClaim:
    """Claim a barcode, also from a registration that was given up half-way."""
    # Decided anew at each delivery, and so named: the claim may have been lost since the last one.
    part = context.part(f"claim-{context.delivered}")
    try:
        change = samples.claim(barcode, sample_id, context.now)
        loaded = await samples.log.transact([change], part)
    except Refused as refused:
        given_up = {await samples.abandoned(refused)}
        change = samples.claim(barcode, sample_id, context.now, abandoned=given_up)
        loaded = await samples.log.transact([change], part)
    claim = cast("BarcodeClaim", loaded[0].state)
    if claim.holder != sample_id:
        raise ClaimUndecided(f"barcode {barcode} was claimed by another meanwhile: look again")
    return claim


async def on_change_status(
    command: ChangeSampleStatus, context: Context, *, samples: Samples
) -> SampleView:
    """Move a sample along its life."""
    loaded = await samples.samples.execute(
        command.sample_id, lambda current: domain.change_status(current, command), context
    )
    return view(loaded)


async def on_register_many(
    command: RegisterSamples, context: Context, *, samples: Samples, files: Files
) -> SamplesRegistered:
    """Register a submission, part by part; a refused part takes the earlier ones back."""
    rows = await _rows(files, command.rows)
    try:
        for part in _parts(rows):
            named = context.part(f"row-{part[0].row}")
            await _register_part(samples, command.submission_id, part, named)
    except Refused:
        await _take_back(samples, command.submission_id, rows, context.part("undo"))
        raise
    return SamplesRegistered(submission_id=command.submission_id, registered=len(rows))


async def _register_part(
    samples: Samples, submission_id: SubmissionId, part: Sequence[ManifestRow], context: Context
) -> None:
    abandoned: set[Barcode] = set()
    while True:
        try:
            changes = _registrations(samples, submission_id, part, context, abandoned=abandoned)
            await samples.log.transact(changes, context)
        except Refused as refused:
            barcode = await samples.abandoned(refused)
            if barcode in abandoned:
                raise
            abandoned.add(barcode)
        else:
            return


def _registrations(
    samples: Samples,
    submission_id: SubmissionId,
    part: Sequence[ManifestRow],
    context: Context,
    *,
    abandoned: AbstractSet[Barcode],
) -> list[Change[Any]]:
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
    rows = await _rows(files, command.rows)
    withdrawn = await _take_back(samples, command.submission_id, rows, context)
    return SamplesWithdrawn(submission_id=command.submission_id, withdrawn=withdrawn)


async def _take_back(
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
    for part in _parts(rows):
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
    rows = await _rows(files, command.rows)
    for part in _parts(rows):
        await samples.log.transact(
            [samples.samples.change(row.sample_id, _mark(row.sample_id)) for row in part], context
        )
    return SamplesStored(submission_id=command.submission_id, stored=len(rows))


def _mark(sample_id: SampleId) -> Decide[Sample]:
    return lambda current: domain.mark_stored(current, sample_id)


async def _rows(files: Files, ref: FileRef) -> list[ManifestRow]:
    return _ROWS.validate_json(await files.get(ref))


def _parts(rows: Sequence[ManifestRow]) -> Iterator[Sequence[ManifestRow]]:
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


async def on_get(query: GetSample, context: Context, *, samples: Samples) -> SampleView:
    """Show a sample as it is, or as it was."""
    del context
    if query.at is None:
        return view(await samples.require(query.sample_id))
    loaded = await samples.samples.at(query.sample_id, query.at)
    if loaded.state is None:
        raise Refused(SampleNotFound(key=f"{query.sample_id} (at {query.at.isoformat()})"))
    return view(loaded)


async def on_get_by_barcode(
    query: GetSampleByBarcode, context: Context, *, samples: Samples
) -> SampleView:
    """Show who bears a barcode."""
    del context
    claim = (await samples.claims.get(query.barcode)).state
    if claim is None or claim.holder is None:
        raise Refused(SampleNotFound(key=f"with barcode {query.barcode}"))
    return view(await samples.require(claim.holder))


async def on_history(
    query: GetSampleHistory, context: Context, *, samples: Samples
) -> SampleHistory:
    """Show everything that happened to a sample."""
    del context
    entries = await samples.samples.history(query.sample_id)
    if not entries:
        raise Refused(SampleNotFound(key=str(query.sample_id)))
    changes: list[StatusChange] = []
    state: Sample | None = None
    for entry in entries:
        for event in entry.events:
            state = domain.evolve_sample(state, event, entry)
            if state is not None:
                reason: str | None = getattr(event, "reason", None)
                changes.append(
                    StatusChange(
                        seq=entry.seq,
                        at=entry.at,
                        actor=entry.actor,
                        event=event.contract.type,
                        status=state.status,
                        reason=reason,
                    )
                )
    return SampleHistory(sample_id=query.sample_id, entries=changes)


async def on_list(query: ListSamples, context: Context, *, store: SampleStore) -> Page[SampleView]:
    """List samples from the read model."""
    del context
    return await store.page(query)


async def on_check_barcodes(
    query: CheckBarcodes, context: Context, *, samples: Samples
) -> TakenBarcodes:
    """Say which barcodes are taken, and by what."""
    del context
    limit = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def look(barcode: Barcode) -> TakenBarcode | None:
        async with limit:
            claim = (await samples.claims.get(barcode)).state
            if claim is None or claim.holder is None:
                return None
            sample = (await samples.samples.get(claim.holder)).state
        if sample is None:
            return None
        return TakenBarcode(
            barcode=barcode,
            sample_id=sample.sample_id,
            name=sample.details.name,
            status=sample.status,
        )

    found = await asyncio.gather(*(look(barcode) for barcode in query.barcodes))
    return TakenBarcodes(taken=[taken for taken in found if taken is not None])
