"""The desk of configurations: loads a service's releases, checks an edit, and makes it so.

What is checked is what would be in force, by the schemas of every program that may read it. An edit
is appended in one batch over all environments that it changes, or not at all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts import subjects
from contracts.aggregate import Loaded
from contracts.config_refusals import (
    ConfigNotFound,
    NoSuchVersion,
    SchemaRefused,
    StaleVersion,
    VersionRequired,
)
from contracts.config_release import Cause, ChangeRequested, Edits, Released
from contracts.config_types import RUN_IN, Environment
from contracts.config_views import ConfigEdited
from contracts.entry import Entry
from contracts.errors import Conflict, Refusal, Refused
from infra.bus.context import Context
from infra.log.log import Aggregates, Change, Log
from services.config.domain.release import (
    ORDER,
    RELEASE,
    BaseMovedError,
    By,
    Current,
    Edition,
    Layers,
    released_in,
    version,
)
from services.config.domain.request import REQUEST, Request
from services.config.domain.template import TEMPLATE
from services.config.handlers.answers import affected, answer, told
from services.config.handlers.presence import Presence
from services.config.handlers.programs import Schemas, gather
from services.config.handlers.secrets import Safe

RACES_MAX = 20
"""Edits in a row that may find a newer version than the one they were made for."""
ERRORS_MAX = 100
READS_AT_ONCE = 64


Make = Callable[[Layers], Awaitable[Edits]]
"""From the layers as they are to what shall be different."""


class _RacedError(Exception):
    """Somebody was first, and nobody expected a version: the edit is made again."""


@dataclass(frozen=True, slots=True)
class _Pinned:
    """An edit, and whether the caller said which version it is for."""

    edits: Edits
    by_caller: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """Where every edit of a configuration is made."""

    log: Log
    presence: Presence
    safe: Safe
    protected: frozenset[Environment] = field(default_factory=frozenset[Environment])

    @property
    def requests(self) -> Aggregates[Request]:
        """The changes that wait for consent."""
        return self.log.of(REQUEST)

    async def layers(self, service: str) -> dict[Environment, Loaded[Current]]:
        """Load the newest release of a service in every environment."""
        found = await asyncio.gather(*(self.log.load(RELEASE, key(service, one)) for one in ORDER))
        return dict(zip(ORDER, found, strict=True))

    def remembered(
        self, service: str, environment: Environment
    ) -> dict[Environment, Loaded[Current]] | None:
        """Give what an edit of an environment is decided on, as this process saw it last.

        None where something of it was not seen.
        """
        wanted = ORDER if environment is Environment.DEFAULT else (environment, Environment.DEFAULT)
        found: dict[Environment, Loaded[Current]] = {}
        for one in wanted:
            known: Loaded[Current] | None = self.log.remembered(RELEASE, key(service, one))
            if known is None and one is Environment.DEFAULT and _inherits_nothing(found):
                known = Loaded[Current](key(service, one), None)
            if known is None:
                return None
            found[one] = known
        return found

    async def logs(self, filter_: str = "*") -> list[str]:
        """List the keys of the logs of releases that there are, of those that a filter chooses."""
        info = await self.log.connection.api(
            f"STREAM.INFO.{self.log.stream}",
            {"subjects_filter": subjects.log_of("config", "release", "") + filter_},
        )
        subjects_there: dict[str, int] = info["state"].get("subjects") or {}
        found = [RELEASE.key_of(subject) for subject in subjects_there]
        return sorted(one for one in found if one is not None)

    async def services(self) -> list[str]:
        """List the services that have a configuration."""
        return sorted({one.partition("=")[0] for one in await self.logs()})

    async def entry(self, current: Current, wanted: int) -> Entry | None:
        """Read the entry of one version of a history; None where it is gone."""
        seq = current.seq_of(wanted)
        if seq is not None:
            return await self.log.entry(seq)
        release = current.release
        entries = await self.log.entries(RELEASE, key(release.service, release.environment))
        return entries[wanted - 1] if 0 < wanted <= len(entries) else None

    async def entries(self, current: Current, wanted: Iterable[int]) -> list[Entry]:
        """Read the entries of versions, in the order in which they are named."""
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def read(one: int) -> Entry | None:
            async with limit:
                return await self.entry(current, one)

        found = await asyncio.gather(*(read(one) for one in wanted))
        return [entry for entry in found if entry is not None]

    async def template(self, name: str) -> Loaded[Any]:
        """Load a template."""
        return await self.log.load(TEMPLATE, name)

    async def schemas(self, edits: Edits) -> Schemas:
        """Gather what the releases are checked by that an edit may make."""
        reached = RUN_IN if edits.environment is Environment.DEFAULT else (edits.environment,)
        return await gather(self.log, self.presence, self.safe, (edits.service, reached))

    async def edit(
        self,
        make: Make,
        place: tuple[str, Environment],
        context: Context,
        *,
        dry_run: bool = False,
        consented: bool = False,
    ) -> ConfigEdited:
        """Make an edit of a service's environment so, or have it wait for consent.

        Raises:
            Refused: it does not fit, or somebody was first where a version was expected.
        """
        service, environment = place
        for attempt in range(RACES_MAX):
            # What is remembered is most often the newest; the log has the last word on it.
            first = attempt == 0 and not context.again
            remembered = self.remembered(service, environment) if first else None
            loaded = remembered or await self.layers(service)
            if context.again and (done := await self.done(loaded, context)) is not None:
                return done
            layers = {named: one.state for named, one in loaded.items()}
            try:
                edits = self._pinned(await make(layers), layers, free=dry_run or consented)
                edited, made = await self._try(
                    edits, layers, context, dry_run=dry_run, consented=consented
                )
            except _RacedError:
                continue
            except Refused:
                if remembered:
                    continue
                raise
            if made or not remembered:
                return edited
        raise Conflict(f"{service}: lost the race {RACES_MAX} times in a row")

    def _pinned(self, edits: Edits, layers: Layers, *, free: bool) -> _Pinned:
        """Tie an edit to the version that it was made for.

        Raises:
            Refused: whoever changes a protected environment must say what they saw.
        """
        seen, expected = version(layers[edits.environment]), edits.expected_version
        if edits.environment in self.protected and expected is None and not free:
            raise Refused(
                VersionRequired(service=edits.service, environment=edits.environment, version=seen)
            )
        pinned = edits.model_copy(
            update={"expected_version": seen if expected is None else expected}
        )
        return _Pinned(pinned, by_caller=expected is not None)

    async def _try(
        self,
        pinned: _Pinned,
        layers: Layers,
        context: Context,
        *,
        dry_run: bool,
        consented: bool,
    ) -> tuple[ConfigEdited, bool]:
        """Make an edit so on these layers; says whether anything was made so."""
        try:
            edition = Edition(pinned.edits, By(author=context.actor, at=context.now))
            shown, planned = await self._plan(edition, pinned.edits, layers)
            if dry_run or not planned:
                return shown.model_copy(update={"dry_run": dry_run}), False
            if not consented and self._needs_consent(planned):
                return await self.ask(pinned.edits, shown, context), True
            done = await self.log.transact(self.changes(edition), context)
        except BaseMovedError:
            raise _RacedError from None
        except Refused as refused:
            if isinstance(refused.refusal, StaleVersion) and not pinned.by_caller:
                # What was made for this version is made again for the newer one.
                raise _RacedError from None
            raise
        return told(shown, done), True

    async def done(
        self, loaded: Mapping[Environment, Loaded[Current]], context: Context
    ) -> ConfigEdited | None:
        """Give the answer to a message that was dealt with before; None where it was not.

        What it changed then is in the log; what it would change now is another question.
        """
        asked = (await self.requests.get(context.derive("change_request"))).state
        if asked is not None:
            edits = asked.edits
            standing = loaded.get(edits.environment)
            return answer(edits.service, edits.environment, {}).model_copy(
                update={
                    "version": version(standing.state if standing else None),
                    "change_request": asked.change_request,
                }
            )
        found: dict[Environment, Released] = {}
        seq = 0
        for environment, one in loaded.items():
            entry = await self.log.caused_by(RELEASE, one, context.message_id)
            released = released_in(entry) if entry else None
            if entry is not None and released is not None:
                found[environment], seq = released, max(seq, entry.seq)
        if not found:
            return None
        environment = next(
            (one for one, released in found.items() if released.cause is not Cause.INHERITED),
            next(iter(found)),
        )
        service = found[environment].release.service
        return answer(service, environment, found).model_copy(update={"seq": seq})

    async def _plan(
        self, edition: Edition, edits: Edits, layers: Layers
    ) -> tuple[ConfigEdited, dict[Environment, Released]]:
        schemas = await self.schemas(edits)
        planned = self.plan(edition, layers, schemas)
        shown = ConfigEdited(
            service_name=edits.service,
            environment=edits.environment,
            version=version(layers.get(edits.environment)),
            affected=affected(edits, layers, planned),
            warnings=schemas.cautions(edits),
        )
        return shown, planned

    @staticmethod
    def plan(edition: Edition, layers: Layers, schemas: Schemas) -> dict[Environment, Released]:
        """Say which releases an edit makes.

        Raises:
            Refused: it cannot be made, or a program would refuse what comes of it.
        """
        planned = edition.plan(layers)
        if isinstance(planned, Refusal):
            raise Refused(planned)
        faults = schemas.faults(planned)
        if faults:
            raise Refused(
                SchemaRefused(
                    service=edition.service, count=len(faults), errors=faults[:ERRORS_MAX]
                )
            )
        return planned

    def changes(self, edition: Edition) -> list[Change[Any]]:
        """Say what to decide on, in order: the layer, and of `default` what inherits it."""
        releases = self.log.of(RELEASE)
        return [
            releases.change(key(edition.service, one), edition.decide(one))
            for one in edition.reaches
        ]

    def _needs_consent(self, planned: dict[Environment, Released]) -> bool:
        return any(planned[one].changes for one in self.protected if one in planned)

    async def ask(self, edits: Edits, shown: ConfigEdited, context: Context) -> ConfigEdited:
        """Keep a change until somebody else consents to it."""
        change_request = context.derive("change_request")
        kept = edits if edits.replace else edits.model_copy(update={"expected_version": None})
        asked = ChangeRequested(change_request=change_request, edits=kept, author=context.actor)
        await self.requests.execute(
            change_request, lambda current: [] if current else [asked], context, new=True
        )
        return shown.model_copy(update={"change_request": change_request})


def key(service: str, environment: Environment) -> str:
    """Name the log of a service's releases in an environment."""
    return subjects.config_release(service, environment)


async def entry_of(
    desk: Desk, place: tuple[str, Environment], current: Current | None, wanted: int
) -> Entry:
    """Read the entry of one version of a history.

    Raises:
        Refused: there is no such version.
    """
    (service, environment), newest = place, version(current)
    entry = await desk.entry(current, wanted) if current and wanted <= newest else None
    if entry is not None:
        return entry
    if newest == 0:
        raise Refused(ConfigNotFound(service=service, what=f"configuration in {environment}"))
    raise Refused(
        NoSuchVersion(service=service, environment=environment, version=wanted, newest=newest)
    )


def _inherits_nothing(found: Mapping[Environment, Loaded[Current]]) -> bool:
    """Say whether what was found is a release that stands on nothing: then there is no default."""
    return any(one.state is not None and one.state.release.inherits == 0 for one in found.values())
