"""The aggregate: the releases of one service in one environment, and how an edit makes the next.

An edit of `default` makes the next release of every environment in the same batch, so that none is
ever resolved from an older `default` than the newest: what an environment's newest release inherits
is the newest `default`. The version of a release is the number of its entry in the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.aggregate import Aggregate, Decide
from contracts.config_refusals import ReleaseTooLarge, RolloutUnderWay, StaleVersion
from contracts.config_release import Cause, ConfigChanged, Edits, Released
from contracts.config_types import (
    KEYS_MAX,
    RELEASE_BYTES_MAX,
    Change,
    Environment,
    Item,
    Overlay,
    Release,
    TemplatePin,
)
from contracts.entry import Entry
from contracts.errors import Conflict, Refusal
from contracts.message import Event
from services.config.domain.layers import differences, hash_of, resolve, same

INDEXED_MAX = 20_000
"""Newest versions whose place in the log is remembered; older ones are looked for."""

ORDER = tuple(Environment)
"""In which the environments of a service are decided on: what is inherited comes first."""


@dataclass(frozen=True, slots=True)
class Current:
    """The newest release of one service in one environment, and where all of them lie."""

    release: Release
    at: datetime
    author: str
    actor: str
    cause: Cause
    reason: str | None
    seqs: tuple[int, ...] = ()
    """Where the newest releases lie in the log; the last one has this version."""

    def seq_of(self, version: int) -> int | None:
        """Say where a version lies; None where it is too old to be remembered."""
        back = self.release.version - version
        return self.seqs[-1 - back] if 0 <= back < len(self.seqs) else None


def evolve(current: Current | None, event: Event, entry: Entry) -> Current | None:
    """Fold one event into the releases of a configuration."""
    if not isinstance(event, Released):
        return current
    seqs = current.seqs if current is not None else ()
    return Current(
        release=event.release,
        at=entry.at,
        author=event.author,
        actor=entry.actor,
        cause=event.cause,
        reason=event.reason,
        seqs=(*seqs[-(INDEXED_MAX - 1) :], entry.seq),
    )


RELEASE: Aggregate[Current] = Aggregate("config", "release", Current, evolve)

Layers = Mapping[Environment, Current | None]
"""The newest release of a service in each environment, `default` among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who wants something, when, and with whose consent."""

    author: str
    at: datetime
    change_request: UUID | None = None


_NOTHING: Mapping[str, Item] = {}


@dataclass(frozen=True, slots=True)
class _Made:
    """What was decided on one environment, and on what."""

    current: Current | None
    base: Mapping[str, Item]
    decision: Released | Refusal | None


class BaseMovedError(Conflict):
    """`default` is not what it was planned on: whoever planned does so again."""


class Edition:
    """One edit of one service, decided environment by environment in `ORDER`.

    What it decides on `default` is what it decides the others on: it is asked in that order, from
    the beginning each time. Asked again about the same, it says the same without deciding again.

    An edit of another environment is decided on `default` as it was planned on. That is the newest
    one where the environment inherits it; if not, `BaseMovedError` says so.
    """

    def __init__(self, edits: Edits, by: By) -> None:
        """Decide nothing yet."""
        self._edits = edits
        self._by = by
        self.service = edits.service
        self.environment = edits.environment
        self._base: Mapping[str, Item] = _NOTHING
        self._base_version = 0
        self._base_changed = False
        self._made: dict[Environment, _Made] = {}

    @property
    def reaches(self) -> Sequence[Environment]:
        """What is decided on: of `default` all, of another environment it alone."""
        return ORDER if self.environment is Environment.DEFAULT else (self.environment,)

    def decide(self, environment: Environment) -> Decide[Current]:
        """Give the decision on one environment."""
        return lambda current: self._decide(environment, current)

    def plan(self, layers: Layers) -> dict[Environment, Released] | Refusal:
        """Decide on all environments as they are, without making any of it so."""
        planned: dict[Environment, Released] = {}
        for environment in ORDER:
            decision = self._decide(environment, layers.get(environment))
            if isinstance(decision, Refusal):
                return decision
            for event in decision:
                if isinstance(event, Released):
                    planned[environment] = event
        return planned

    def _decide(
        self, environment: Environment, current: Current | None
    ) -> Sequence[Event] | Refusal:
        if environment is Environment.DEFAULT:
            self._inherit(current.release if current else None, changed=False)
        made = self._made.get(environment)
        if made is None or made.current is not current or made.base is not self._base:
            made = _Made(current, self._base, self._decision(environment, current))
            self._made[environment] = made
        decision = made.decision
        if isinstance(decision, Released):
            if environment is Environment.DEFAULT:
                self._inherit(decision.release, changed=True)
            return events(decision)
        return () if decision is None else decision

    def _decision(
        self, environment: Environment, current: Current | None
    ) -> Released | Refusal | None:
        if environment is self._edits.environment:
            return self._edit(environment, current)
        if environment is not Environment.DEFAULT and self._base_changed:
            return self._follow(environment, current)
        return None

    def _inherit(self, release: Release | None, *, changed: bool) -> None:
        self._base = release.own if release else _NOTHING
        self._base_version = release.version if release else 0
        self._base_changed = changed

    def _edit(self, environment: Environment, current: Current | None) -> Released | Refusal | None:
        edits, before = self._edits, current.release if current else None
        version = before.version if before else 0
        if environment is not Environment.DEFAULT:
            inherits = before.inherits if before else 0
            if inherits != self._base_version:
                raise BaseMovedError(f"{edits.service}: {environment} inherits another default")
        if edits.expected_version is not None and edits.expected_version != version:
            return StaleVersion(
                service=edits.service,
                environment=environment,
                version=version,
                expected=edits.expected_version,
            )
        if before is not None and before.overlay is not None:
            return under_way(before, before.overlay)
        own, templates = edited(before, edits)
        unchanged = before is not None and templates == before.templates
        if unchanged and before is not None and _mean_the_same(own, before.own):
            return None
        if before is None and not own and not templates:
            return None
        return self._next(environment, current, (own, templates), edits.cause)

    def _follow(self, environment: Environment, current: Current | None) -> Released | Refusal:
        before = current.release if current else None
        own = before.own if before else {}
        templates = before.templates if before else ()
        return self._next(environment, current, (own, templates), Cause.INHERITED)

    def _next(
        self,
        environment: Environment,
        current: Current | None,
        layer: tuple[Mapping[str, Item], tuple[TemplatePin, ...]],
        cause: Cause,
    ) -> Released | Refusal:
        own, templates = layer
        base = _NOTHING if environment is Environment.DEFAULT else self._base
        by = self._by
        items = resolve(base, templates, own, at=by.at, by=by.author)
        following = Following(
            service=self._edits.service, environment=environment, before=current, by=by
        )
        return following.release(
            own=dict(sorted(own.items())),
            templates=templates,
            items=items,
            inherits=0 if environment is Environment.DEFAULT else self._base_version,
            overlay=current.release.overlay if current else None,
            cause=cause,
            reason=self._edits.reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The release that follows another one, or is the first."""

    service: str
    environment: Environment
    before: Current | None
    by: By

    def release(
        self,
        *,
        own: dict[str, Item],
        templates: tuple[TemplatePin, ...],
        items: dict[str, Item],
        inherits: int,
        overlay: Overlay | None,
        cause: Cause,
        reason: str | None,
    ) -> Released | ReleaseTooLarge:
        """Make it."""
        before = self.before.release if self.before else None
        release = Release(
            service=self.service,
            environment=self.environment,
            version=before.version + 1 if before else 1,
            own=own,
            templates=templates,
            items=items,
            inherits=inherits,
            overlay=overlay,
            sha256=hash_of(items, overlay),
            parent=before.sha256 if before else "",
        )
        size_bytes = len(release.model_dump_json().encode())
        if len(items) > KEYS_MAX or size_bytes > RELEASE_BYTES_MAX:
            return ReleaseTooLarge(
                service=self.service,
                keys=len(items),
                keys_max=KEYS_MAX,
                size_bytes=size_bytes,
                size_bytes_max=RELEASE_BYTES_MAX,
            )
        return Released(
            release=release,
            cause=cause,
            changes=self._changes(before, release),
            reason=reason,
            author=self.by.author,
            change_request=self.by.change_request,
        )

    def _changes(self, before: Release | None, after: Release) -> tuple[Change, ...]:
        return differences(seen_by_members(before) if before else {}, seen_by_members(after))


