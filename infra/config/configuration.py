"""What is in force for a program: one immutable typed snapshot, swapped whole, read as a field.

A release is validated before it is taken; one that does not fit is refused, said, and what was good
stays. Where releases come from is decided in `infra.config.client` and `infra.http.config_client`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import structlog
from pydantic import ValidationError

from contracts.config_types import RUN_IN, Environment
from infra.clock import SYSTEM, Clock
from infra.config.ciphers import CipherError
from infra.config.keyring import KeyFileError, ServiceKeys
from infra.config.live import LiveSettings, schema_hash, schema_of
from infra.config.release import InForce, UnreadableReleaseError, resolve
from infra.config.snapshot_file import SnapshotFileError, read_snapshot, write_snapshot
from infra.telemetry import metrics

LiveT = TypeVar("LiveT", bound=LiveSettings)
Source = Literal["bus", "http", "file", "defaults"]

SOURCES: tuple[Source, ...] = ("bus", "http", "file", "defaults")
ERROR_CHARS_MAX = 1_000
"""As much as a check-in takes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose configuration it is, and where its files are."""

    program: str
    """What the program calls itself in metrics and logs, such as `sample`."""
    service: str
    """What configuration calls it, such as `sample-service`."""
    environment: Environment
    instance: str
    """What tells this process from others that run the same; a staged rollout goes by it."""
    snapshots: Path | None = None
    """The folder of the file that it starts from in need; None keeps none."""
    keys: Path | None = None
    """The folder of `SERVICE.json`, the keys of its secrets."""

    def __post_init__(self) -> None:
        """Refuse where nothing runs."""
        if self.environment not in RUN_IN:
            raise ValueError("a program runs in development, staging or production, not in default")

    @property
    def file(self) -> Path | None:
        """Where the last good release is kept."""
        name = f"{self.service}.{self.environment}.json"
        return None if self.snapshots is None else self.snapshots / name


@dataclass(frozen=True, slots=True)
class Refused:
    """A release that this program did not take."""

    version: int | None
    """None where it could not even be read."""
    error: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where what is in force comes from."""

    version: int = 0
    """0 for the program's own defaults."""
    source: Source = "defaults"
    sha256: str = ""
    refused: Refused | None = None
    """A newer release, which did not fit."""
    release: InForce | None = field(default=None, repr=False, compare=False)


