"""The bases of every message, and the contract that each one states about itself.

A message class says in its own header what is true of it: its type (and so its owner and its
subject), its version, its HTTP binding, the permission it needs, and what it answers. Nothing here
sends anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Generic, Literal, TypeVar, Unpack, cast

from pydantic import BaseModel, ConfigDict

ResultT = TypeVar("ResultT")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Kind(StrEnum):
    """What a message is, spelt as its token in the subject."""

    COMMAND = "cmd"
    QUERY = "qry"
    EVENT = "evt"
    LAB = "lab"


@dataclass(frozen=True, slots=True)
class Http:
    """Where a command or query stands in HTTP, relative to `/api/v1`."""

    method: Method
    path: str
    """Path template; `{name}` is filled from (and fills) the field of that name."""
    status: int = 200
    """Status of a successful answer."""
    location: str | None = None
    """Template of the `Location` header, filled from the fields of the result."""
    then: "type[Query[Any]] | None" = None
    """Asked with the result's fields of the same names while the caller says `Prefer: wait`."""
    root: bool = False
    """Whether `path` stands at the root instead: an address that was promised to others so."""
    also: tuple[str, ...] = ()
    """Further templates, relative to `/api/v1`, at which the same is bound."""
    body: str | None = None
    """The field that takes the whole JSON body; without it the body's members are the fields."""
    if_match: str | None = None
    """The field that takes the version within `If-Match: "VERSION"`."""
    etag: str | None = None
    """The field of the result that is told as `ETag: "VERSION"`."""
    known: str | None = None
    """The field that takes the version within `If-None-Match`; 304 where the answer is that one."""
    accepted: str | None = None
    """The field of the result which, where it is there, makes the answer a 202: not done yet."""
    seals: str | None = None
    """The field whose value is sealed before it travels, where `encrypted` is true."""

    def paths(self, prefix: str) -> tuple[str, ...]:
        """Give every template at which it is bound, from the root on, the preferred one first."""
        first = self.path if self.root else prefix + self.path
        return (first, *(prefix + template for template in self.also))


def get(
    path: str,
    *,
    root: bool = False,
    also: tuple[str, ...] = (),
    etag: str | None = None,
    known: str | None = None,
) -> Http:
    """Bind a query to `GET path`."""
    return Http("GET", path, root=root, also=also, etag=etag, known=known)


def put(
    path: str,
    *,
    root: bool = False,
    also: tuple[str, ...] = (),
    body: str | None = None,
    seals: str | None = None,
) -> Http:
    """Bind a command that edits something versioned to `PUT path`; see `edit`."""
    return edit("PUT", path, root=root, also=also, body=body, seals=seals)


def edit(
    method: Method,
    path: str,
    *,
    status: int = 200,
    root: bool = False,
    also: tuple[str, ...] = (),
    body: str | None = None,
    seals: str | None = None,
) -> Http:
    """Bind a command that edits something versioned.

    It has a field `expected_version`; its result has `version`, and `change_request` where somebody
    must consent first.
    """
    return Http(
        method,
        path,
        status,
        root=root,
        also=also,
        body=body,
        if_match="expected_version",
        etag="version",
        accepted="change_request",
        seals=seals,
    )


def post(
    path: str,
    *,
    status: int = 201,
    location: str | None = None,
    then: "type[Query[Any]] | None" = None,
) -> Http:
    """Bind a command to `POST path`; 201 unless said otherwise."""
    return Http("POST", path, status, location, then)


@dataclass(frozen=True, slots=True)
class Contract:
    """All that a message class states about itself."""

    kind: Kind
    type: str
    """`owner.verb`, such as `sample.register`."""
    version: int = 1
    http: Http | None = None
    needs: str | None = None
    """The permission that a sender needs, `resource:action`; None for what only services send."""
    public: bool = True
    """Events only: whether the event leaves its owner's log."""

    @property
    def owner(self) -> str:
        """The service that decides on the message, or announces it."""
        return self.type.partition(".")[0]

    @property
    def verb(self) -> str:
        """What follows the owner in the type."""
        return self.type.partition(".")[2]

    @property
    def schema_urn(self) -> str:
        """The `ce-dataschema` of this version."""
        return f"urn:tracseq:{self.type}:{self.version}"


class Message(BaseModel):
    """What every message is: immutable, and strict about fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    contract: ClassVar[Contract]
    message_kind: ClassVar[Kind]

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,  # noqa: A002 - the CloudEvents name, and it reads best at the class header
        version: int = 1,
        http: Http | None = None,
        needs: str | None = None,
        public: bool = True,
        **config: Unpack[ConfigDict],
    ) -> None:
        """Record the contract of a class that names its type; bases and generic shells do not."""
        super().__init_subclass__(**config)
        if type is not None:
            cls.contract = Contract(cls.message_kind, type, version, http, needs, public)


class Command(Message, Generic[ResultT]):
    """An order to one service, answered with `ResultT` or refused."""

    message_kind = Kind.COMMAND


class Query(Message, Generic[ResultT]):
    """A question to one service, without effect, answered with `ResultT` or refused."""

    message_kind = Kind.QUERY


class Event(Message):
    """A fact that happened; tolerant of fields that a later version added."""

    model_config = ConfigDict(extra="ignore")

    message_kind = Kind.EVENT


class LabEvent(Event):
    """A raw fact from the bench, told by an instrument or a person; no service decides on it."""

    message_kind = Kind.LAB


def result_of(message: type[Command[Any]] | type[Query[Any]]) -> Any:  # noqa: ANN401 - any type may be an answer
    """Give the type with which a command or query is answered.

    Raises:
        TypeError: the class does not say, as in `class X(Command)` without `[Result]`.
    """
    for base in message.__mro__:
        meta = cast("Mapping[str, Any]", base.__dict__.get("__pydantic_generic_metadata__", {}))
        if meta.get("origin") in {Command, Query} and meta.get("args"):
            return meta["args"][0]
    raise TypeError(f"{message.__name__} does not say what it answers: write Command[Result]")
