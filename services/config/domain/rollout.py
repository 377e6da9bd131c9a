"""A staged rollout: a change in force for some instances, then for more, then for all or none.

It lives in the releases themselves: the overlay names its members, so that an instance that is not
named never applies it, whatever it hears first.
"""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.config_refusals import NobodyRuns, NoRollout, NotInDefault
from contracts.config_release import Cause, Edits, Released
from contracts.config_types import INSTANCES_MAX, Environment, Item, Overlay
from contracts.errors import Refusal
from contracts.message import Event
from services.config.domain.layers import resolve
from services.config.domain.release import By, Current, Following, events, under_way

ALL_PERCENT = 100.0


def chosen(rollout_id: UUID, instances: Collection[str], percent: float) -> tuple[str, ...]:
    """Choose the members of a stage: never more than its share, but one at least.

    Whoever was chosen for a smaller share is chosen for a larger one, as long as it runs.
    """
    ranked = sorted(
        set(instances), key=lambda name: hashlib.sha256(f"{rollout_id}:{name}".encode()).digest()
    )
    count = math.floor(len(ranked) * percent / ALL_PERCENT)
    return tuple(sorted(ranked[: min(INSTANCES_MAX, max(1, count))]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A rollout that is to begin."""

    rollout_id: UUID
    edits: Edits
    percents: tuple[float, ...]
    bake_seconds: float
    instances: frozenset[str]
    """Those that run now."""


def begin(current: Current | None, plan: Plan, by: By) -> Sequence[Event] | Refusal:
    """Put a change into force for the first share of the instances."""
    edits = plan.edits
    if edits.environment is Environment.DEFAULT:
        return NotInDefault(what="A staged rollout")
    if not plan.instances:
        return NobodyRuns(service=edits.service, environment=edits.environment)
    if current is not None and current.release.overlay is not None:
        return under_way(current.release, current.release.overlay)
    overlay = Overlay(
        rollout_id=plan.rollout_id,
        items=edits.set,
        percents=plan.percents,
        bake_seconds=plan.bake_seconds,
        stage=0,
        members=chosen(plan.rollout_id, plan.instances, plan.percents[0]),
        began_at=by.at,
        stage_at=by.at,
        author=by.author,
        reason=edits.reason,
    )
    following = Following(
        service=edits.service, environment=edits.environment, before=current, by=by
    )
    release = current.release if current else None
    return _told(
        following.release(
            own=release.own if release else {},
            templates=release.templates if release else (),
            items=release.items if release else {},
            inherits=release.inherits if release else 0,
            overlay=overlay,
            cause=Cause.ROLLOUT_BEGUN,
            reason=edits.reason,
        )
    )


def advance(
    current: Current | None,
    rollout_id: UUID | None,
    instances: Collection[str],
    by: By,
    *,
    base: dict[str, Item],
) -> Sequence[Event] | Refusal:
    """Take a rollout to its next stage, or after the last one make its change the layer's own.

    Nothing where another rollout than the one meant is under way, or none.
    """
    found = _meant(current, rollout_id)
    if found is None:
        return ()
    before, overlay = found
    if overlay.stage + 1 < len(overlay.percents):
        stage = overlay.stage + 1
        percent = overlay.percents[stage]
        next_overlay = overlay.model_copy(
            update={
                "stage": stage,
                "members": chosen(overlay.rollout_id, {*instances, *overlay.members}, percent),
                "stage_at": by.at,
            }
        )
        return _changed(before, next_overlay, by, overlay.reason)
    own = dict(sorted({**before.release.own, **overlay.items}.items()))
    items = resolve(base, before.release.templates, own, at=by.at, by=by.author)
    return _told(
        _following(before, by).release(
            own=own,
            templates=before.release.templates,
            items=items,
            inherits=before.release.inherits,
            overlay=None,
            cause=Cause.ROLLOUT_FINISHED,
            reason=overlay.reason,
        )
    )


def abort(
    current: Current | None, rollout_id: UUID | None, by: By, reason: str
) -> Sequence[Event] | Refusal:
    """Take a change back from all; nothing where another rollout is under way, or none."""
    found = _meant(current, rollout_id)
    if found is None:
        return ()
    before, _ = found
    return _changed(before, None, by, reason)


def must_run(current: Current | None, service: str, environment: Environment) -> NoRollout | None:
    """Refuse to move a rollout that is not there."""
    if current is None or current.release.overlay is None:
        return NoRollout(service=service, environment=environment)
    return None


def baked(overlay: Overlay, confirmed_at: datetime, now: datetime) -> bool:
    """Say whether a stage was watched long enough since all its members ran it."""
    since = max(overlay.stage_at, confirmed_at)
    return (now - since).total_seconds() >= overlay.bake_seconds


def _meant(current: Current | None, rollout_id: UUID | None) -> tuple[Current, Overlay] | None:
    overlay = current.release.overlay if current else None
    if current is None or overlay is None or rollout_id not in {None, overlay.rollout_id}:
        return None
    return current, overlay


def _following(current: Current, by: By) -> Following:
    release = current.release
    return Following(
        service=release.service, environment=release.environment, before=current, by=by
    )


def _changed(
    current: Current, overlay: Overlay | None, by: By, reason: str | None
) -> Sequence[Event] | Refusal:
    release = current.release
    cause = Cause.ROLLOUT_ROLLED_BACK if overlay is None else Cause.ROLLOUT_ADVANCED
    return _told(
        _following(current, by).release(
            own=release.own,
            templates=release.templates,
            items=release.items,
            inherits=release.inherits,
            overlay=overlay,
            cause=cause,
            reason=reason,
        )
    )


def _told(made: Released | Refusal) -> Sequence[Event] | Refusal:
    return events(made) if isinstance(made, Released) else made
