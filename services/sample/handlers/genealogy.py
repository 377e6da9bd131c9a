"""Make samples of samples, and find what was made of them. Decides nothing itself."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import partial
from typing import Any, Literal

from contracts.errors import Refusal, Refused
from contracts.sample import (
    DESCENDANTS_MAX,
    SAMPLES_MAX,
    Derived,
    DeriveSamples,
    DescendantsFound,
    FindDescendants,
    PoolSamples,
    SampleDetails,
    TooManyDescendants,
)
from contracts.types import Barcode, SampleId
from infra.bus.context import Context
from infra.bus.files import Files
from infra.log.log import Change
from services.sample.domain import Sample, genealogy
from services.sample.domain.fitness import any_sample, refuse
from services.sample.handlers.logs import Samples
from services.sample.handlers.many import keep_ids
from services.sample.store import view

Made = Sequence[tuple[SampleId, SampleDetails]]


async def on_derive(
    command: DeriveSamples, context: Context, *, samples: Samples
) -> Derived | Refusal:
    """Make aliquots of one sample, with the claims of their barcodes in the same batch."""
    barcodes = [one.barcode for one in command.aliquots]
    if repeated := genealogy.refuse_repeated("aliquots.barcode", barcodes):
        return repeated
    parents = await _parents(samples, [command.sample_id])
    made = [
        (SampleId(context.derive("aliquot", n)), genealogy.details_of(one, parents[0].details))
        for n, one in enumerate(command.aliquots)
    ]
    volume = sum((one.volume_ul or Decimal(0) for one in command.aliquots), Decimal(0))
    return await _make(samples, parents, made, context, volume_ul=volume, how="aliquot")


async def on_pool(command: PoolSamples, context: Context, *, samples: Samples) -> Derived | Refusal:
    """Put material of several samples into one tube."""
    if repeated := genealogy.refuse_repeated("parent_ids", command.parent_ids):
        return repeated
    parents = await _parents(samples, command.parent_ids)
    details = genealogy.pool_details(command.pool, [one.details for one in parents])
    if isinstance(details, Refusal):
        return details
    made = [(SampleId(context.derive("pool")), details)]
    return await _make(samples, parents, made, context, volume_ul=Decimal(0), how="pool")


async def _parents(samples: Samples, sample_ids: Sequence[SampleId]) -> list[Sample]:
    found = await samples.all_of(sample_ids)
    if refusal := refuse(found, "used", any_sample):
        raise Refused(refusal)
    return [one for one in found.values() if one is not None]


async def _make(
    samples: Samples,
    parents: Sequence[Sample],
    made: Made,
    context: Context,
    *,
    volume_ul: Decimal,
    how: Literal["aliquot", "pool"],
) -> Derived:
    parent_ids = [one.sample_id for one in parents]
    child_ids = [key for key, _ in made]

    def changes(abandoned: AbstractSet[Barcode]) -> Sequence[Change[Any]]:
        take = partial(genealogy.take, child_ids=child_ids, volume_ul=volume_ul)
        taken: list[Change[Any]] = [
            samples.samples.change(key, partial(take, sample_id=key)) for key in parent_ids
        ]
        for key, details in made:
            derive = partial(
                genealogy.derive, sample_id=key, details=details, parent_ids=parent_ids, how=how
            )
            taken.append(samples.claim(details.barcode, key, context.now, abandoned=abandoned))
            taken.append(samples.samples.change(key, derive, new=True))
        return taken

    await samples.transact_claiming(changes, context)
    return Derived(
        parent_ids=parent_ids, samples=[view(await samples.require(key)) for key in child_ids]
    )


async def on_find_descendants(
    command: FindDescendants, context: Context, *, samples: Samples, files: Files
) -> DescendantsFound:
    """Walk down generation by generation."""
    del context
    asked = list(dict.fromkeys(command.sample_ids))
    found = await samples.all_of(asked)
    if refusal := refuse(found, "looked up", any_sample):
        raise Refused(refusal)
    seen = dict.fromkeys(asked)
    while found:
        children = [c for one in found.values() if one is not None for c in one.child_ids]
        new = [child for child in dict.fromkeys(children) if child not in seen]
        seen.update(dict.fromkeys(new))
        if len(seen) - len(asked) > DESCENDANTS_MAX:
            raise Refused(TooManyDescendants(descendants_max=DESCENDANTS_MAX))
        found = await samples.all_of(new)
    family = list(seen)
    return DescendantsFound(
        sample_ids=family[:SAMPLES_MAX],
        sample_list=await keep_ids(files, family),
        asked=len(asked),
        descendants=len(family) - len(asked),
    )
