"""The words of configuration: what a service, a key, an environment, a tag, a value may be.

Environments, keys and the words of the API are disjoint, so that `/configs/{service}/{name}` means
one thing only. Nothing is resolved here.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StringConstraints

from contracts.types import ActorId, Reason, Sha256, UtcTime, Value

KEYS_MAX = 2_000
"""In one release."""
RELEASE_BYTES_MAX = 512 * 1024
"""Of one release as it is stored: a message of the broker holds 1 MiB, and a release is two."""
VALUE_BYTES_MAX = 64 * 1024
NESTING_MAX = 20
TAGS_MAX = 5
INSTANCES_MAX = 1_000
"""Of one service in one environment, in a staged rollout."""
SEALED = "sealed:v1:"
"""What a secret begins with on its way to the configuration service."""
ENCRYPTED = "enc:v1:"
"""What a secret begins with where it is kept."""


class Environment(StrEnum):
    """Where a configuration is in force; what stands in `default` is inherited by all others."""

    DEFAULT = "default"
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


ALIASES = {"dev": Environment.DEVELOPMENT, "prod": Environment.PRODUCTION}
RUN_IN = (Environment.DEVELOPMENT, Environment.STAGING, Environment.PRODUCTION)
"""Where services run: each has releases, resolved from its own layer and from `default`."""

RESERVED = frozenset(
    {*Environment, *ALIASES, "bulk", "history", "schema", "diff", "rollback", "rollout", "releases"}
)
"""Names that no key may have: they mean something in an address."""

_SECRET = re.compile(
    r"secret|password|passwd|api_?key|private_?key|credential|token$", re.IGNORECASE
)


_NAMES = {"storage": "enhanced-storage-service", "edge": "api-gateway"}


def config_name(service: str) -> str:
    """Give the name that one of the laboratory's own services has here."""
    return _NAMES.get(service, f"{service}-service")


def as_environment(value: object) -> object:
    """Read an environment by its name or alias."""
    return ALIASES.get(value, value) if isinstance(value, str) else value


def looks_secret(key: str) -> bool:
    """Say whether a key's name says that its value is nobody's business."""
    return _SECRET.search(key) is not None


def _bounded(value: JsonValue) -> JsonValue:
    if value is None or isinstance(value, (bool, int)):
        return value
    depth = _depth(value, 1)
    if depth > NESTING_MAX:
        raise ValueError(f"is nested too deeply; at most {NESTING_MAX} levels are taken")
    # What is no number in JSON (NaN, infinity) is a ValueError here.
    if len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) > VALUE_BYTES_MAX:
        raise ValueError(f"is too large; at most {VALUE_BYTES_MAX} bytes are taken as JSON")
    return value


def _depth(value: object, depth: int) -> int:
    if depth > NESTING_MAX:
        return depth
    if isinstance(value, dict):
        inner = list(cast("dict[str, object]", value).values())
    elif isinstance(value, list):
        inner = cast("list[object]", value)
    else:
        return depth
    return max((_depth(one, depth + 1) for one in inner), default=depth)


ServiceName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}[A-Za-z0-9_]$"),
    Field(
        description="2 to 64 of A-Z a-z 0-9 _ - ; begins with a letter, does not end with -",
        examples=["sample-service"],
    ),
]
EnvironmentName = Annotated[Environment, BeforeValidator(as_environment)]
ConfigKey = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=128),
    Field(
        description="at most 128 of A-Z a-z 0-9 _ and single dots between them",
        examples=["max_batch_size"],
    ),
]
Tag = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,50}$"),
    Field(examples=["security"]),
]
Tags = Annotated[tuple[Tag, ...], Field(max_length=TAGS_MAX)]
ConfigValue = Annotated[JsonValue, AfterValidator(_bounded), Field(examples=[2_000])]
Instance = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$"), Field(examples=["lab-1-8081"])
]
TemplateName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$"), Field(examples=["small_lab"])
]
Version = Annotated[int, Field(ge=1)]
Percent = Annotated[float, Field(gt=0, le=100)]
SealedText = Annotated[
    str,
    StringConstraints(pattern=r"^sealed:v1:[A-Za-z0-9_=-]{40,}$", max_length=200_000),
    Field(examples=["sealed:v1:" + "A" * 48]),
]
"""A value that only the configuration service can open: how a secret travels to it."""


class Item(Value):
    """One key of a release."""

    value: ConfigValue = None
    """Of a secret: its ciphertext, `enc:v1:...`."""
    secret: bool = False
    tags: Tags = ()
    source: str = Field(default="default", examples=["default"])
    """The layer that it comes from: `default`, an environment, `template:NAME@VERSION`."""
    since: Version = 1
    """The version of its layer in which it was set; bound into a secret's ciphertext."""
    created_at: UtcTime
    set_at: UtcTime
    set_by: ActorId


class Change(Value):
    """One key that a release changed; the value of a secret is never said."""

    key: ConfigKey
    before: ConfigValue = None
    after: ConfigValue = None
    was: bool = True
    """Whether it had a value before."""
    stays: bool = True
    """Whether it has one after."""
    secret: bool = False


class TemplatePin(Value):
    """A version of a template that a layer uses, with its values: later versions change nothing."""

    name: TemplateName
    version: Version
    values: dict[ConfigKey, ConfigValue]


class Overlay(Value):
    """A change on its way: in force for some instances until it is for all, or for none."""

    rollout_id: UUID
    items: dict[ConfigKey, Item]
    """What becomes of these keys."""
    percents: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=20)]
    """Share of the instances at each stage."""
    bake_seconds: Annotated[float, Field(ge=0, le=604_800)]
    """How long every stage is watched once all its instances run it."""
    stage: Annotated[int, Field(ge=0)]
    """Which one is on, from 0."""
    members: Annotated[tuple[Instance, ...], Field(max_length=INSTANCES_MAX)]
    """Instances for which it is in force: chosen by name, so never more than the stage's share."""
    began_at: UtcTime
    stage_at: UtcTime
    author: ActorId
    reason: Reason | None = None


class Release(Value):
    """The configuration of one service in one environment, for ever: what is changed is the next.

    For `default` and in an environment alike `own` is what was set there; `items` is what is in
    force: for `default` the same, for an environment `own` over templates over `default`.
    """

    service: ServiceName
    environment: Environment
    version: Version
    own: dict[ConfigKey, Item]
    templates: tuple[TemplatePin, ...] = ()
    items: dict[ConfigKey, Item]
    inherits: Annotated[int, Field(ge=0)] = 0
    """The version of `default` that it was resolved from; 0 where there is none."""
    overlay: Overlay | None = None
    sha256: Sha256
    """Over what is in force (values, tags and what is secret) and the overlay, as canonical JSON:
    the same configuration has the same hash in whichever version."""
    parent: str = ""
    """The hash of the release before; empty for the first."""


def to_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Write JSON in the one way that is hashed: keys sorted, no spaces, UTF-8."""
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
    ).encode()


def release_hash(release: Mapping[str, Any]) -> str:
    """Give what `Release.sha256` has to be, of a release as JSON: what is in force, and for whom.

    Raises:
        KeyError, TypeError: it is no release.
    """
    overlay = release["overlay"]
    said = {"items": _said(release["items"]), "overlay": None}
    if overlay is not None:
        said["overlay"] = {"items": _said(overlay["items"]), "members": overlay["members"]}
    return hashlib.sha256(to_json(said)).hexdigest()


def _said(items: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    return {key: [one["value"], one["secret"], one["tags"]] for key, one in items.items()}
