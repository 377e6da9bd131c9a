"""Carry samples from place to place, take them out, and say which lie in a place.

Each is planned from what is known and made as one, and planned again where others were first.
"""

from collections.abc import Sequence
from datetime import timedelta

from pydantic import TypeAdapter

from contracts.errors import Conflict, Refusal, Refused
from contracts.storage import (
    LISTED_MAX,
    AffectedSamples,
    CheckTransfer,
    FindAffected,
    Handover,
    MoveSamples,
    PlaceUnsaid,
    RemoveSamples,
    ReservationView,
    ReserveTransfer,
    SamplesCarried,
    TransferChecked,
)
from contracts.template import ManifestRow
from contracts.types import ContainerId, LocationId, SampleId
from infra.bus.context import Context
from infra.bus.files import Files
from services.storage.domain.allocation import PlanOutdated
from services.storage.domain.handover import Carry, HandoverState, move, remove
from services.storage.domain.inventory import Inventory
from services.storage.domain.moves import hold_transfer
from services.storage.domain.reservation import ReservationState, answer_again
from services.storage.domain.transfer import (
    plan_transfer,
    refuse_temperature,
    to_move,
    to_remove,
)
from services.storage.handlers.logs import Logs
from services.storage.handlers.reservations import PLANS_MAX, try_move
from services.storage.store.inventory import InventoryKeeper

_ROWS = TypeAdapter(list[ManifestRow])
_HANDOVERS = TypeAdapter(list[Handover])
_SAMPLE_IDS = TypeAdapter(list[SampleId])


async def on_check_transfer(
    command: CheckTransfer, _: Context, *, logs: Logs, inventory: InventoryKeeper, files: Files
) -> TransferChecked | Refusal:
    """See that samples could be carried to a place; hold nothing."""
    rows = _ROWS.validate_json(await files.get(command.rows))
    target, _seq = await logs.require_container(command.target_id)
    if off := refuse_temperature(target.path, target.zone, command.temperature_celsius):
        return off
    shares = plan_transfer(
        await inventory.current(),
        target,
        command.submission_id,
        rows,
        allow_colder=command.allow_colder,
    )
    if isinstance(shares, Refusal):
        return shares
    return TransferChecked(
        target_id=command.target_id,
        path=target.path,
        zone=target.zone,
        samples=len(rows),
        boxes=len(shares),
    )


async def on_reserve_transfer(
    command: ReserveTransfer,
    context: Context,
    *,
    logs: Logs,
    inventory: InventoryKeeper,
    files: Files,
) -> ReservationView | Refusal:
    """Hold a position at the target for every sample; one that did so before is answered again."""
    rows = _ROWS.validate_json(await files.get(command.rows))
    expires_at = context.now + timedelta(seconds=command.hold_seconds)
    target, _ = await logs.require_container(command.target_id)
    for _ in range(PLANS_MAX):
        known = (await logs.reservations.get(command.submission_id)).state
        if known is not None:
            return answer_again(known)
        async with inventory.turn:
            shares = plan_transfer(
                await inventory.current(),
                target,
                command.submission_id,
                rows,
                allow_colder=command.allow_colder,
            )
            if isinstance(shares, PlanOutdated):
                continue
            if isinstance(shares, Refusal):
                return shares
            held = hold_transfer(command.submission_id, target.container_id, shares, expires_at)
            made = await try_move(held, context, logs)
        if made is not None:
            return made
    raise Conflict(f"transfer {command.submission_id}: {PLANS_MAX} plans were overtaken")


async def on_move(
    command: MoveSamples,
    context: Context,
    *,
    logs: Logs,
    inventory: InventoryKeeper,
    files: Files,
) -> SamplesCarried | Refusal:
    """Take samples out of their positions and into those held for them."""
    for _ in range(PLANS_MAX):
        known = (await logs.handovers.get(command.submission_id)).state
        if known is not None:
            return await _carried(known, files)
        reserved = (await logs.reservations.get(command.submission_id)).state
        planned = _plan_move(await inventory.current(), command, reserved, context)
        if isinstance(planned, Refusal):
            return planned
        made = await _try_carry(planned, context, logs)
        if made is not None:
            return await _carried(made, files)
    raise Conflict(f"transfer {command.submission_id}: {PLANS_MAX} moves were overtaken")


def _plan_move(
    present: Inventory, command: MoveSamples, reserved: ReservationState | None, context: Context
) -> Carry | Refusal:
    if reserved is None or reserved.state != "held" or not reserved.transfer:
        # There is nothing to carry: the reservation says why.
        return move(command, [], reserved.boxes if reserved else (), context.now)
    for key in reserved.boxes:
        box = present.box(key)
        if off := refuse_temperature(box.path, box.zone, command.temperature_celsius):
            return off
    handovers = to_move(present, command.submission_id)
    if isinstance(handovers, Refusal):
        return handovers
    return move(command, handovers, reserved.boxes, context.now)


async def on_remove(
    command: RemoveSamples,
    context: Context,
    *,
    logs: Logs,
    inventory: InventoryKeeper,
    files: Files,
) -> SamplesCarried | Refusal:
    """Take samples out for good."""
    sample_ids = list(dict.fromkeys(command.sample_ids))
    for _ in range(PLANS_MAX):
        known = (await logs.handovers.get(command.submission_id)).state
        if known is not None:
            return await _carried(known, files)
        handovers = to_remove(await inventory.current(), sample_ids)
        if isinstance(handovers, Refusal):
            return handovers
        made = await _try_carry(remove(command, handovers), context, logs)
        if made is not None:
            return await _carried(made, files)
    raise Conflict(f"removal {command.submission_id}: {PLANS_MAX} plans were overtaken")


async def _try_carry(carry: Carry, context: Context, logs: Logs) -> HandoverState | None:
    """Carry; None where others were first."""
    try:
        return await logs.carry(carry, context)
    except Refused as refused:
        if isinstance(refused.refusal, PlanOutdated):
            return None
        raise


async def _carried(state: HandoverState, files: Files) -> SamplesCarried:
    kept = await files.put(_HANDOVERS.dump_json(list(state.handovers)), name="handovers.json")
    return SamplesCarried(
        submission_id=state.submission_id,
        carried=len(state.handovers),
        handovers=kept,
        carried_at=state.carried_at,
        carried_by=state.carried_by,
    )


async def on_find_affected(
    command: FindAffected, _: Context, *, logs: Logs, inventory: InventoryKeeper, files: Files
) -> AffectedSamples | Refusal:
    """List the samples that lie in a place."""
    place: ContainerId | LocationId
    if command.container_id is not None and command.location_id is None:
        place = command.container_id
        path = (await logs.require_container(place))[0].path
    elif command.location_id is not None and command.container_id is None:
        place = command.location_id
        path = (await logs.require_location(place))[0].name
    else:
        return PlaceUnsaid()
    found = list((await inventory.current()).resting_in(place, command.zone))
    sample_ids: Sequence[SampleId] = [one for _, resting in found for one in resting]
    return AffectedSamples(
        path=path,
        samples=len(sample_ids),
        boxes=len(found),
        sample_ids=list(sample_ids[:LISTED_MAX]),
        sample_list=await files.put(_SAMPLE_IDS.dump_json(list(sample_ids)), name="samples.json"),
    )
