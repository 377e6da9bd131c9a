"""Configuration over the bus: read from the log, pushed from there, told back what is run.

It starts within a bound of its own: from the bus, else from its file, else with the defaults that
are compiled in. It needs the configuration service for nothing but being seen by it. A push holds
the whole release, so one that is missed is made good by the next, or by the next look.
"""

import asyncio
import hashlib
from contextlib import suppress

import structlog

from contracts import subjects
from contracts.config import RegisterSchema
from contracts.config_queries import CheckIn
from contracts.errors import Refused as AskRefused
from contracts.errors import Retryable
from infra.bus.bus import Bus, Pending
from infra.bus.pushes import Pushes
from infra.clock import SYSTEM, Clock
from infra.config.configuration import Configuration, Identity, LiveT
from infra.config.release import UnreadableReleaseError, release_in

START_SECONDS = 2.0
"""How long a start waits for the bus."""
LOOK_SECONDS = 15.0
"""Between two looks at the log, with a check-in each; up to a tenth less, by instance."""
RECONNECT_LOOK_SECONDS = 0.25
"""Between two looks whether the connection came back."""
TELL_SECONDS = 0.02
"""Within which instances check in after a release of a rollout, or one that they refused, each at
its own moment: somebody waits for it."""
TELL_LATER_SECONDS = 2.0
"""Within which they do so after any other: many releases are then told of at once."""
ASK_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ConfigClient(Configuration[LiveT]):
    """The configuration of one program that is on the bus."""

    def __init__(
        self,
        model: type[LiveT],
        identity: Identity,
        bus: Bus,
        *,
        program_version: str,
        clock: Clock = SYSTEM,
    ) -> None:
        """Begin with the defaults; `start` reads, `run` keeps up."""
        super().__init__(model, identity, clock=clock)
        self._bus = bus
        self._program_version = program_version
        place = str(identity.service), str(identity.environment)
        self._subject = subjects.config_log(*place)
        self._stream = subjects.log_stream("config")
        self._pushes = Pushes(bus.connection, subjects.config_pushed(*place), self._on_push)
        self._wake = asyncio.Event()
        self._newest = 0
        """The newest version that was seen on the bus, taken or refused."""
        self._pushed = 0
        self._connected_at = bus.connection.connected_at
        self._alone = False
        # Instances spread their check-ins, each always at the same share.
        digest = hashlib.sha256(identity.instance.encode()).digest()
        self._share = digest[0] / 256

    async def start(self) -> None:
        """Put into force what can be had within the bound: the newest release, the file, nothing.

        Never fails: what is not to be had is logged.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._listen()
                found = await self._read()
        except (Retryable, TimeoutError, OSError) as error:
            log.warning(
                "config.bus_away",
                service=self.identity.program,
                error=repr(error),
                consequence="starts from what is on this machine, and asks again",
            )
            self.take_file()
            return
        if not found:
            log.info("config.defaults", service=self.identity.program, why="no release was made")
        elif self.snapshot.version == 0:
            # The newest one was refused: the last good one is better than none.
            refused = self.snapshot.refused
            self.take_file()
            if refused is not None and self.snapshot.version:
                self._refuse(refused.version, "bus", refused.error)

    async def run(self) -> None:
        """Look, tell and keep, whenever there is a reason to; for ever."""
        due = 0.0
        while True:
            now = self._clock.monotonic()
            looks = now >= due
            if looks:
                due = now + LOOK_SECONDS * (1 - self._share / 10)
            if looks or self._wake.is_set():
                self._wake.clear()
                await self._round(reads=looks)
            with suppress(TimeoutError):
                async with asyncio.timeout(RECONNECT_LOOK_SECONDS):
                    await self._wake.wait()
            if self._wake.is_set():
                within = TELL_SECONDS if self._is_waited_for() else TELL_LATER_SECONDS
                await self._clock.sleep(within * self._share)
            came_back = self._bus.connection.connected_at
            if came_back != self._connected_at or (
                not self._pushes.listening and self._bus.connection.connected
            ):
                self._connected_at = came_back
                due = 0.0

    def _is_waited_for(self) -> bool:
        release = self.snapshot.release
        in_rollout = release is not None and release.document["overlay"] is not None
        return in_rollout or self.snapshot.refused is not None

    async def _round(self, *, reads: bool) -> None:
        await self.keep()
        if not self._bus.connection.connected:
            return
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._listen()
                if reads:
                    await self._read()
            await self._check_in()
        except (Retryable, TimeoutError, OSError) as error:
            log.info("config.again", service=self.identity.program, error=repr(error))
        await self.keep()

    # Reading

    async def _listen(self) -> None:
        if not self._bus.connection.connected:
            raise OSError("NATS cannot be reached")
        await self._pushes.start()

    async def _read(self) -> bool:
        """Read the newest release of the log; False where there is none."""
        pushed = self._pushed
        newest = await self._bus.connection.last(self._stream, self._subject)
        if newest is None:
            self.confirm()
            return False
        # What was pushed meanwhile is newer than what was asked for before.
        if pushed == self._pushed:
            self._hear(newest.body)
        return True

    def _on_push(self, body: bytes) -> None:
        self._pushed += 1
        self._hear(body)

    def _hear(self, body: bytes) -> None:
        """Take a release that is newer than what was seen; another is no news."""
        try:
            release = release_in(body)
            version = int(release["version"])
        except (UnreadableReleaseError, KeyError, TypeError, ValueError) as error:
            self._refuse(None, "bus", str(error))
            self._wake.set()
            return
        if version <= self._newest:
            self.confirm()
            return
        if self._newest and version > self._newest + 1:
            log.info(
                "config.gap",
                service=self.identity.program,
                seen=self._newest,
                came=version,
                consequence="none: a release is whole",
            )
        self._newest = version
        self.take(release, "bus")
        self._wake.set()

    # Telling

    async def _check_in(self) -> None:
        """Tell what is run; read again where something newer should be."""
        said, refused = self.identity, self.snapshot.refused
        told = CheckIn(
            service=said.service,
            environment=said.environment,
            instance=said.instance,
            version=self.snapshot.version,
            refused_version=None if refused is None else refused.version,
            error=None if refused is None else refused.error,
            schema_hash=self.schema_hash,
        )
        try:
            answer = await self._bus.ask(told, actor=said.program, timeout_seconds=ASK_SECONDS)
            if not answer.known_schema:
                await self._register_schema()
        except (AskRefused, Pending) as error:
            if not self._alone:
                log.info("config.service_away", service=said.program, error=str(error))
            self._alone = True
            return
        self._alone = False
        if answer.version > self._newest:
            async with asyncio.timeout(ASK_SECONDS):
                await self._read()

    async def _register_schema(self) -> None:
        await self._bus.ask(
            RegisterSchema(
                service=self.identity.service,
                schema_hash=self.schema_hash,
                document=self.schema,
                program_version=self._program_version,
            ),
            actor=self.identity.program,
            timeout_seconds=ASK_SECONDS,
        )
