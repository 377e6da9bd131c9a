"""What the service sees to by itself: the values to begin with, and hearing of every release."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from contracts.config_refusals import StaleVersion
from contracts.config_release import Cause, Edits
from contracts.config_types import Environment, Item
from contracts.entry import Entry
from contracts.errors import Refused
from infra.bus.context import Context
from infra.clock import Clock
from services.config.domain.defaults import DEFAULTS
from services.config.domain.release import RELEASE, By, Edition, released_in
from services.config.handlers.desk import Desk
from services.config.handlers.rollouts import Watch
from services.config.handlers.waiting import Waiting

ACTOR = "config"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Follows the log of releases, and sets what was never set."""

    desk: Desk
    watch: Watch
    waiting: Waiting
    clock: Clock
    sets_defaults: bool = True

    async def run(self) -> None:
        """Set defaults, then hear of every release, for ever."""
        if self.sets_defaults:
            await self.set_defaults()
        head = await self.desk.log.head()
        for name in await self.desk.logs():
            loaded = await self.desk.log.load(RELEASE, name)
            if loaded.seq:
                entry = await self.desk.log.entry(loaded.seq)
                self._heard([entry] if entry else [])
        async with aclosing(self.desk.log.follow(head)) as batches:
            async for batch in batches:
                self._heard(batch)

    async def set_defaults(self) -> None:
        """Give every service that was never configured the values it is known to need."""
        there = set(await self.desk.services())
        for service in sorted(DEFAULTS.keys() - there):
            now = self.clock.now()
            edits = Edits(
                service=service,
                environment=Environment.DEFAULT,
                set={
                    key: Item(value=value, created_at=now, set_at=now, set_by=ACTOR)
                    for key, (value, _) in DEFAULTS[service].items()
                },
                # Another instance may be about to do the same; a deleted default stays deleted.
                expected_version=0,
                cause=Cause.DEFAULTS,
                reason="what a laboratory begins with",
            )
            context = Context(
                message_id=f"config.defaults.{service}",
                actor=ACTOR,
                correlation=service,
                now=now,
            )
            await self._begin(edits, context)

    async def _begin(self, edits: Edits, context: Context) -> None:
        by = By(author=ACTOR, at=context.now)
        try:
            await self.desk.log.transact(self.desk.changes(Edition(edits, by)), context)
        except Refused as refused:
            if not isinstance(refused.refusal, StaleVersion):
                raise

    def _heard(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            released = released_in(entry)
            if released is not None:
                self.watch.saw(released)
                release = released.release
                self.waiting.wake(f"{release.service}={release.environment}")