def seen_by_members(release: Release) -> dict[str, Item]:
    """Give what is in force for the instances that a rollout reached; without one, for all."""
    overlay = release.overlay
    return release.items if overlay is None else {**release.items, **overlay.items}


def events(released: Released) -> list[Event]:
    """Give what is kept of a release, and what everyone may know of it."""
    release = released.release
    return [
        released,
        ConfigChanged(
            service=release.service,
            environment=release.environment,
            version=release.version,
            keys=tuple(change.key for change in released.changes),
            cause=released.cause,
            reason=released.reason,
        ),
    ]


def edited(before: Release | None, edits: Edits) -> tuple[dict[str, Item], tuple[TemplatePin, ...]]:
    """Apply edits to what a layer sets itself; a key keeps the day on which it was created."""
    had = before.own if before else {}
    own = {} if edits.replace else dict(had)
    for key, item in edits.set.items():
        known = had.get(key)
        if known is not None and same(known, item):
            own[key] = known
        elif known is not None:
            own[key] = item.model_copy(update={"created_at": known.created_at})
        else:
            own[key] = item
    for key in edits.delete:
        own.pop(key, None)
    templates = before.templates if before else ()
    return own, templates if edits.templates is None else edits.templates


def released_in(entry: Entry) -> Released | None:
    """Give the release that an entry of the log holds."""
    return next((event for event in entry.events if isinstance(event, Released)), None)


def version(current: Current | None) -> int:
    """Give the version of what is in force; 0 where nothing is."""
    return current.release.version if current else 0


def under_way(release: Release, overlay: Overlay) -> RolloutUnderWay:
    """Refuse an edit beside a rollout: it would not be known what was tried."""
    return RolloutUnderWay(
        service=release.service,
        environment=release.environment,
        percent=overlay.percents[overlay.stage],
    )


def _mean_the_same(one: Mapping[str, Item], other: Mapping[str, Item]) -> bool:
    return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
