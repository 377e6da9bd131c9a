"""Commands in, one edit each, answer out."""

from dataclasses import dataclass
from functools import partial

from contracts.config import (
    BulkConfig,
    CreateConfig,
    DecideChange,
    DeleteConfig,
    ImportConfig,
    RegisterSchema,
    RollbackConfig,
    RotateKeys,
    SaveTemplate,
    SetConfig,
    UseTemplates,
)
from contracts.config_refusals import ChangeRequestNotFound, NoKeyring, TemplateNotFound
from contracts.config_release import Cause, Edits, TemplateSaved
from contracts.config_types import Environment, Item
from contracts.config_views import Affected, CheckedIn, ConfigEdited, Rotated, TemplateView
from contracts.errors import Refused
from infra.bus.context import Context
from infra.config.keyring import Keyring
from services.config.domain import request as requests
from services.config.domain import schema, template
from services.config.domain.release import By, Edition, Layers, version
from services.config.domain.schema import SCHEMA
from services.config.domain.template import TEMPLATE
from services.config.handlers.answers import affected, told
from services.config.handlers.desk import Desk
from services.config.handlers.edits import Maker
from services.config.handlers.rollouts import begin
from services.config.handlers.secrets import Safe


async def on_create(
    command: CreateConfig, context: Context, *, desk: Desk, safe: Safe
) -> ConfigEdited:
    """Set a key that the layer does not set yet."""
    make = partial(Maker(desk, safe, context).create, command)
    edited = await desk.edit(make, (command.service_name, command.environment), context)
    return _of_key(edited, command.key, command.value, command.tags)


async def on_set(command: SetConfig, context: Context, *, desk: Desk, safe: Safe) -> ConfigEdited:
    """Set one key."""
    make = partial(Maker(desk, safe, context).set, command)
    edited = await desk.edit(make, _place(command), context, dry_run=command.dry_run)
    return _of_key(edited, command.name, command.value, command.tags or ())


async def on_delete(
    command: DeleteConfig, context: Context, *, desk: Desk, safe: Safe
) -> ConfigEdited:
    """Delete one key from a layer."""
    make = partial(Maker(desk, safe, context).delete, command)
    return await desk.edit(make, _place(command), context, dry_run=command.dry_run)


async def on_bulk(command: BulkConfig, context: Context, *, desk: Desk, safe: Safe) -> ConfigEdited:
    """Set many keys, all of them or none."""
    make = partial(Maker(desk, safe, context).bulk, command)
    return await desk.edit(make, _place(command), context, dry_run=command.dry_run)


async def on_import(
    command: ImportConfig, context: Context, *, desk: Desk, safe: Safe
) -> ConfigEdited:
    """Make a layer what a document says."""
    make = partial(Maker(desk, safe, context).imported, command)
    return await desk.edit(make, _place(command), context, dry_run=command.dry_run)


async def on_rollback(
    command: RollbackConfig, context: Context, *, desk: Desk, safe: Safe
) -> ConfigEdited:
    """Make a layer what it was."""
    make = partial(Maker(desk, safe, context).rollback, command)
    return await desk.edit(make, _place(command), context, dry_run=command.dry_run)


async def on_use_templates(
    command: UseTemplates, context: Context, *, desk: Desk, safe: Safe
) -> ConfigEdited:
    """Say which templates lie beneath a layer."""
    make = partial(Maker(desk, safe, context).templates, command)
    return await desk.edit(make, _place(command), context, dry_run=command.dry_run)


async def on_save_template(command: SaveTemplate, context: Context, *, desk: Desk) -> TemplateView:
    """Keep a version of a template."""
    kept = await desk.log.of(TEMPLATE).execute(
        command.name, lambda current: template.save(current, command), context
    )
    if kept.state is None:
        raise Refused(TemplateNotFound(name=command.name))
    return view_of_template(kept.state)