class Configuration(Generic[LiveT]):
    """The settings of one program; on its own it stays with the defaults that are compiled in."""

    def __init__(self, model: type[LiveT], identity: Identity, *, clock: Clock = SYSTEM) -> None:
        """Begin with the defaults; nothing is read."""
        self.current: LiveT = model()
        """What is in force: read it at each use and keep no copy. It never waits."""
        self.snapshot = Snapshot()
        self.identity = identity
        self.schema = schema_of(model)
        self.schema_hash = schema_hash(self.schema)
        self._model = model
        self._clock = clock
        self._kept_version = 0
        self._listeners: list[Callable[[LiveT], None]] = []
        program = identity.program
        self._version = metrics.gauge("tracseq_config_version", service=program)
        self._sources = {
            one: metrics.gauge("tracseq_config_source", service=program, source=one)
            for one in SOURCES
        }
        self._refused = metrics.counter("tracseq_config_refused_total", service=program)
        self._seen = metrics.gauge("tracseq_config_seen_unix_time", service=program)
        self._show()

    def on_change(self, listener: Callable[[LiveT], None]) -> None:
        """Have each change told, after it is in force; what a listener raises is logged only."""
        self._listeners.append(listener)

    def take(self, release: object, source: Source) -> bool:
        """Put a release into force, given as JSON; False where it is refused."""
        said = self.identity
        version = _version_of(release)
        try:
            in_force = resolve(
                release,
                service=said.service,
                environment=said.environment,
                instance=said.instance,
            )
            wanted = self._model.model_validate(self._opened(in_force))
        except ValidationError as error:
            return self._refuse(version, source, _problems(error))
        except (UnreadableReleaseError, CipherError, KeyFileError) as error:
            return self._refuse(version, source, str(error))
        self._swap(wanted, in_force, source)
        return True

    def take_file(self) -> None:
        """Start from the file of the last good release, or stay with the defaults; says which."""
        path = self.identity.file
        told = {"service": self.identity.program, "file": str(path) if path else None}
        try:
            release = None if path is None else read_snapshot(path)
        except SnapshotFileError as error:
            log.warning(
                "config.file_unusable",
                **told,
                error=str(error),
                consequence="the defaults that are compiled in are in force",
                remedy="nothing to do: it is written anew once the configuration can be read",
            )
            return
        if release is None:
            log.warning("config.defaults", **told, why="no release can be reached, and no file is")
        elif self.take(release, "file"):
            log.warning("config.from_file", **told, version=self.snapshot.version)

    async def keep(self) -> None:
        """Write the release in force into the file, where it is not there yet."""
        path, release = self.identity.file, self.snapshot.release
        if path is None or release is None or release.version == self._kept_version:
            return
        self._kept_version = release.version
        if self.snapshot.source == "file":
            return
        try:
            await asyncio.to_thread(write_snapshot, path, release.document)
        except SnapshotFileError as error:
            log.warning(
                "config.not_kept",
                service=self.identity.program,
                error=str(error),
                consequence="a start with all else down would not know this release",
            )

    def confirm(self) -> None:
        """Note that what is in force is what should be, as of now."""
        self._seen.set(self._clock.now().timestamp())

    def _opened(self, in_force: InForce) -> dict[str, Any]:
        """Give the values that the program declares; secrets are opened."""
        known = self._model.model_fields.keys()
        wanted = {key: one for key, one in in_force.settings.items() if key in known}
        secrets = any(one.secret for one in wanted.values())
        keys = self._keys() if secrets else None
        values: dict[str, Any] = {}
        for key, one in wanted.items():
            values[key] = one.value
            if keys is not None and one.secret and one.value is not None:
                values[key] = keys.decrypt(
                    str(one.value),
                    service=self.identity.service,
                    environment=one.source,
                    key=key,
                    version=one.since,
                )
        return values

    def _keys(self) -> ServiceKeys:
        # Read at each release that holds secrets, which is seldom: keys are added by rotation.
        folder, service = self.identity.keys, self.identity.service
        if folder is None:
            raise KeyFileError(
                f"the release holds secrets of {service}, and no keys are here: "
                "set TRACSEQ_CONFIG_KEYS_DIR to the folder that `tracseq config keys derive` writes"
            )
        return ServiceKeys.load(folder / f"{service}.json")

    def _swap(self, wanted: LiveT, in_force: InForce, source: Source) -> None:
        before, self.current = self.current, wanted
        was = self.snapshot.version
        self.snapshot = Snapshot(in_force.version, source, in_force.sha256, release=in_force)
        self.confirm()
        self._show()
        changed = [
            key for key in self._model.model_fields if getattr(before, key) != getattr(wanted, key)
        ]
        program = self.identity.program
        log.info(
            "config.in_force",
            service=program,
            version=in_force.version,
            before=was,
            source=source,
            changed=changed,
        )
        if changed:
            self._tell(wanted)

    def _tell(self, wanted: LiveT) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(wanted)
            except Exception:
                log.exception("config.listener_failed", service=self.identity.program)

    def _refuse(self, version: int | None, source: Source, why: str) -> bool:
        known = self.snapshot
        refused = Refused(version, why[:ERROR_CHARS_MAX])
        self.snapshot = Snapshot(
            known.version, known.source, known.sha256, refused, release=known.release
        )
        if known.refused != refused:
            self._refused.inc()
            log.error(
                "config.refused",
                service=self.identity.program,
                refused_version=version,
                source=source,
                kept_version=known.version,
                kept_source=known.source,
                error=refused.error,
                remedy="set a value that fits, or roll back: tracseq config rollback",
            )
        return False

    def _show(self) -> None:
        self._version.set(self.snapshot.version)
        for source, gauge in self._sources.items():
            gauge.set(source == self.snapshot.source)


def _version_of(release: object) -> int | None:
    version = release.get("version") if isinstance(release, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - any JSON
    return version if isinstance(version, int) and version >= 1 else None


def _problems(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in faults)
