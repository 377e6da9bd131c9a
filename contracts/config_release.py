"""What the log of configurations holds: one entry per release, with who, when, why, before, after.

`config.released` stays in the log, and is pushed from there to those who run the service;
`config.changed` is what everyone may know.
"""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from contracts.config_types import (
    Change,
    ConfigKey,
    ConfigValue,
    Environment,
    Item,
    Percent,
    Release,
    ServiceName,
    TemplateName,
    TemplatePin,
    Version,
)
from contracts.message import Event
from contracts.types import ActorId, Reason, Sha256, Text, Value


class Cause(StrEnum):
    """What made a release."""

    SET = "set"
    DELETE = "delete"
    BULK = "bulk"
    IMPORT = "import"
    INHERITED = "inherited"
    """The layer `default` changed beneath it."""
    TEMPLATES = "templates"
    ROLLBACK = "rollback"
    ROLLOUT_BEGUN = "rollout_begun"
    ROLLOUT_ADVANCED = "rollout_advanced"
    ROLLOUT_FINISHED = "rollout_finished"
    ROLLOUT_ROLLED_BACK = "rollout_rolled_back"
    ROTATION = "rotation"
    DEFAULTS = "defaults"


class Released(Event, type="config.released", public=False):
    """A configuration is in force from here on."""

    release: Release
    cause: Cause
    changes: tuple[Change, ...]
    reason: Reason | None = None
    author: ActorId
    """Who wanted it: of a change that was approved, who asked for it."""
    change_request: UUID | None = None


class ConfigChanged(Event, type="config.changed"):
    """The configuration of a service changed; values are not told."""

    service: ServiceName
    environment: Environment
    version: Version
    keys: tuple[ConfigKey, ...]
    cause: Cause
    reason: Reason | None = None


class ChangeStatus(StrEnum):
    """How far a change request came."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class Edits(Value):
    """What somebody wants to be different in one layer, all of it or nothing."""

    service: ServiceName
    environment: Environment
    set: dict[ConfigKey, Item] = Field(default_factory=dict[ConfigKey, Item])
    """Values to be set; secrets are encrypted already."""
    delete: tuple[ConfigKey, ...] = ()
    templates: tuple[TemplatePin, ...] | None = None
    """The templates to be used; None leaves them."""
    replace: bool = False
    """Whether keys of the layer that are not set here go."""
    expected_version: Annotated[int, Field(ge=0)] | None = None
    """The version of the layer that was seen; None takes any."""
    percents: tuple[Percent, ...] = ()
    """Of a change that is to come in stages: the share of the instances at each."""
    bake_seconds: Annotated[float, Field(ge=0)] = 0.0
    cause: Cause
    reason: Reason | None = None


class ChangeRequested(Event, type="config.change_requested", public=False):
    """A change of a protected environment waits for somebody else's consent."""

    change_request: UUID
    edits: Edits
    author: ActorId


class ChangeDecided(Event, type="config.change_decided", public=False):
    """Somebody consented to a change, or did not."""

    change_request: UUID
    approved: bool
    note: Text | None = None


class TemplateSaved(Event, type="config.template_saved", public=False):
    """A template has a new version."""

    name: TemplateName
    version: Version
    description: Text = ""
    values: dict[ConfigKey, ConfigValue]
    required: tuple[ConfigKey, ...] = ()
    """Keys that a service which uses it must set itself."""


class SchemaRegistered(Event, type="config.schema_registered", public=False):
    """A program told what configuration it understands."""

    service: ServiceName
    schema_hash: Sha256
    document: dict[str, Any]
    """JSON Schema, 2020-12."""
    program_version: str
