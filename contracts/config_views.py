"""What the configuration service answers: items, releases, differences, rollouts, requests.

No view ever holds a secret in the clear.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from contracts.config_release import Cause, Edits
from contracts.config_types import (
    KEYS_MAX,
    Change,
    ConfigKey,
    ConfigValue,
    Environment,
    EnvironmentName,
    Instance,
    Item,
    Release,
    ServiceName,
    Tags,
    TemplateName,
    Version,
)
from contracts.types import (
    ActorId,
    Reason,
    Sha256,
    Text,
    UtcTime,
    View,
)

Values = Annotated[dict[ConfigKey, ConfigValue], Field(max_length=KEYS_MAX)]


class Caution(View):
    """Something that is allowed and most likely not meant."""

    key: ConfigKey
    problem: str
    remedy: str


class Affected(View):
    """One environment that a change reaches, or does not because its own layer shadows it."""

    environment: Environment
    version: Annotated[int, Field(ge=0)]
    """Its release afterwards; 0 where there is none."""
    changes: list[Change]
    shadowed: list[ConfigKey]
    """Keys that were changed below, and that this environment sets itself."""


class ConfigItem(View):
    """One key as one layer has it, or as it is in force in an environment."""

    id: str
    service_name: ServiceName
    key: ConfigKey
    value: ConfigValue = None
    """Null for a secret."""
    environment: Environment
    version: Version
    """Of the release."""
    encrypted: bool = False
    tags: Tags = ()
    source: str
    created_at: UtcTime
    updated_at: UtcTime
    read_by: list[Instance] = Field(default_factory=list[Instance])
    """Running instances whose programs know this key."""


class ConfigEdited(View):
    """What a change did, or what it waits for."""

    service_name: ServiceName
    environment: Environment
    version: Annotated[int, Field(ge=0)]
    key: ConfigKey | None = None
    value: ConfigValue = None
    encrypted: bool = False
    tags: Tags = ()
    affected: list[Affected]
    warnings: list[Caution]
    dry_run: bool = False
    change_request: UUID | None = None
    """Where somebody else must consent first: nothing has changed yet."""
    seq: int = 0


class ServiceConfig(View):
    """What is in force for a service in an environment."""

    service_name: ServiceName
    environment: Environment
    config: Values
    """Null stands for each secret; `secrets` names them."""
    secrets: list[ConfigKey]
    version: Version
    sha256: Sha256
    last_updated: UtcTime


class KeyEverywhere(View):
    """One key of a service, in every environment."""

    service_name: ServiceName
    key: ConfigKey
    environments: list[ConfigItem]


class ReleaseLine(View):
    """One release of a history: who, when, why, and what became of which key."""

    version: Version
    cause: Cause
    author: ActorId
    actor: ActorId
    """Who did it; another one than the author where it was approved."""
    at: UtcTime
    reason: Reason | None = None
    changes: list[Change]
    sha256: Sha256
    rollout_percent: float | None = None


class ReleaseShown(View):
    """One release, with where each value comes from; secrets stay ciphertext, for their owner."""

    release: Release
    version: Version
    """The same as in the release."""
    at: UtcTime
    author: ActorId
    cause: Cause
    reason: Reason | None = None


class Diff(View):
    """What differs between two releases."""

    service_name: ServiceName
    left: str
    right: str
    changes: list[Change]


class Layer(View):
    """What one layer says of a key."""

    source: str
    value: ConfigValue = None
    secret: bool = False
    in_force: bool


class Explained(View):
    """Where the value of a key comes from: the layers that name it, the one in force first."""

    service_name: ServiceName
    environment: Environment
    key: ConfigKey
    layers: list[Layer]
    read_by: list[Instance]
    set_by: ActorId | None = None
    set_at: UtcTime | None = None


class ConfigDocument(View):
    """A layer as a file: the same layer is the same bytes, and reading it back changes nothing."""

    format: Literal["tracseq-config/1"] = "tracseq-config/1"
    service: ServiceName
    environment: EnvironmentName
    templates: list[TemplateName] = Field(default_factory=list[TemplateName])
    items: dict[ConfigKey, Item]


class SchemaView(View):
    """What configuration a service's programs understand."""

    service_name: ServiceName
    keys: dict[ConfigKey, dict[str, Any]]
    """JSON Schema by key, as the newest program tells it; of those without, as the defaults do."""
    programs: list["ProgramSchema"]


class ProgramSchema(View):
    """The schema of one version of a program."""

    schema_hash: Sha256
    program_version: str
    document: dict[str, Any]
    instances: list[Instance]
    """Those that run it now."""


class ClientView(View):
    """A running instance, as it told of itself last."""

    instance: Instance
    service_name: ServiceName
    environment: Environment
    version: Annotated[int, Field(ge=0)]
    """The release that it runs; 0 for its own defaults."""
    ok: bool
    error: str | None = None
    """Why it refused a newer one."""
    schema_hash: Sha256
    seen_at: UtcTime


class RolloutView(View):
    """A staged rollout as it stands."""

    rollout_id: UUID
    service_name: ServiceName
    environment: Environment
    keys: list[ConfigKey]
    percents: list[float]
    stage: int
    members: list[Instance]
    confirmed: list[Instance]
    """Members that said that they run it."""
    bake_seconds: float
    status: Literal["baking", "finished", "rolled_back"]
    why: str | None = None
    author: ActorId
    began_at: UtcTime
    stage_at: UtcTime


class TemplateView(View):
    """A template: values that many services share, each from the version that it chose."""

    name: TemplateName
    version: Version
    description: Text
    values: Values
    required: list[ConfigKey]


class ChangeRequestView(View):
    """A change that waits for consent, or got an answer; secrets stay ciphertext."""

    change_request: UUID
    status: Literal["open", "approved", "rejected"]
    edits: Edits
    author: ActorId
    asked_at: UtcTime
    decided_by: ActorId | None = None
    decided_at: UtcTime | None = None
    note: Text | None = None


class SealingKey(View):
    """The key with which whoever sends a secret seals it; there is nothing to hide about it."""

    public_key: Annotated[str, Field(examples=["A" * 43 + "="])]
    """X25519, base64."""


class CheckedIn(View):
    """What an instance should run."""

    version: Annotated[int, Field(ge=0)]
    known_schema: bool
    """Whether its schema was told before; where not, it is to be told."""


class Rotated(View):
    """What a rotation did."""

    key_id: str
    rewrapped: int
    """Secrets that are wrapped under the new key now."""


class AuditLog(View):
    """The log of one configuration as it is kept: `tracseq config verify` proves it offline."""

    subject: str
    entries: list[str]
    """Each the text that was hashed, oldest first."""
