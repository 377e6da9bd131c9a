"""What the configuration service is asked: what is in force, what was, where a value comes from.

`config.check_in` is a heartbeat: what it leaves behind is forgotten after a minute.
"""

from typing import Annotated

from pydantic import Field

from contracts.config import AT, ConfigName
from contracts.config_types import (
    ConfigKey,
    EnvironmentName,
    Instance,
    ServiceName,
    TemplateName,
    Version,
)
from contracts.config_views import (
    AuditLog,
    ChangeRequestView,
    CheckedIn,
    ClientView,
    ConfigDocument,
    ConfigItem,
    Diff,
    Explained,
    KeyEverywhere,
    ReleaseLine,
    ReleaseShown,
    RolloutView,
    SchemaView,
    SealingKey,
    ServiceConfig,
    TemplateView,
)
from contracts.message import Query, get
from contracts.types import (
    MinSeq,
    Page,
    PageNumber,
    PageSize,
    Sha256,
    UtcTime,
)


class ListConfigs(
    Query[Page[ConfigItem]],
    type="config.list",
    http=get("/configs", root=True),
    needs="configs:read",
):
    """List keys as their layers have them, by service, environment and key."""

    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    tags: Annotated[str, Field(max_length=300, description="any of these, between commas")] = ""
    key: Annotated[str, Field(max_length=128, description="the beginning of a key")] = ""
    page: PageNumber = 1
    page_size: PageSize = 100
    min_seq: MinSeq = 0


class LookConfig(
    Query[ServiceConfig | KeyEverywhere],
    type="config.look",
    http=get("/configs/{service}/{name}", root=True, etag="version", known="known"),
    needs="configs:read",
):
    """Show what is in force in an environment; or a key, in all of them."""

    service: ServiceName
    name: ConfigName
    known: Annotated[int, Field(ge=0)] | None = None
    """The version that the caller has, also as `If-None-Match`."""
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0
    """How long to wait for another version than the one known."""


class GetRelease(
    Query[ReleaseShown],
    type="config.release",
    http=get(
        f"{AT}/release",
        also=(f"{AT}/releases/{{version}}",),
        etag="version",
        known="known",
    ),
    needs="configs:read",
):
    """Show a release whole: the newest, one by its version, or the one of a time."""

    service: ServiceName
    environment: EnvironmentName
    version: Version | None = None
    at: UtcTime | None = None
    known: Annotated[int, Field(ge=0)] | None = None
    wait_seconds: Annotated[float, Field(ge=0, le=60)] = 0.0


class ReleaseHistory(
    Query[Page[ReleaseLine]],
    type="config.history",
    http=get(f"{AT}/history", also=(f"{AT}/releases",)),
    needs="configs:read",
):
    """List what was changed, by whom, when and why, newest first."""

    service: ServiceName
    environment: EnvironmentName
    key: ConfigKey | None = None
    page: PageNumber = 1
    page_size: PageSize = 50


class DiffConfig(Query[Diff], type="config.diff", http=get(f"{AT}/diff"), needs="configs:read"):
    """Say what differs between two versions, or between two environments."""

    service: ServiceName
    environment: EnvironmentName
    from_version: Version | None = None
    """None: the one before `to_version`, or the newest where another environment is given."""
    to_version: Version | None = None
    """None: the newest."""
    to_environment: EnvironmentName | None = None


class ExplainConfig(
    Query[Explained],
    type="config.explain",
    http=get(f"{AT}/explain/{{name}}", also=(f"{AT}/keys/{{name}}",)),
    needs="configs:read",
):
    """Say where the value of a key comes from, and who reads it."""

    service: ServiceName
    environment: EnvironmentName
    name: ConfigKey


class GetSchema(
    Query[SchemaView], type="config.schema", http=get(f"{AT}/schema"), needs="configs:read"
):
    """Say what configuration the programs of a service understand."""

    service: ServiceName
    environment: EnvironmentName


class ExportConfig(
    Query[ConfigDocument], type="config.export", http=get(f"{AT}/export"), needs="configs:read"
):
    """Write a layer as a document; secrets stay ciphertext, which only this installation opens."""

    service: ServiceName
    environment: EnvironmentName


class ListRollouts(
    Query[list[RolloutView]],
    type="config.rollouts",
    http=get(f"{AT}/rollouts"),
    needs="configs:read",
):
    """List the staged rollouts of a service, newest first."""

    service: ServiceName
    environment: EnvironmentName


class ListClients(
    Query[list[ClientView]],
    type="config.clients",
    http=get(f"{AT}/clients"),
    needs="configs:read",
):
    """List the instances that run now, and what each runs."""

    service: ServiceName
    environment: EnvironmentName


class ListChangeRequests(
    Query[list[ChangeRequestView]],
    type="config.change_requests",
    http=get("/change-requests"),
    needs="configs:read",
):
    """List the changes that wait for consent, oldest first; or all that ever did."""

    service: ServiceName | None = None
    decided: bool = False


class GetTemplate(
    Query[TemplateView],
    type="config.template",
    http=get("/config-templates/{name}"),
    needs="configs:read",
):
    """Show a template."""

    name: TemplateName


class ReadAudit(
    Query[list[AuditLog]],
    type="config.audit",
    http=get("/services/{service}/audit"),
    needs="configs:audit",
):
    """Give the logs of a service's configuration as they are kept, to be proved elsewhere."""

    service: ServiceName


class GetSealingKey(
    Query[SealingKey],
    type="config.sealing_key",
    http=get("/config-keys/sealing"),
    needs="configs:read",
):
    """Show the key with which a secret is sealed for the configuration service."""


class CheckIn(Query[CheckedIn], type="config.check_in"):
    """Tell what an instance runs and ask what it should; what is told is forgotten after a minute.

    Whoever refuses a release says so here, and a rollout that it is part of is taken back.
    """

    service: ServiceName
    environment: EnvironmentName
    instance: Instance
    version: Annotated[int, Field(ge=0)]
    refused_version: Version | None = None
    error: Annotated[str, Field(max_length=1_000)] | None = None
    schema_hash: Sha256
