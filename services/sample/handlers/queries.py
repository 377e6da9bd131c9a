"""Answer questions about samples: by id from the log, lists from the read model."""

import asyncio

from contracts.errors import Refused
from contracts.sample import (
    CheckBarcodes,
    CustodyChain,
    GetCustody,
    GetSample,
    GetSampleByBarcode,
    GetSampleHistory,
    ListSamples,
    SampleHistory,
    SampleNotFound,
    SampleView,
    StatusChange,
    TakenBarcode,
    TakenBarcodes,
)
from contracts.types import Barcode, Page
from infra.bus.context import Context
from services.sample import domain
from services.sample.domain import Sample
from services.sample.domain.custody import chain
from services.sample.handlers.logs import LOOKUPS_AT_ONCE, Samples
from services.sample.store import SampleStore, view


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


async def on_custody(query: GetCustody, context: Context, *, samples: Samples) -> CustodyChain:
    """Show through whose hands a sample went."""
    del context
    sample = (await samples.require(query.sample_id)).state
    entries = await samples.samples.history(query.sample_id)
    return CustodyChain(
        sample_id=query.sample_id,
        barcode=sample.details.barcode if sample else "",
        entries=chain(entries),
    )


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
            sample = await samples.bearer(barcode)
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