async def on_decide(command: DecideChange, context: Context, *, desk: Desk) -> ConfigEdited:
    """Consent to somebody else's change, which makes it, or refuse it."""
    asked = (await desk.requests.get(command.change_request)).state
    if asked is None:
        raise Refused(ChangeRequestNotFound(change_request=command.change_request))
    edits, by = (
        asked.edits,
        By(author=asked.author, at=context.now, change_request=command.change_request),
    )
    deciding = desk.requests.change(
        command.change_request,
        lambda current: requests.decide(
            current,
            command.change_request,
            actor=context.actor,
            approve=command.approve,
            note=command.note,
        ),
    )
    loaded = await desk.layers(edits.service)
    if context.again and (done_before := await desk.done(loaded, context)) is not None:
        return done_before
    layers = {environment: one.state for environment, one in loaded.items()}
    if not command.approve:
        await desk.log.transact([deciding], context)
        return _shown(edits, layers, [])
    edition = Edition(edits, by)
    if edits.percents:
        desk.plan(edition, layers, await desk.schemas(edits))
        begun = await begin(desk, edits, by, context, also=[deciding])
        return _shown(edits, {edits.environment: begun.state}, []).model_copy(
            update={"seq": begun.seq}
        )
    planned = desk.plan(edition, layers, await desk.schemas(edits))
    done = await desk.log.transact([deciding, *desk.changes(edition)], context)
    return told(_shown(edits, layers, affected(edits, layers, planned)), done)


async def on_rotate(
    command: RotateKeys, context: Context, *, desk: Desk, ring: Keyring | None
) -> Rotated:
    """Wrap the keys of all secrets under the newest key of the ring."""
    if ring is None:
        raise Refused(NoKeyring())
    rewrapped = 0
    for service in await desk.services():
        for environment in Environment:
            edit = _Rotation(ring, service, environment, command.reason)
            part = context.part(f"{service}={environment}")
            await desk.edit(edit.make, (service, environment), part, consented=True)
            rewrapped += edit.count
    return Rotated(key_id=ring.newest_id, rewrapped=rewrapped)


@dataclass(slots=True)
class _Rotation:
    """The edit that wraps the secrets of one layer anew, and how many they were."""

    ring: Keyring
    service: str
    environment: Environment
    reason: str | None
    count: int = 0

    async def make(self, layers: Layers) -> Edits:
        """Wrap those that are not wrapped under the newest key yet."""
        current = layers[self.environment]
        own = current.release.own if current else {}
        secrets = {k: item for k, item in own.items() if item.secret}
        wrapped = {k: _rewrapped(item, self.ring, self.service) for k, item in secrets.items()}
        changed = {k: item for k, item in wrapped.items() if item.value != own[k].value}
        self.count = len(changed)
        return Edits(
            service=self.service,
            environment=self.environment,
            set=changed,
            cause=Cause.ROTATION,
            reason=self.reason,
        )


def _rewrapped(item: Item, ring: Keyring, service: str) -> Item:
    return item.model_copy(update={"value": ring.rewrap(service, str(item.value))})


async def on_register_schema(command: RegisterSchema, context: Context, *, desk: Desk) -> CheckedIn:
    """Keep what a version of a program understands."""
    await desk.log.of(SCHEMA).execute(
        command.service, lambda current: schema.register(current, command), context
    )
    return CheckedIn(version=0, known_schema=True)


def _place(
    command: SetConfig | DeleteConfig | BulkConfig | ImportConfig | RollbackConfig | UseTemplates,
) -> tuple[str, Environment]:
    return command.service, command.environment


def view_of_template(saved: TemplateSaved) -> TemplateView:
    """Show a template."""
    return TemplateView(
        name=saved.name,
        version=saved.version,
        description=saved.description,
        values=saved.values,
        required=list(saved.required),
    )


def _of_key(edited: ConfigEdited, key: str, value: object, tags: tuple[str, ...]) -> ConfigEdited:
    sealed = isinstance(value, str) and value.startswith("sealed:")
    return edited.model_copy(
        update={"key": key, "value": None if sealed else value, "encrypted": sealed, "tags": tags}
    )


def _shown(edits: Edits, layers: Layers, reached: list[Affected]) -> ConfigEdited:
    return ConfigEdited(
        service_name=edits.service,
        environment=edits.environment,
        version=version(layers.get(edits.environment)),
        affected=reached,
        warnings=[],
    )
