"""From a command and the layers as they are to what shall be different; nothing is decided here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from contracts.config import (
    BulkConfig,
    CreateConfig,
    DeleteConfig,
    ImportConfig,
    RollbackConfig,
    SetConfig,
    UseTemplates,
)
from contracts.config_refusals import (
    ConfigNotFound,
    DuplicateKey,
    ReservedName,
    TemplateNotFound,
)
from contracts.config_release import Cause, Edits, Released, TemplateSaved
from contracts.config_types import RESERVED, ConfigKey, Environment, Item, TemplatePin
from contracts.errors import FieldError, InvalidInput, Refused
from infra.bus.context import Context
from services.config.domain.release import Current, Layers, released_in, version
from services.config.domain.template import complete
from services.config.handlers.desk import Desk, entry_of
from services.config.handlers.secrets import Given, Safe, Slot

_KEY: TypeAdapter[str] = TypeAdapter(ConfigKey)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes edits for one message."""

    desk: Desk
    safe: Safe
    context: Context

    async def set(self, command: SetConfig, layers: Layers) -> Edits:
        """Set one key."""
        key = named(command.service, command.name)
        given = Given(value=command.value, tags=command.tags, secret=command.encrypted)
        return self._edits(command.service, command.environment, layers, {key: given}).model_copy(
            update={
                "cause": Cause.SET,
                "reason": command.reason,
                "expected_version": command.expected_version,
            }
        )

    async def create(self, command: CreateConfig, layers: Layers) -> Edits:
        """Set one key that the layer does not set yet."""
        key = named(command.service_name, command.key)
        current = layers[command.environment]
        if current is not None and key in current.release.own:
            raise Refused(
                DuplicateKey(
                    service=command.service_name,
                    key=key,
                    environment=command.environment,
                    version=current.release.version,
                )
            )
        given = Given(value=command.value, tags=command.tags, secret=command.encrypted)
        edits = self._edits(command.service_name, command.environment, layers, {key: given})
        return edits.model_copy(
            update={"reason": command.reason, "expected_version": version(current)}
        )

    async def delete(self, command: DeleteConfig, layers: Layers) -> Edits:
        """Delete one key of a layer."""
        key = named(command.service, command.name)
        current = layers[command.environment]
        if current is None or key not in current.release.own:
            what = f"key {key} in the layer {command.environment}"
            raise Refused(ConfigNotFound(service=command.service, what=what))
        return Edits(
            service=command.service,
            environment=command.environment,
            delete=(key,),
            expected_version=command.expected_version,
            cause=Cause.DELETE,
            reason=command.reason,
        )

    async def bulk(self, command: BulkConfig, layers: Layers) -> Edits:
        """Set many keys."""
        for key in command.values:
            named(command.service, key)
        given = {key: Given(value=value) for key, value in command.values.items()}
        edits = self._edits(command.service, command.environment, layers, given)
        return edits.model_copy(
            update={
                "replace": command.mode == "replace",
                "cause": Cause.BULK,
                "reason": command.reason,
                "expected_version": command.expected_version,
            }
        )

    async def imported(self, command: ImportConfig, layers: Layers) -> Edits:
        """Make a layer what a document says."""
        document = command.document
        place = (document.service, document.environment)
        if place != (command.service, command.environment):
            told = f"{document.service}/{document.environment}"
            raise Refused(
                _invalid(
                    "document",
                    told,
                    f"is for {told}, not for {command.service}/{command.environment}",
                    "Import it where it is for, or change `service` and `environment` in it.",
                )
            )
        current, at, by = layers[command.environment], self.context.now, self.context.actor
        items = {
            named(command.service, key): Item(
                value=item.value,
                secret=item.secret,
                tags=item.tags,
                since=item.since,
                source=command.environment,
                created_at=at,
                set_at=at,
                set_by=by,
            )
            for key, item in document.items.items()
        }
        for key, item in items.items():
            if item.secret:
                self.safe.check(command.service, command.environment, key, item)
        pins = current.release.templates if current else ()
        if [pin.name for pin in pins] != document.templates:
            pins = await self.pins(command.service, document.templates, items)
        return Edits(
            service=command.service,
            environment=command.environment,
            set=items,
            templates=pins,
            replace=True,
            expected_version=command.expected_version,
            cause=Cause.IMPORT,
            reason=command.reason,
        )

    async def rollback(self, command: RollbackConfig, layers: Layers) -> Edits:
        """Make a layer what it was."""
        current = layers[command.environment]
        place = (command.service, command.environment)
        old = await release_of(self.desk, place, current, command.to_version)
        return Edits(
            service=command.service,
            environment=command.environment,
            set=old.release.own,
            templates=old.release.templates,
            replace=True,
            expected_version=command.expected_version,
            cause=Cause.ROLLBACK,
            reason=command.reason or f"back to version {command.to_version}",
        )

    async def templates(self, command: UseTemplates, layers: Layers) -> Edits:
        """Say which templates lie beneath a layer."""
        current = layers[command.environment]
        own = current.release.own if current else {}
        return Edits(
            service=command.service,
            environment=command.environment,
            templates=await self.pins(command.service, command.templates, own),
            expected_version=command.expected_version,
            cause=Cause.TEMPLATES,
            reason=command.reason,
        )

    async def pins(
        self, service: str, names: Iterable[str], own: Iterable[str]
    ) -> tuple[TemplatePin, ...]:
        """Take the newest version of each template.

        Raises:
            Refused: there is none of that name, or it leaves keys to the layer that are not set.
        """
        found: list[TemplateSaved] = []
        for name in names:
            template = (await self.desk.template(name)).state
            if template is None:
                raise Refused(TemplateNotFound(name=name))
            found.append(template)
        if lacking := complete(service, found, own):
            raise Refused(lacking)
        return tuple(
            TemplatePin(name=one.name, version=one.version, values=one.values) for one in found
        )

    def items(
        self,
        service: str,
        environment: Environment,
        current: Current | None,
        given: Mapping[str, Given],
    ) -> dict[str, Item]:
        """Make what a layer keeps of values."""
        own = current.release.own if current else {}
        slots = {
            key: Slot(
                service=service,
                environment=environment,
                key=key,
                version=version(current) + 1,
                known=own.get(key),
            )
            for key in given
        }
        at, by = self.context.now, self.context.actor
        return {
            key: self.safe.item(value, slots[key], at=at, by=by) for key, value in given.items()
        }

    def _edits(
        self, service: str, environment: Environment, layers: Layers, given: Mapping[str, Given]
    ) -> Edits:
        items = self.items(service, environment, layers[environment], given)
        return Edits(service=service, environment=environment, set=items, cause=Cause.SET)


def named(service: str, name: str) -> str:
    """Take a name as a key.

    Raises:
        Refused: it is reserved, or no key.
    """
    if name.lower() in RESERVED:
        raise Refused(ReservedName(service=service, name=name))
    try:
        return _KEY.validate_python(name)
    except ValidationError:
        remedy = "Use at most 128 of A-Z a-z 0-9 _ and single dots between them."
        raise Refused(_invalid("name", name[:120], "can be no key", remedy)) from None


async def release_of(
    desk: Desk, place: tuple[str, Environment], current: Current | None, wanted: int
) -> Released:
    """Read one release of a history.

    Raises:
        Refused: there is no such version.
    """
    released = released_in(await entry_of(desk, place, current, wanted))
    if released is None:
        raise LookupError(f"version {wanted} of {place} holds no release")
    return released


def _invalid(field: str, value: str, problem: str, remedy: str) -> InvalidInput:
    error = FieldError(field=field, value=value, problem=problem, remedy=remedy)
    return InvalidInput(count=1, errors=[error])
