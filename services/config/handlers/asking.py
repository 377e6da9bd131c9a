"""Questions in, answers from the logs out; no secret is ever in one."""

from collections.abc import Sequence
from typing import cast

from contracts.config_queries import (
    DiffConfig,
    ExplainConfig,
    ExportConfig,
    GetSchema,
    GetSealingKey,
    GetTemplate,
    ListChangeRequests,
    ListClients,
    LookConfig,
    ReadAudit,
)
from contracts.config_refusals import ConfigNotFound, NoKeyring, TemplateNotFound
from contracts.config_types import Environment, Item, as_environment
from contracts.config_views import (
    AuditLog,
    ChangeRequestView,
    ClientView,
    ConfigDocument,
    ConfigItem,
    Diff,
    Explained,
    KeyEverywhere,
    Layer,
    ProgramSchema,
    SchemaView,
    SealingKey,
    ServiceConfig,
    TemplateView,
)
from contracts.errors import Refused
from infra.bus.context import Context
from infra.config.keyring import Keyring
from services.config.domain import schema
from services.config.domain.defaults import schema as schema_of_defaults
from services.config.domain.layers import differences
from services.config.domain.release import ORDER, RELEASE, Current, version
from services.config.domain.request import Request
from services.config.domain.schema import SCHEMA, Known
from services.config.handlers.changing import view_of_template
from services.config.handlers.desk import Desk, key
from services.config.handlers.edits import release_of
from services.config.handlers.history import in_place, until_another
from services.config.handlers.waiting import Waiting
from services.config.store import RequestStore


async def on_look(
    query: LookConfig, context: Context, *, desk: Desk, waiting: Waiting
) -> ServiceConfig | KeyEverywhere:
    """Show what is in force in an environment; or a key, in all of them."""
    del context
    named = as_environment(query.name.lower())
    if named in set(Environment):
        environment = Environment(cast("str", named))
        await until_another(query, environment, waiting, desk)
        return in_force(await in_place(desk, query.service, environment))
    return await _everywhere(desk, query.service, query.name)


def in_force(current: Current) -> ServiceConfig:
    """Show a release as a plain configuration."""
    release = current.release
    return ServiceConfig(
        service_name=release.service,
        environment=release.environment,
        config={k: None if item.secret else item.value for k, item in release.items.items()},
        secrets=[k for k, item in release.items.items() if item.secret],
        version=release.version,
        sha256=release.sha256,
        last_updated=current.at,
    )


async def _everywhere(desk: Desk, service: str, name: str) -> KeyEverywhere:
    found: list[ConfigItem] = []
    readers = await desk.presence.everywhere(service)
    known = (await desk.log.load(SCHEMA, service, fresh=False)).state
    for environment, loaded in (await desk.layers(service)).items():
        item = loaded.state.release.items.get(name) if loaded.state else None
        if item is not None and loaded.state is not None:
            readers_here = read_by(known, readers.get(environment, []), name)
            found.append(show(loaded.state, name, item, readers_here))
    if not found:
        raise Refused(ConfigNotFound(service=service, what=f"environment or key {name}"[:120]))
    return KeyEverywhere(service_name=service, key=name, environments=found)


def show(current: Current, name: str, item: Item, readers: Sequence[str] = ()) -> ConfigItem:
    """Show one key of a release."""
    release = current.release
    return ConfigItem(
        id=f"{release.service}/{release.environment}/{name}",
        service_name=release.service,
        key=name,
        value=None if item.secret else item.value,
        environment=release.environment,
        version=release.version,
        encrypted=item.secret,
        tags=item.tags,
        source=item.source,
        created_at=item.created_at,
        updated_at=item.set_at,
        read_by=list(readers),
    )


def read_by(known: Known | None, clients: Sequence[ClientView], name: str) -> list[str]:
    """Say which instances run a program that knows a key."""
    schemas = known.schemas if known else ()
    knowing = {one.schema_hash for one in schemas if name in schema.properties(one.document)}
    return [client.instance for client in clients if client.schema_hash in knowing]


async def on_diff(query: DiffConfig, context: Context, *, desk: Desk) -> Diff:
    """Say what differs between two versions, or between two environments."""
    del context
    place = (query.service, query.environment)
    current = await in_place(desk, *place)
    to_place, to_current = place, current
    if query.to_environment is not None:
        to_place = (query.service, query.to_environment)
        to_current = await in_place(desk, *to_place)
    to_version = query.to_version or version(to_current)
    before = max(1, to_version - 1) if query.to_environment is None else version(current)
    from_version = query.from_version or before
    left = await release_of(desk, place, current, from_version)
    right = await release_of(desk, to_place, to_current, to_version)
    return Diff(
        service_name=query.service,
        left=f"{query.environment} version {from_version}",
        right=f"{to_place[1]} version {to_version}",
        changes=list(differences(left.release.items, right.release.items)),
    )


