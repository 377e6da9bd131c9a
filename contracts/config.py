"""The configuration service: what is set where, what is in force, what was, and what waits.

The six addresses under `/configs` are the ones that clients of old know; everything has a second,
unambiguous one. A value that is a secret is sealed before it becomes part of any message here.
"""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from contracts.config_types import (
    ENCRYPTED,
    SEALED,
    ConfigKey,
    ConfigValue,
    Environment,
    EnvironmentName,
    ServiceName,
    Tags,
    TemplateName,
    Version,
    looks_secret,
)
from contracts.config_views import (
    CheckedIn,
    ConfigDocument,
    ConfigEdited,
    Rotated,
    TemplateView,
    Values,
)
from contracts.message import Command, Http, edit, post, put
from contracts.types import (
    Reason,
    Sha256,
    Text,
)

AT = "/services/{service}/environments/{environment}"

ExpectedVersion = Annotated[
    int,
    Field(ge=0, description="the version that was seen, also as `If-Match`; 0: there is none yet"),
]
DryRun = Annotated[bool, Field(description="say what would change, and change nothing")]
ConfigName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="a key; to read, also an environment (`production` or `prod`, `default` ...)",
        examples=["jwt_expiry_hours"],
    ),
]
ALL_PERCENT = 100


class _Edit(Command[ConfigEdited]):
    """Change one layer of a service, all of it or nothing."""

    model_config = ConfigDict(hide_input_in_errors=True)

    service: ServiceName
    environment: EnvironmentName = Environment.DEFAULT
    reason: Reason | None = None
    expected_version: ExpectedVersion | None = None
    dry_run: DryRun = False


def _check_secret(key: str, value: object, *, encrypted: bool | None) -> None:
    sealed = isinstance(value, str) and value.startswith(SEALED)
    if encrypted and not sealed:
        raise ValueError(f"{key} is a secret and is not sealed: send it over HTTP or `tracseq`")
    if not sealed and value is not None and encrypted is not False and looks_secret(key):
        raise ValueError(
            f"{key} is named like a secret: say `encrypted: true` with it, on its own, or "
            "`encrypted: false` where it is none"
        )


class CreateConfig(
    Command[ConfigEdited],
    type="config.create",
    http=Http(
        "POST", "/configs", 201, root=True, etag="version", accepted="change_request", seals="value"
    ),
    needs="configs:write",
):
    """Set a key that has no value in the layer yet."""

    model_config = ConfigDict(hide_input_in_errors=True)

    service_name: ServiceName
    key: ConfigKey
    value: ConfigValue
    environment: EnvironmentName = Environment.DEFAULT
    tags: Tags = ()
    encrypted: Annotated[bool, Field(examples=[False])] | None = None
    reason: Reason | None = None

    @model_validator(mode="after")
    def _secrets_are_sealed(self) -> Self:
        _check_secret(self.key, self.value, encrypted=self.encrypted)
        return self


class SetConfig(
    _Edit,
    type="config.set",
    http=put("/configs/{service}/{name}", root=True, also=(f"{AT}/keys/{{name}}",), seals="value"),
    needs="configs:write",
):
    """Set one key; without an environment, for all that do not set it themselves."""

    name: ConfigName
    value: ConfigValue
    tags: Tags | None = None
    """None leaves them."""
    encrypted: Annotated[bool, Field(examples=[False])] | None = None
    """None leaves it as it is; a secret stays one."""

    @model_validator(mode="after")
    def _secrets_are_sealed(self) -> Self:
        _check_secret(self.name, self.value, encrypted=self.encrypted)
        return self


class DeleteConfig(
    _Edit,
    type="config.delete",
    http=edit("DELETE", "/configs/{service}/{name}", root=True, also=(f"{AT}/keys/{{name}}",)),
    needs="configs:write",
):
    """Delete one key from a layer; what is below it is in force again."""

    name: ConfigName


class BulkConfig(
    _Edit,
    type="config.bulk",
    http=put(
        "/configs/{service}/{environment}/bulk", root=True, also=(f"{AT}/keys",), body="values"
    ),
    needs="configs:write",
):
    """Set many keys of a layer at once: all of them, or none."""

    values: Values
    mode: Literal["merge", "replace"] = "merge"
    """`replace` deletes keys of the layer that are not named."""

    @model_validator(mode="after")
    def _secrets_are_sealed(self) -> Self:
        for key, value in self.values.items():
            _check_secret(key, value, encrypted=None)
        return self


