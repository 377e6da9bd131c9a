"""Check samples before they are carried or destroyed, give them up, record that they are gone.

Each looks at all its samples before the first is touched. No rule of the laboratory stands here.
"""

from collections.abc import Sequence

from contracts.aggregate import Decide
from contracts.errors import Refused
from contracts.sample import (
    CheckDisposable,
    CheckMovable,
    DiscardSamples,
    HoldId,
    HoldOver,
    MarkSamplesDisposed,
    SamplesDiscarded,
    SamplesDisposed,
    SamplesSelected,
)
from contracts.types import SampleId
from infra.bus.context import Context
from infra.bus.files import Files
from services.sample import domain
from services.sample.domain import Sample, fitness, holds
from services.sample.domain.fitness import Judge
from services.sample.handlers.logs import Samples
from services.sample.handlers.many import keep_rows, named, parts


async def on_check_movable(
    command: CheckMovable, context: Context, *, samples: Samples, files: Files
) -> SamplesSelected:
    """See that there are tubes to carry."""
    del context
    found = await _fit(samples, command.sample_ids, "carried", fitness.movable)
    return await _selected(files, found)


async def on_check_disposable(
    command: CheckDisposable, context: Context, *, samples: Samples, files: Files
) -> SamplesSelected:
    """See that nothing keeps samples from being destroyed."""
    del context
    judge = fitness.disposable(command.despite)
    found = await _fit(samples, command.sample_ids, "disposed of", judge)
    return await _selected(files, found)


async def _fit(
    samples: Samples, sample_ids: Sequence[SampleId], asked: str, judge: Judge
) -> list[Sample]:
    """Load samples that must all be fit for what is asked."""
    found = await samples.all_of(sample_ids)
    if refusal := fitness.refuse(found, asked, judge):
        raise Refused(refusal)
    return [one for one in found.values() if one is not None]


async def _selected(files: Files, found: Sequence[Sample]) -> SamplesSelected:
    return SamplesSelected(
        sample_ids=[one.sample_id for one in found],
        rows=await keep_rows(files, found),
        selected=len(found),
    )


async def on_discard(
    command: DiscardSamples, context: Context, *, samples: Samples, files: Files
) -> SamplesDiscarded:
    """Give samples up, and end the hold under which they were looked at."""
    sample_ids = await named(files, command.sample_ids, command.sample_list)
    if command.hold_id is not None:
        sample_ids = list(dict.fromkeys([*sample_ids, *await _held(samples, command.hold_id)]))
    await _fit(samples, sample_ids, "discarded", fitness.discardable)
    if command.hold_id is not None:
        await _end(samples, command.hold_id, context)
    for part in parts(sample_ids):
        changes = [samples.samples.change(key, _discarded(key, command)) for key in part]
        await samples.log.transact(changes, context.part("discard"))
    return SamplesDiscarded(discarded=len(sample_ids))


async def _held(samples: Samples, hold_id: HoldId) -> Sequence[SampleId]:
    hold = (await samples.holds.get(hold_id)).state
    if hold is not None and hold.ended == "released":
        raise Refused(HoldOver(hold_id=hold_id, how=hold.ended))
    return hold.sample_ids if hold is not None else ()


async def _end(samples: Samples, hold_id: HoldId, context: Context) -> None:
    await samples.holds.execute(
        hold_id, lambda hold: holds.end(hold, hold_id, "discarded"), context.part("end")
    )


def _discarded(key: SampleId, command: DiscardSamples) -> Decide[Sample]:
    return lambda current: domain.discard(current, key, command.reason, under=command.hold_id)


async def on_mark_disposed(
    command: MarkSamplesDisposed, context: Context, *, samples: Samples
) -> SamplesDisposed:
    """Record that samples were destroyed."""
    sample_ids = list(dict.fromkeys(command.sample_ids))
    for part in parts(sample_ids):
        changes = [samples.samples.change(key, _disposed(key, command)) for key in part]
        await samples.log.transact(changes, context)
    return SamplesDisposed(disposed=len(sample_ids))


def _disposed(key: SampleId, command: MarkSamplesDisposed) -> Decide[Sample]:
    return lambda current: domain.dispose(current, key, command)
