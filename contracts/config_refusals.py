"""What the configuration service refuses, and what to do then."""

from uuid import UUID

from contracts.config_types import ConfigKey, Environment, ServiceName
from contracts.errors import FieldError, Refusal
from contracts.types import ActorId


class ConfigNotFound(
    Refusal,
    code="config.not_found",
    status=404,
    says="{service} has no {what}. Known environments are development, staging, production and "
    "default; GET /configs?service={service} lists its keys.",
):
    """There is no such service, environment or key."""

    service: ServiceName
    what: str


class DuplicateKey(
    Refusal,
    code="config.duplicate",
    status=409,
    says="{key} of {service} has a value in {environment} already (version {version}). "
    "Change it with PUT /configs/{service}/{key}.",
):
    """The key exists in the layer."""

    service: ServiceName
    key: ConfigKey
    environment: Environment
    version: int


class ReservedName(
    Refusal,
    code="config.reserved_name",
    status=409,
    says="{name} is an environment or a word of the API and can be no key. For all keys of an "
    "environment use PUT /configs/{service}/ENVIRONMENT/bulk; otherwise choose another name.",
):
    """A key may not have this name."""

    service: ServiceName
    name: str


class StaleVersion(
    Refusal,
    code="config.stale_version",
    status=412,
    says="{service} in {environment} is at version {version}, not {expected}: somebody was first. "
    "Read it again and decide again.",
):
    """The configuration changed since it was read."""

    service: ServiceName
    environment: Environment
    version: int
    expected: int


class VersionRequired(
    Refusal,
    code="config.version_required",
    status=428,
    says="{environment} is protected: say which version was seen, as `If-Match` or "
    "`expected_version`; {service} is at {version}.",
):
    """A protected environment is changed only by who says what they saw."""

    service: ServiceName
    environment: Environment
    version: int


class SchemaRefused(
    Refusal,
    code="config.schema_refused",
    status=422,
    says="{count} value(s) do not fit what {service} understands; each is listed with its remedy. "
    "Nothing was changed.",
):
    """A program that reads this configuration would refuse it."""

    service: ServiceName
    count: int
    errors: list[FieldError]

    def field_errors(self) -> list[FieldError]:
        """Name every key at fault."""
        return self.errors


class NotSecret(
    Refusal,
    code="config.not_secret",
    status=422,
    says="{key} is named like a secret and is none. Send it alone with `encrypted: true`, or "
    "with `encrypted: false` where everyone may know it.",
):
    """What looks like a secret must be one."""

    key: ConfigKey


class Unsealable(
    Refusal,
    code="config.unsealable",
    status=422,
    says="The sealed value of {key} cannot be opened here: {why} Seal it for this service and key "
    "with the key of GET /api/v1/config-keys/sealing.",
):
    """A sealed value is not for this key, or not for this installation."""

    key: ConfigKey
    why: str


class NoKeyring(
    Refusal,
    code="config.no_keyring",
    status=503,
    says="The configuration service has no keys, so it keeps no secrets. Make a ring with "
    "`tracseq config keys` and set TRACSEQ_CONFIG_KEYRING_FILE.",
):
    """Secrets cannot be kept without keys."""


class ReleaseTooLarge(
    Refusal,
    code="config.too_large",
    status=413,
    says="{service} would have {keys} keys in {size_bytes} bytes; at most {keys_max} keys and "
    "{size_bytes_max} bytes are kept. Split the service's configuration.",
):
    """A release has a bound."""

    service: ServiceName
    keys: int
    keys_max: int
    size_bytes: int
    size_bytes_max: int


class NoSuchVersion(
    Refusal,
    code="config.no_such_version",
    status=404,
    says="{service} in {environment} has versions 1 to {newest}, not {version}. "
    "Choose one of its history.",
):
    """The version does not exist."""

    service: ServiceName
    environment: Environment
    version: int
    newest: int


class RolloutUnderWay(
    Refusal,
    code="config.rollout_under_way",
    status=409,
    says="A staged rollout of {service} in {environment} is at {percent} %. Wait for its end, or "
    "move it: POST .../rollouts/current/advance or .../rollouts/current/abort.",
):
    """One change at a time: a rollout has not ended."""

    service: ServiceName
    environment: Environment
    percent: float


class NoRollout(
    Refusal,
    code="config.no_rollout",
    status=404,
    says="No staged rollout of {service} in {environment} is under way. "
    "Begin one with POST .../rollouts.",
):
    """There is nothing to move."""

    service: ServiceName
    environment: Environment


class NobodyRuns(
    Refusal,
    code="config.nobody_runs",
    status=409,
    says="No instance of {service} runs in {environment}, so no share of them can try a change. "
    "Set it directly, or start one.",
):
    """A staged rollout needs instances."""

    service: ServiceName
    environment: Environment


class NotInDefault(
    Refusal,
    code="config.not_in_default",
    status=422,
    says="{what} is for an environment in which services run: development, staging or production. "
    "Name one of them instead of default.",
):
    """Nothing runs in `default`."""

    what: str


class ChangeRequestNotFound(
    Refusal,
    code="config.change_request_not_found",
    status=404,
    says="There is no change request {change_request}. List them with GET /api/v1/change-requests.",
):
    """The change request is not known here."""

    change_request: UUID


class ChangeRequestDecided(
    Refusal,
    code="config.change_request_decided",
    status=409,
    says="Change request {change_request} was decided by {by}. Ask for the change again.",
):
    """A change request is decided once."""

    change_request: UUID
    by: ActorId


class OwnChangeRequest(
    Refusal,
    code="config.own_change_request",
    status=403,
    says="{author} asked for this change, so somebody else must consent. "
    "Ask a colleague to decide it.",
):
    """Nobody consents to their own change."""

    author: ActorId


class TemplateNotFound(
    Refusal,
    code="config.template_not_found",
    status=404,
    says="There is no template {name}. Save it with PUT /api/v1/config-templates/{name}.",
):
    """The template is not known here."""

    name: str


class TemplateNeeds(
    Refusal,
    code="config.template_needs",
    status=422,
    says="Template {name} needs {missing} to be set by {service} itself. Set them in the layer "
    "first, or in the same change.",
):
    """A template leaves keys to whoever uses it."""

    name: str
    service: ServiceName
    missing: str


class StaleTemplate(
    Refusal,
    code="config.stale_template",
    status=412,
    says="Template {name} is at version {version}, not {expected}: somebody was first. "
    "Read it again and decide again.",
):
    """The template changed since it was read."""

    name: str
    version: int
    expected: int
