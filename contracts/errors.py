"""What can go wrong, in one taxonomy: a refusal, an unwell world, or a bug.

A `Refusal` is the domain's no: an answer with a stable dotted code, a status and a remedy; never
retried. `Retryable` is the world's not now: retried, and counted by the breaker. Anything else is a
bug.

Problem details (RFC 9457) are shaped here; how they are served is not decided here.
"""

from typing import Any, ClassVar, NamedTuple, Unpack

from pydantic import BaseModel, ConfigDict, Field

from contracts.types import Value


class FieldError(Value):
    """One thing wrong with one value, and what to do about it."""

    field: str
    value: str | None = None
    """The value as it was given, shortened; None where it was missing."""
    problem: str
    remedy: str


class Problem(BaseModel):
    """RFC 9457 problem details, with the members that every TracSeq error carries."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = Field(default_factory=list[FieldError])
    trace_id: str | None = None


class RefusalSpec(NamedTuple):
    """What a refusal class states about itself."""

    code: str
    status: int
    says: str
    """The detail: a format string over the refusal's own fields, remedy included."""


class Refusal(Value):
    """The domain says no. Subclasses state code, status and the sentence for people."""

    spec: ClassVar[RefusalSpec]

    def __init_subclass__(
        cls,
        *,
        code: str | None = None,
        status: int = 422,
        says: str = "",
        **config: Unpack[ConfigDict],
    ) -> None:
        """Record what a class that names its code states about itself."""
        super().__init_subclass__(**config)
        if code is not None:
            cls.spec = RefusalSpec(code, status, says)

    @property
    def detail(self) -> str:
        """The sentence for people, filled in."""
        return self.spec.says.format_map(
            {name: getattr(self, name) for name in type(self).model_fields}
        )

    def field_errors(self) -> list[FieldError]:
        """Name the fields at fault; refusals about no single field give none."""
        return []

    def to_problem(self, trace_id: str | None = None) -> Problem:
        """Say it as problem details; the refusal's own fields come along as members."""
        own: dict[str, Any] = self.model_dump(mode="json")
        own.pop("errors", None)
        first_line = (type(self).__doc__ or self.spec.code).strip().splitlines()[0]
        return Problem(
            type=f"urn:tracseq:problem:{self.spec.code}",
            title=first_line.rstrip("."),
            status=self.spec.status,
            detail=self.detail,
            code=self.spec.code,
            errors=self.field_errors(),
            trace_id=trace_id,
            **{
                k: v
                for k, v in own.items()
                if k not in {"type", "title", "status", "detail", "code", "trace_id"}
            },
        )


class InvalidInput(
    Refusal,
    code="request.invalid",
    status=422,
    says="{count} value(s) cannot be accepted; each is listed with its remedy. "
    "Nothing was changed.",
):
    """The input does not fit its contract."""

    count: int
    errors: list[FieldError]

    def field_errors(self) -> list[FieldError]:
        """Name every field at fault."""
        return self.errors


class Malformed(Refusal, code="request.malformed", status=400, says="{what} Nothing was changed."):
    """The request cannot be read."""

    what: str


class TooLarge(
    Refusal,
    code="request.too_large",
    status=413,
    says="The request has {size_bytes} bytes; at most {size_bytes_max} are taken. "
    "Split it, or upload less.",
):
    """The request is larger than the bound."""

    size_bytes: int
    size_bytes_max: int


class NotFound(
    Refusal,
    code="request.not_found",
    status=404,
    says="There is no {what} {key}. Check the identifier; lists show what there is.",
):
    """What was asked for does not exist."""

    what: str
    key: str


class Unavailable(
    Refusal,
    code="service.unavailable",
    status=503,
    says="{what} does not answer now. Nothing is lost; try again in {retry_after_seconds} s.",
):
    """Something that is needed is unwell."""

    what: str
    retry_after_seconds: int = 5


class Unexpected(
    Refusal,
    code="service.unexpected",
    status=500,
    says="{what} failed in a way it should not. "
    "The message is kept as a dead letter: an operator finds it by the trace id.",
):
    """A fault of the system's own."""

    what: str


class Refused(Exception):
    """A refusal on its way to whoever asked."""

    def __init__(self, refusal: Refusal) -> None:
        """Carry the refusal; the text is its code and detail."""
        super().__init__(f"{refusal.spec.code}: {refusal.detail}")
        self.refusal = refusal


class Retryable(Exception):
    """The world is unwell: the same attempt may succeed later."""


class Conflict(Retryable):
    """Another writer was first: load and decide again."""
