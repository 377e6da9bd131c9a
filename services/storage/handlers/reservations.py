"""Reserve, confirm and release positions for a submission, and let what is overdue expire.

Each is planned from what is known and made as one move, and planned again where others were first.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from itertools import islice

from pydantic import TypeAdapter

from contracts.errors import Conflict, Refusal, Refused
from contracts.storage import (
    ConfirmPositions,
    ReleasePositions,
    ReservationView,
    ReservePositions,
)
from contracts.template import ManifestRow
from contracts.types import ContainerId, SubmissionId
from infra.bus.context import Context
from infra.bus.files import Files
from infra.clock import Clock
from services.storage.domain.allocation import PlanOutdated, plan
from services.storage.domain.moves import Move, confirm, expire, hold, release
from services.storage.domain.reservation import answer_again, reservation_view
from services.storage.handlers.logs import Logs
from services.storage.store.inventory import InventoryKeeper

PLANS_MAX = 20
"""Plans in a row that may be overtaken before a command is handed back for later."""
SWEEP_MAX = 500
"""Reservations that expire in one sweep; the next takes the rest."""

_ROWS = TypeAdapter(list[ManifestRow])


async def on_reserve(
    command: ReservePositions,
    context: Context,
    *,
    logs: Logs,
    inventory: InventoryKeeper,
    files: Files,
) -> ReservationView | Refusal:
    """Hold a position for every row; a submission that has reserved before is answered again."""
    rows = _ROWS.validate_json(await files.get(command.rows))
    expires_at = context.now + timedelta(seconds=command.hold_seconds)
    for attempt in range(PLANS_MAX):
        known = (await logs.reservations.get(command.submission_id)).state
        if known is not None:
            return answer_again(known)
        async with inventory.turn:
            # The boxes decide, so a slightly old inventory will do to plan, but not to refuse.
            present = await inventory.current() if attempt else inventory.latest
            shares = plan(present, command.submission_id, rows)
            if isinstance(shares, Refusal):
                if attempt and not isinstance(shares, PlanOutdated):
                    return shares
                continue
            made = await try_move(hold(command.submission_id, shares, expires_at), context, logs)
        if made is not None:
            return made
    raise Conflict(f"submission {command.submission_id}: {PLANS_MAX} plans were overtaken")


async def on_confirm(command: ConfirmPositions, context: Context, *, logs: Logs) -> ReservationView:
    """Let the samples of a submission rest in the positions held for them."""
    make = partial(confirm, command.submission_id, now=context.now)
    return await _end(command.submission_id, make, context, logs)


async def on_release(command: ReleasePositions, context: Context, *, logs: Logs) -> ReservationView:
    """Give back whatever a submission holds, and let it hold nothing afterwards."""
    make = partial(release, command.submission_id)
    return await _end(command.submission_id, make, context, logs)


async def _end(
    submission_id: SubmissionId,
    make: Callable[[Sequence[ContainerId]], Move],
    context: Context,
    logs: Logs,
) -> ReservationView:
    for _ in range(PLANS_MAX):
        known = (await logs.reservations.get(submission_id)).state
        made = await try_move(make(known.boxes if known else ()), context, logs)
        if made is not None:
            return made
    raise Conflict(f"submission {submission_id}: {PLANS_MAX} moves were overtaken")


async def try_move(move: Move, context: Context, logs: Logs) -> ReservationView | None:
    """Make a move; None where others were first."""
    try:
        return reservation_view(await logs.make(move, context))
    except Refused as refused:
        if isinstance(refused.refusal, PlanOutdated):
            return None
        raise


async def sweep(
    *, logs: Logs, inventory: InventoryKeeper, clock: Clock, sweep_seconds: float
) -> None:
    """Again and again, let reservations expire that are held beyond their time."""
    while True:
        await clock.sleep(sweep_seconds)
        await sweep_once(logs=logs, inventory=inventory, clock=clock)


async def sweep_once(*, logs: Logs, inventory: InventoryKeeper, clock: Clock) -> int:
    """Let overdue reservations expire, and count them; one that was confirmed meanwhile stays."""
    now = clock.now()
    expired = 0
    for submission_id in islice((await inventory.current()).overdue(now), SWEEP_MAX):
        context = Context(
            message_id=f"storage.expire.{submission_id}",
            actor="storage",
            correlation=str(submission_id),
            now=now,
        )
        known = (await logs.reservations.get(submission_id)).state
        move = expire(submission_id, known.boxes if known else (), now)
        expired += await try_move(move, context, logs) is not None
    return expired