async def on_explain(query: ExplainConfig, context: Context, *, desk: Desk) -> Explained:
    """Say where the value of a key comes from."""
    del context
    layers = {one: loaded.state for one, loaded in (await desk.layers(query.service)).items()}
    current, base = layers[query.environment], layers[Environment.DEFAULT]
    item = current.release.items.get(query.name) if current else None
    if current is None or item is None:
        what = f"key {query.name} in {query.environment}"
        raise Refused(ConfigNotFound(service=query.service, what=what))
    release = current.release
    named: list[tuple[str, Item]] = []
    if release.overlay is not None and query.name in release.overlay.items:
        named.append(
            (
                f"rollout to {len(release.overlay.members)} instance(s)",
                release.overlay.items[query.name],
            )
        )
    if query.name in release.own:
        named.append((query.environment, release.own[query.name]))
    named += [
        (
            f"template:{pin.name}@{pin.version}",
            item.model_copy(update={"value": pin.values[query.name]}),
        )
        for pin in reversed(release.templates)
        if query.name in pin.values
    ]
    default = base.release.own.get(query.name) if base else None
    if default is not None and query.environment is not Environment.DEFAULT:
        named.append((Environment.DEFAULT, default))
    known = (await desk.log.load(SCHEMA, query.service, fresh=False)).state
    clients = await desk.presence.of(query.service, query.environment)
    return Explained(
        service_name=query.service,
        environment=query.environment,
        key=query.name,
        layers=[
            Layer(
                source=source,
                value=None if one.secret else one.value,
                secret=one.secret,
                in_force=source == item.source,
            )
            for source, one in named
        ],
        read_by=read_by(known, clients, query.name),
        set_by=item.set_by,
        set_at=item.set_at,
    )


async def on_schema(query: GetSchema, context: Context, *, desk: Desk) -> SchemaView:
    """Say what configuration the programs of a service understand."""
    del context
    known = (await desk.log.load(SCHEMA, query.service)).state
    clients = await desk.presence.of(query.service, query.environment)
    keys = dict(schema.properties(schema_of_defaults(query.service)))
    for one in known.schemas if known else ():
        keys |= schema.properties(one.document)
    return SchemaView(
        service_name=query.service,
        keys=dict(sorted(keys.items())),
        programs=[
            ProgramSchema(
                schema_hash=one.schema_hash,
                program_version=one.program_version,
                document=one.document,
                instances=[c.instance for c in clients if c.schema_hash == one.schema_hash],
            )
            for one in (known.schemas if known else ())
        ],
    )


async def on_export(query: ExportConfig, context: Context, *, desk: Desk) -> ConfigDocument:
    """Write a layer as a document."""
    del context
    current = await in_place(desk, query.service, query.environment)
    release = current.release
    return ConfigDocument(
        service=release.service,
        environment=release.environment,
        templates=[pin.name for pin in release.templates],
        items=dict(sorted(release.own.items())),
    )


async def on_clients(query: ListClients, context: Context, *, desk: Desk) -> list[ClientView]:
    """List the instances that run now."""
    del context
    return await desk.presence.of(query.service, query.environment)


async def on_requests(
    query: ListChangeRequests, context: Context, *, desk: Desk, store: RequestStore
) -> list[ChangeRequestView]:
    """List the changes that wait for consent, as their logs have them."""
    del context
    found = [(await desk.requests.get(one)).state for one in await store.ids(query)]
    views = [view_of_request(one) for one in found if one is not None]
    return [one for one in views if query.decided or one.status == "open"]


def view_of_request(request: Request) -> ChangeRequestView:
    """Show a change request."""
    return ChangeRequestView(
        change_request=request.change_request,
        status=request.status,
        edits=request.edits,
        author=request.author,
        asked_at=request.asked_at,
        decided_by=request.decided_by,
        decided_at=request.decided_at,
        note=request.note,
    )


async def on_template(query: GetTemplate, context: Context, *, desk: Desk) -> TemplateView:
    """Show a template."""
    del context
    saved = (await desk.template(query.name)).state
    if saved is None:
        raise Refused(TemplateNotFound(name=query.name))
    return view_of_template(saved)


async def on_audit(query: ReadAudit, context: Context, *, desk: Desk) -> list[AuditLog]:
    """Give the logs of a service as they are kept."""
    del context
    found: list[AuditLog] = []
    for environment in ORDER:
        name = key(query.service, environment)
        bodies = await desk.log.bodies(RELEASE, name)
        if bodies:
            found.append(
                AuditLog(subject=RELEASE.subject(name), entries=[b.decode() for b in bodies])
            )
    if not found:
        raise Refused(ConfigNotFound(service=query.service, what="configuration"))
    return found


async def on_sealing_key(
    query: GetSealingKey, context: Context, *, ring: Keyring | None
) -> SealingKey:
    """Show the key with which secrets are sealed."""
    del query, context
    if ring is None:
        raise Refused(NoKeyring())
    return SealingKey(public_key=ring.public_key)
