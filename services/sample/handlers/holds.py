"""Hold samples and release them: in parts of one atomic batch each, the hold always among them.

No rule of the laboratory stands here.
"""

from collections.abc import Sequence
from typing import Any

from contracts.aggregate import Decide
from contracts.errors import Refused
from contracts.sample import (
    DESCENDANTS_MAX,
    HoldId,
    HoldReleased,
    HoldSamples,
    LiftHold,
    PlaceHold,
    ReleaseHold,
    SamplesHeld,
    SampleView,
    TooManyDescendants,
)
from contracts.types import SampleId
from infra.bus.context import Context
from infra.bus.files import Files
from infra.log.log import Change
from services.sample.domain import Sample, holds
from services.sample.domain.fitness import any_sample, movable, refuse
from services.sample.handlers.logs import Samples
from services.sample.handlers.many import named, parts
from services.sample.store import view


async def on_hold(
    command: HoldSamples, context: Context, *, samples: Samples, files: Files
) -> SamplesHeld:
    """Hold every sample, and where asked all that was made of them."""
    sample_ids = await named(files, command.sample_ids, command.sample_list)
    if refusal := refuse(await samples.all_of(sample_ids), "held", any_sample):
        raise Refused(refusal)
    held = await _hold(samples, command, sample_ids, context)
    return SamplesHeld(hold_id=command.hold_id, kind=command.kind, held=held)


async def _hold(
    samples: Samples, command: HoldSamples, sample_ids: Sequence[SampleId], context: Context
) -> int:
    """Hold generation by generation, and count: of a sample on hold nothing more can be made."""
    seen = dict.fromkeys(sample_ids)
    asked, generation, number, held = len(seen), list(seen), 0, 0
    while generation:
        children: dict[SampleId, None] = {}
        for part in parts(generation):
            placed = await _hold_part(samples, command, part, context.part(f"hold-{number}"))
            number += 1
            held += sum(one.hold(command.hold_id) is not None for one in placed)
            if command.with_descendants:
                children.update(dict.fromkeys(child for one in placed for child in one.child_ids))
        generation = [child for child in children if child not in seen]
        seen.update(dict.fromkeys(generation))
        if len(seen) - asked > DESCENDANTS_MAX:
            await _release_all(samples, command.hold_id, "too many descendants", context)
            raise Refused(TooManyDescendants(descendants_max=DESCENDANTS_MAX))
    return held


async def _hold_part(
    samples: Samples, command: HoldSamples, part: Sequence[SampleId], context: Context
) -> list[Sample]:
    changes: list[Change[Any]] = [
        samples.holds.change(command.hold_id, lambda hold: holds.place(hold, command, part))
    ]
    changes += [samples.samples.change(key, _held(key, command)) for key in part]
    loaded = await samples.log.transact(changes, context)
    return [one.state for one in loaded if isinstance(one.state, Sample)]


def _held(key: SampleId, command: HoldSamples) -> Decide[Sample]:
    return lambda current: holds.hold_sample(current, key, command)


async def on_release(command: ReleaseHold, context: Context, *, samples: Samples) -> HoldReleased:
    """Release a hold for good, or some of its samples only."""
    if command.only:
        released = await _release_some(samples, command, context)
    else:
        released = await _release_all(samples, command.hold_id, command.reason, context)
    return HoldReleased(hold_id=command.hold_id, released=released)


async def _release_all(samples: Samples, hold_id: HoldId, reason: str, context: Context) -> int:
    """End the hold first, so that it is placed on nothing more, then take it from its samples."""
    ending = context.part("end")
    ended = await samples.holds.execute(
        hold_id, lambda hold: holds.end(hold, hold_id, "released"), ending
    )
    hold = ended.state
    if hold is None or hold.ended != "released":
        return 0
    for part in parts(hold.sample_ids):
        changes = [samples.samples.change(key, _released(hold_id, reason)) for key in part]
        await samples.log.transact(changes, context.part("release"))
    return len(hold.sample_ids)


async def _release_some(samples: Samples, command: ReleaseHold, context: Context) -> int:
    only = list(dict.fromkeys(command.only))
    if (await samples.holds.get(command.hold_id)).state is None:
        return 0
    for number, part in enumerate(parts(only)):
        await _release_part(samples, command, part, context.part(number))
    return len(only)


async def _release_part(
    samples: Samples, command: ReleaseHold, part: Sequence[SampleId], context: Context
) -> None:
    changes: list[Change[Any]] = [
        samples.holds.change(
            command.hold_id, lambda hold: holds.narrow(hold, command.hold_id, part)
        )
    ]
    released = _released(command.hold_id, command.reason)
    changes += [samples.samples.change(key, released) for key in part]
    await samples.log.transact(changes, context)


def _released(hold_id: HoldId, reason: str) -> Decide[Sample]:
    return lambda current: holds.release_from(current, hold_id, reason)


async def on_place(command: PlaceHold, context: Context, *, samples: Samples) -> SampleView:
    """Hold one sample; the hold is named after the command."""
    found = await samples.all_of([command.sample_id])
    if refusal := refuse(found, "held", movable):
        raise Refused(refusal)
    hold = HoldSamples(
        hold_id=HoldId(context.derive("hold")), kind=command.kind, reason=command.reason
    )
    await _hold(samples, hold, [command.sample_id], context)
    return view(await samples.require(command.sample_id))


async def on_lift(command: LiftHold, context: Context, *, samples: Samples) -> SampleView:
    """Release one sample from a hold."""
    await samples.require(command.sample_id)
    release = ReleaseHold(hold_id=command.hold_id, reason=command.reason, only=[command.sample_id])
    await _release_some(samples, release, context)
    return view(await samples.require(command.sample_id))
