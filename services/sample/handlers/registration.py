"""Accept one sample, and move it along its life. No rule of the laboratory stands here."""

from typing import cast

from contracts.aggregate import Decision
from contracts.errors import Refused
from contracts.sample import ChangeSampleStatus, RegisterSample, SampleView
from contracts.types import Barcode, SampleId
from infra.bus.context import Context
from services.sample import domain
from services.sample.domain import BarcodeClaim, ClaimUndecided, Sample
from services.sample.handlers.logs import Samples
from services.sample.store import view


async def on_register(command: RegisterSample, context: Context, *, samples: Samples) -> SampleView:
    """Accept one sample: its barcode first, so that no two samples ever bear the same one."""
    sample_id = SampleId(context.derive("sample"))
    details = command.details
    claim = await _claim(samples, details.barcode, sample_id, context)

    def register(current: Sample | None) -> Decision:
        # Asked right before the append: on an old claim another may have begun to take over.
        still_ours = domain.fresh(claim, samples.clock.now(), samples.claim_grace)
        if current is None and not still_ours:
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