class ImportConfig(
    _Edit, type="config.import", http=put(f"{AT}/import", body="document"), needs="configs:write"
):
    """Make a layer what an exported document says; the same again changes nothing."""

    model_config = ConfigDict(hide_input_in_errors=True)

    document: ConfigDocument

    @model_validator(mode="after")
    def _secrets_are_encrypted(self) -> Self:
        for key, item in self.document.items.items():
            encrypted = isinstance(item.value, str) and item.value.startswith(ENCRYPTED)
            if item.secret and not encrypted:
                raise ValueError(
                    f"document.items.{key} is a secret and is not encrypted ({ENCRYPTED}...): "
                    f"leave it out, and set it with `tracseq config set ... {key} --secret`"
                )
            told = "secret" in item.model_fields_set or item.value is None
            if not told and looks_secret(key):
                raise ValueError(
                    f"document.items.{key} is named like a secret: say `secret: false` with it "
                    "where it is none"
                )
        return self


class RollbackConfig(
    _Edit, type="config.rollback", http=edit("POST", f"{AT}/rollback"), needs="configs:write"
):
    """Make a layer what it was in an earlier version, as a new one."""

    to_version: Version


class UseTemplates(
    _Edit, type="config.use_templates", http=put(f"{AT}/templates"), needs="configs:write"
):
    """Say which templates lie beneath a layer, the newest of each, the last over the first."""

    templates: Annotated[tuple[TemplateName, ...], Field(max_length=20)]


class SaveTemplate(
    Command[TemplateView],
    type="config.save_template",
    http=put("/config-templates/{name}"),
    needs="configs:write",
):
    """Keep a version of a template; who uses an older one keeps it until told otherwise."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: TemplateName
    description: Text = ""
    values: Values
    required: tuple[ConfigKey, ...] = ()
    expected_version: ExpectedVersion | None = None

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        for key, value in self.values.items():
            _check_secret(key, value, encrypted=None)
        return self


class BeginRollout(
    _Edit,
    type="config.begin_rollout",
    http=edit("POST", f"{AT}/rollouts", status=201),
    needs="configs:write",
):
    """Change keys for a share of the instances first, then for more, then for all.

    An instance that refuses the change, at any stage, has it taken back from all.
    """

    values: Values
    percents: Annotated[
        tuple[Annotated[float, Field(gt=0, le=100)], ...],
        Field(min_length=1, max_length=20, examples=[[10, 50, 100]]),
    ] = (10, 50, 100)
    bake_seconds: Annotated[float, Field(ge=0, le=604_800)] = 60.0

    @model_validator(mode="after")
    def _grows(self) -> Self:
        for key, value in self.values.items():
            _check_secret(key, value, encrypted=None)
        if list(self.percents) != sorted(set(self.percents)) or self.percents[-1] != ALL_PERCENT:
            raise ValueError("percents must grow and end with 100, such as [10, 50, 100]")
        return self


class MoveRollout(
    Command[ConfigEdited],
    type="config.move_rollout",
    http=post(f"{AT}/rollouts/current/{{move}}", status=200),
    needs="configs:write",
):
    """Take a rollout to its next stage now, or take the change back from all."""

    service: ServiceName
    environment: EnvironmentName
    move: Literal["advance", "abort"]
    reason: Reason | None = None


class DecideChange(
    Command[ConfigEdited],
    type="config.decide_change",
    http=post("/change-requests/{change_request}/decision", status=200),
    needs="configs:approve",
):
    """Consent to somebody else's change, which makes it, or refuse it."""

    change_request: UUID
    approve: bool
    note: Text | None = None


class RotateKeys(
    Command[Rotated],
    type="config.rotate_keys",
    http=post("/config-keys/rotation", status=200),
    needs="configs:keys",
):
    """Wrap the keys of all secrets under the newest key of the ring; values stay as they are."""

    reason: Reason | None = None


class RegisterSchema(Command[CheckedIn], type="config.register_schema"):
    """Tell what configuration a version of a program understands."""

    service: ServiceName
    schema_hash: Sha256
    document: dict[str, Any]
    program_version: Annotated[str, Field(max_length=64)]
