"""Staged rollouts: begun and moved by hand, watched by a loop, taken back at the first refusal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import structlog

from contracts.aggregate import Loaded
from contracts.config import BeginRollout, MoveRollout
from contracts.config_queries import CheckIn, ListRollouts
from contracts.config_refusals import VersionRequired
from contracts.config_release import Cause, Edits, Released
from contracts.config_types import Environment, Overlay
from contracts.config_views import CheckedIn, ClientView, ConfigEdited, RolloutView
from contracts.entry import Entry
from contracts.errors import Refused
from contracts.message import Event
from infra.bus.context import Context
from infra.clock import Clock
from infra.log.log import Aggregates, Change
from services.config.domain import rollout
from services.config.domain.release import RELEASE, By, Current, Edition, released_in, version
from services.config.domain.schema import SCHEMA, Known
from services.config.handlers.answers import affected
from services.config.handlers.desk import Desk, key
from services.config.handlers.edits import Maker, named
from services.config.handlers.secrets import Given, Safe

_log = structlog.get_logger(__name__)

ACTOR = "config"
"""Who moves a rollout that nobody moved by hand."""

SEARCHED_MAX = 1_000
"""Newest releases that are searched for rollouts."""

Place = tuple[str, Environment]


async def on_begin(
    command: BeginRollout, context: Context, *, desk: Desk, safe: Safe
) -> ConfigEdited:
    """Change keys for a share of the instances first."""
    place = (command.service, command.environment)
    loaded = await desk.layers(command.service)
    if context.again and (done := await desk.done(loaded, context)) is not None:
        return done
    layers = {environment: one.state for environment, one in loaded.items()}
    given = {
        named(command.service, name): Given(value=value) for name, value in command.values.items()
    }
    current, maker = layers[command.environment], Maker(desk, safe, context)
    edits = Edits(
        service=command.service,
        environment=command.environment,
        set=maker.items(*place, current, given),
        expected_version=command.expected_version,
        percents=command.percents,
        bake_seconds=command.bake_seconds,
        cause=Cause.ROLLOUT_BEGUN,
        reason=command.reason,
    )
    schemas = await desk.schemas(edits)
    # What comes at the end is checked at the beginning: by every program, as if it were in force.
    planned = desk.plan(Edition(edits, By(author=context.actor, at=context.now)), layers, schemas)
    shown = ConfigEdited(
        service_name=command.service,
        environment=command.environment,
        version=version(current),
        affected=affected(edits, layers, planned),
        warnings=schemas.cautions(edits),
        dry_run=command.dry_run,
    )
    if command.dry_run:
        return shown
    if command.environment in desk.protected:
        if command.expected_version is None:
            raise Refused(
                VersionRequired(
                    service=command.service,
                    environment=command.environment,
                    version=version(current),
                )
            )
        return await desk.ask(edits, shown, context)
    begun = await begin(desk, edits, By(author=context.actor, at=context.now), context)
    return shown.model_copy(update={"version": version(begun.state), "seq": begun.seq})


async def begin(
    desk: Desk, edits: Edits, by: By, context: Context, *, also: Sequence[Change[Any]] = ()
) -> Loaded[Current]:
    """Put a change into force for its first share, in one batch with other decisions.

    Raises:
        Refused: nobody runs there, or a rollout is under way.
    """
    place = (edits.service, edits.environment)
    plan = rollout.Plan(
        rollout_id=context.derive("rollout"),
        edits=edits,
        percents=edits.percents,
        bake_seconds=edits.bake_seconds,
        instances=frozenset(one.instance for one in await desk.presence.of(*place)),
    )
    beginning = _releases(desk).change(key(*place), lambda state: rollout.begin(state, plan, by))
    done = await desk.log.transact([*also, beginning], context)
    return done[-1]


async def on_move(command: MoveRollout, context: Context, *, desk: Desk) -> ConfigEdited:
    """Take a rollout to its next stage now, or take the change back from all."""
    place = (command.service, command.environment)
    current = (await _releases(desk).get(key(*place))).state
    if refusal := rollout.must_run(current, *place):
        raise Refused(refusal)
    mover = Mover(desk)
    if command.move == "advance":
        moved = await mover.advance(place, None, context)
    else:
        why = command.reason or f"taken back by {context.actor}"
        moved = await mover.abort(place, None, why, context)
    return ConfigEdited(
        service_name=command.service,
        environment=command.environment,
        version=version(moved),
        affected=[],
        warnings=[],
    )


@dataclass(frozen=True, slots=True)
class Mover:
    """Moves rollouts."""

    desk: Desk

    async def advance(
        self, place: Place, rollout_id: UUID | None, context: Context
    ) -> Current | None:
        """Take a rollout to its next stage, or end it well."""
        service, environment = place
        by = By(author=context.actor, at=context.now)
        running = [one.instance for one in await self.desk.presence.of(*place)]
        base: dict[str, object] = {}

        def inherit(current: Current | None) -> Sequence[Event]:
            base["own"] = current.release.own if current else {}
            return ()

        releases = _releases(self.desk)
        done = await self.desk.log.transact(
            [
                releases.change(key(service, Environment.DEFAULT), inherit),
                releases.change(
                    key(service, environment),
                    lambda current: rollout.advance(
                        current,
                        rollout_id,
                        running,
                        by,
                        base=dict(base["own"]),  # type: ignore[call-overload]
                    ),
                ),
            ],
            context,
        )
        moved: Current | None = done[-1].state
        return moved

    async def abort(
        self, place: Place, rollout_id: UUID | None, why: str, context: Context
    ) -> Current | None:
        """Take a change back from all."""
        by = By(author=context.actor, at=context.now)
        done = await _releases(self.desk).execute(
            key(*place), lambda current: rollout.abort(current, rollout_id, by, why[:500]), context
        )
        return done.state


async def on_check_in(query: CheckIn, context: Context, *, desk: Desk) -> CheckedIn:
    """Note what an instance runs; where it refused what a rollout brought, take that back."""
    await desk.presence.note(query)
    place = (query.service, query.environment)
    current = (await desk.log.load(RELEASE, key(*place))).state
    overlay = current.release.overlay if current else None
    refused = query.refused_version
    if current and overlay and refused and await _brought(desk, current, overlay, refused):
        why = f"{query.instance} refused version {query.refused_version}: {query.error}"
        _log.warning("config.rolled_back", service=query.service, why=why)
        own = Context(
            message_id=f"config.abort.{overlay.rollout_id}",
            actor=ACTOR,
            correlation=context.correlation,
            now=context.now,
        )
        current = await Mover(desk).abort(place, overlay.rollout_id, why, own)
    known: Known | None = (await desk.log.load(SCHEMA, query.service, fresh=False)).state
    told = known is not None and any(s.schema_hash == query.schema_hash for s in known.schemas)
    return CheckedIn(version=version(current), known_schema=told)


async def _brought(desk: Desk, current: Current, overlay: Overlay, refused: int) -> bool:
    """Say whether it is this rollout that was refused: an older refusal is told again and again."""
    if refused > current.release.version:
        return False
    entry = await desk.entry(current, refused)
    released = released_in(entry) if entry else None
    other = released.release.overlay if released else None
    return other is not None and other.rollout_id == overlay.rollout_id


@dataclass(slots=True)
class Watch:
    """The rollouts under way, looked at again and again."""

    desk: Desk
    clock: Clock
    pause_seconds: float
    open: dict[Place, Overlay] = field(default_factory=dict[Place, Overlay])
    _confirmed: dict[tuple[UUID, int], datetime] = field(
        default_factory=dict[tuple[UUID, int], datetime]
    )

    def saw(self, released: Released) -> None:
        """Hear of a release."""
        release = released.release
        place = (release.service, release.environment)
        if release.overlay is None:
            self.open.pop(place, None)
        else:
            self.open[place] = release.overlay

    async def run(self) -> None:
        """Look at each, for ever."""
        while True:
            await self.clock.sleep(self.pause_seconds)
            for place in list(self.open):
                await self.look(place)

    async def look(self, place: Place) -> None:
        """Take a rollout on whose members all run its stage, for as long as was asked for."""
        current = (await self.desk.log.load(RELEASE, key(*place))).state
        overlay = current.release.overlay if current else None
        if current is None or overlay is None:
            self.open.pop(place, None)
            return
        now, stage = self.clock.now(), (overlay.rollout_id, overlay.stage)
        clients = await self.desk.presence.of(*place)
        if not self._all_run(current, overlay, clients):
            self._confirmed.pop(stage, None)
            return
        if not rollout.baked(overlay, self._confirmed.setdefault(stage, now), now):
            return
        self._confirmed.pop(stage, None)
        context = Context(
            message_id=f"config.advance.{overlay.rollout_id}.{overlay.stage}",
            actor=overlay.author,
            correlation=str(overlay.rollout_id),
            now=now,
        )
        await Mover(self.desk).advance(place, overlay.rollout_id, context)

    @staticmethod
    def _all_run(current: Current, overlay: Overlay, clients: Sequence[ClientView]) -> bool:
        runs = {one.instance for one in clients if one.version >= current.release.version}
        here = {one.instance for one in clients}
        # Whoever is gone cannot confirm; but a stage that nobody runs has shown nothing.
        waited_for = set(overlay.members) & here
        return bool(waited_for) and waited_for <= runs


async def on_list(query: ListRollouts, context: Context, *, desk: Desk) -> list[RolloutView]:
    """List the rollouts of a service in an environment, newest first."""
    del context
    current = (await desk.log.load(RELEASE, key(query.service, query.environment))).state
    newest = version(current)
    searched = range(max(1, newest - SEARCHED_MAX + 1), newest + 1)
    entries = await desk.entries(current, searched) if current else []
    clients = await desk.presence.of(query.service, query.environment)
    found: dict[UUID, RolloutView] = {}
    for entry in entries:
        released = released_in(entry)
        if released is not None:
            _fold(found, entry, released, clients)
    return list(reversed(found.values()))


_ENDS: dict[Cause, Literal["finished", "rolled_back"]] = {
    Cause.ROLLOUT_FINISHED: "finished",
    Cause.ROLLOUT_ROLLED_BACK: "rolled_back",
}


def _fold(
    found: dict[UUID, RolloutView],
    entry: Entry,
    released: Released,
    clients: Sequence[ClientView],
) -> None:
    release = released.release
    overlay = release.overlay
    if overlay is not None:
        confirmed = [
            one.instance
            for one in clients
            if one.version >= release.version and one.instance in overlay.members
        ]
        found[overlay.rollout_id] = RolloutView(
            rollout_id=overlay.rollout_id,
            service_name=release.service,
            environment=release.environment,
            keys=sorted(overlay.items),
            percents=list(overlay.percents),
            stage=overlay.stage,
            members=list(overlay.members),
            confirmed=confirmed,
            bake_seconds=overlay.bake_seconds,
            status="baking",
            author=overlay.author,
            began_at=overlay.began_at,
            stage_at=overlay.stage_at,
        )
    elif released.cause in _ENDS and found:
        last = next(reversed(found))
        found[last] = found[last].model_copy(
            update={
                "status": _ENDS[released.cause],
                "why": released.reason,
                "stage_at": entry.at,
            }
        )


def _releases(desk: Desk) -> Aggregates[Current]:
    return desk.log.of(RELEASE)
