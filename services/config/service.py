"""The composition root: every message the configuration service takes, and what it watches."""

from functools import partial
from typing import Any

from contracts import config as commands
from contracts import config_queries as queries
from contracts.config_queries import ListConfigs
from contracts.config_types import Environment
from contracts.config_views import ConfigItem
from contracts.types import Page
from infra.bus.context import Context
from infra.config.keyring import Keyring
from infra.log.forwarder import Forwarder
from infra.log.log import Log
from infra.runtime import Platform, Service, handle
from infra.store.queries import Reader
from services.config import projections
from services.config.handlers import asking, changing, history, rollouts
from services.config.handlers.desk import Desk
from services.config.handlers.keeping import Keeper
from services.config.handlers.presence import Presence
from services.config.handlers.secrets import Safe
from services.config.handlers.waiting import Waiting
from services.config.settings import Settings
from services.config.store import LayerStore, RequestStore

NAME = "config"
REMEMBERED = 256
"""Releases, and entries of the log, in memory: each may hold thousands of keys."""


def build(settings: Settings, platform: Platform) -> Service:
    """Build the service; nothing is started.

    Raises:
        KeyFileError: the file of keys that it was told of cannot be used.
    """
    ring = Keyring.load(settings.keyring_file) if settings.keyring_file else None
    safe = Safe(ring)
    log = Log(
        platform.connection,
        NAME,
        gathers=platform.common.profile == "safe",
        remembers=REMEMBERED,
        clock=platform.clock,
    )
    desk = Desk(
        log,
        Presence(platform.connection, platform.clock),
        safe,
        protected(settings, platform),
    )
    waiting = Waiting(settings.waiting_max)
    watch = rollouts.Watch(desk, platform.clock, settings.rollout_seconds)
    keeper = Keeper(desk, watch, waiting, platform.clock, sets_defaults=settings.defaults)
    layers, requests = projections.layers(platform, log), projections.requests(platform, log)
    lists = LayerStore(Reader(platform.store, layers))
    asked = RequestStore(Reader(platform.store, requests))
    edits: Any = {"desk": desk, "safe": safe}
    looks: Any = {"desk": desk, "waiting": waiting}
    return Service(
        name=NAME,
        settings=settings,
        platform=platform,
        handlers=(
            handle(commands.CreateConfig, partial(changing.on_create, **edits)),
            handle(commands.SetConfig, partial(changing.on_set, **edits)),
            handle(commands.DeleteConfig, partial(changing.on_delete, **edits)),
            handle(commands.BulkConfig, partial(changing.on_bulk, **edits)),
            handle(commands.ImportConfig, partial(changing.on_import, **edits)),
            handle(commands.RollbackConfig, partial(changing.on_rollback, **edits)),
            handle(commands.UseTemplates, partial(changing.on_use_templates, **edits)),
            handle(commands.SaveTemplate, partial(changing.on_save_template, desk=desk)),
            handle(commands.BeginRollout, partial(rollouts.on_begin, **edits)),
            handle(commands.MoveRollout, partial(rollouts.on_move, desk=desk)),
            handle(commands.DecideChange, partial(changing.on_decide, desk=desk)),
            handle(commands.RotateKeys, partial(changing.on_rotate, desk=desk, ring=ring)),
            handle(commands.RegisterSchema, partial(changing.on_register_schema, desk=desk)),
            handle(queries.ListConfigs, partial(on_list, store=lists)),
            handle(queries.LookConfig, partial(asking.on_look, **looks)),
            handle(queries.GetRelease, partial(history.on_release, **looks)),
            handle(queries.ReleaseHistory, partial(history.on_history, desk=desk)),
            handle(queries.DiffConfig, partial(asking.on_diff, desk=desk)),
            handle(queries.ExplainConfig, partial(asking.on_explain, desk=desk)),
            handle(queries.GetSchema, partial(asking.on_schema, desk=desk)),
            handle(queries.ExportConfig, partial(asking.on_export, desk=desk)),
            handle(queries.ListRollouts, partial(rollouts.on_list, desk=desk)),
            handle(queries.ListClients, partial(asking.on_clients, desk=desk)),
            handle(queries.ListChangeRequests, partial(asking.on_requests, desk=desk, store=asked)),
            handle(queries.GetTemplate, partial(asking.on_template, desk=desk)),
            handle(queries.ReadAudit, partial(asking.on_audit, desk=desk)),
            handle(queries.GetSealingKey, partial(asking.on_sealing_key, ring=ring)),
            handle(queries.CheckIn, partial(rollouts.on_check_in, desk=desk)),
        ),
        projections=(layers, requests),
        forwarders=(Forwarder(log, clock=platform.clock),),
        tasks={"follow releases": keeper.run, "move rollouts": watch.run},
    )


def protected(settings: Settings, platform: Platform) -> frozenset[Environment]:
    """Say which environments change with consent only."""
    if settings.protected is not None:
        return settings.protected
    here = Environment(platform.common.environment)
    return frozenset({here}) if here is Environment.PRODUCTION else frozenset()


async def on_list(query: ListConfigs, context: Context, *, store: LayerStore) -> Page[ConfigItem]:
    """List keys from the read model."""
    del context
    return await store.page(query)
