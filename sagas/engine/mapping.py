"""Where the fields of a step's command come from: references that are data, resolved by name.

A reference can be described (for the definition's hash), checked (by the validator) and evaluated
(by the machine). It holds no code: there is no expression language, and there are no lambdas.
"""

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, cast
from uuid import UUID

from pydantic_core import to_jsonable_python

SAGA_ID_FIELDS: Final = frozenset({"submission_id", "transaction_id"})
"""Fields of these names are the saga's own id where nothing else fills them."""


class Origin(StrEnum):
    """What a reference reads from."""

    SAGA = "saga"
    START = "start"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Ref:
    """One value that exists when the command is made."""

    origin: Origin
    step: str = ""
    """The step whose answer is read; empty for the other origins."""
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence with one reference per `{}`."""

    template: str
    refs: tuple[Ref, ...]

    @property
    def blanks(self) -> int:
        """How many references the template asks for."""
        return sum(field is not None for _, field, _, _ in string.Formatter().parse(self.template))


@dataclass(frozen=True, slots=True)
class Const:
    """A value that the definition itself gives, as JSON."""

    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    """An object, member by member."""

    members: tuple[tuple[str, "Fill"], ...]


@dataclass(frozen=True, slots=True)
class FirstOf:
    """The first of these that exists."""

    fills: tuple["Fill", ...]


Fill = Ref | Text | Const | Group | FirstOf

SAGA_ID: Final = Ref(Origin.SAGA)
"""The id of the saga itself."""


def start(path: str) -> Ref:
    """Refer to a field of the start message: `start("file.name")`."""
    return Ref(Origin.START, path=tuple(path.split(".")))


def out(path: str) -> Ref:
    """Refer to a field of an earlier step's answer: `out("validate.rows")`."""
    step, _, field = path.partition(".")
    return Ref(Origin.STEP, step, tuple(field.split(".")))


def text(template: str, *refs: Ref) -> Text:
    """Write references into a sentence: `text("{} samples", out("validate.accepted"))`."""
    return Text(template, refs)


def first_of(*given: object) -> FirstOf:
    """Take the first that is there: `first_of(out("scan.barcode"), start("barcode"))`."""
    return FirstOf(tuple(to_fill(one) for one in given))


def to_fill(given: object) -> Fill:
    """Read what stands in a definition's `given`: a reference, an object of such, or a constant."""
    if isinstance(given, Ref | Text | FirstOf):
        return given
    if isinstance(given, Mapping):
        members = cast("Mapping[str, object]", given)
        return Group(tuple((name, to_fill(value)) for name, value in members.items()))
    return Const(to_jsonable_python(given))


class Known(Protocol):
    """What references are evaluated against: a saga's state."""

    @property
    def saga_id(self) -> UUID: ...  # noqa: D102 - named for what it is
    @property
    def message(self) -> Mapping[str, Any]: ...  # noqa: D102 - the start message, as JSON
    def output(self, step: str) -> Mapping[str, Any] | None: ...  # noqa: D102 - a step's answer


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""What a reference evaluates to where the value is not there."""


Reader = Callable[[Known], Any]
"""What gives the JSON value of a fill, or `MISSING`."""


def reader(fill: Fill) -> Reader:
    """Make, once, what reads the value of a fill whenever it is wanted."""
    match fill:
        case Ref():
            return _reader_of(fill)
        case Const():
            return lambda _: fill.value
        case Text():
            return _writer(fill.template, [_reader_of(ref) for ref in fill.refs])
        case Group():
            return data_reader(dict(fill.members))
        case FirstOf():
            return _first([reader(one) for one in fill.fills])


def evaluate(fill: Fill, known: Known) -> Any:  # noqa: ANN401 - any JSON value
    """Give the JSON value, or `MISSING`."""
    return reader(fill)(known)


def data_reader(fills: Mapping[str, Fill]) -> Callable[[Known], dict[str, Any]]:
    """Make what makes the data of a command; a field whose value is missing is left out.

    The participant then refuses the command and names the field, which the saga handles as any
    other refusal: a contract broken by one service never stops the machine.
    """
    readers = tuple((name, reader(fill)) for name, fill in fills.items())

    def read(known: Known) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for name, one in readers:
            value = one(known)
            if value is not MISSING:
                data[name] = value
        return data

    return read


def evaluate_names(fill: Fill, known: Known) -> list[str]:
    """Give the people whom a list names; none where there is no such list."""
    found = evaluate(fill, known)
    # Where nobody is named, nobody may: nothing is open to all by mistake.
    named = cast("Iterable[object]", found) if isinstance(found, list | tuple) else ()
    return [str(one) for one in named]


def references(fill: Fill) -> Iterable[Ref]:
    """Give every reference within, in order."""
    match fill:
        case Ref():
            yield fill
        case Text():
            yield from fill.refs
        case Group():
            for _, member in fill.members:
                yield from references(member)
        case FirstOf():
            for one in fill.fills:
                yield from references(one)
        case Const():
            return


def describe(fill: Fill) -> Any:  # noqa: ANN401 - any JSON value
    """Describe a fill as JSON that changes exactly when its meaning does."""
    match fill:
        case Ref():
            return {"ref": [fill.origin, fill.step, *fill.path]}
        case Text():
            return {"text": fill.template, "refs": [describe(ref) for ref in fill.refs]}
        case Const():
            return {"const": fill.value}
        case Group():
            return {"group": {name: describe(member) for name, member in fill.members}}
        case FirstOf():
            return {"first_of": [describe(one) for one in fill.fills]}


def _reader_of(ref: Ref) -> Reader:
    step, path = ref.step, ref.path
    match ref.origin:
        case Origin.SAGA:
            return lambda known: str(known.saga_id)
        case Origin.START if len(path) == 1:
            (name,) = path
            return lambda known: known.message.get(name, MISSING)
        case Origin.START:
            return lambda known: _follow(known.message, path)
        case Origin.STEP:
            return lambda known: _follow(known.output(step), path)


def _follow(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    for name in path:
        if not isinstance(value, dict):
            return MISSING
        value = cast("dict[str, Any]", value).get(name, MISSING)
    return value


def _writer(template: str, readers: Sequence[Reader]) -> Reader:
    def write(known: Known) -> Any:  # noqa: ANN401 - a text or `MISSING`
        values = [one(known) for one in readers]
        return MISSING if any(value is MISSING for value in values) else template.format(*values)

    return write


def _first(readers: Sequence[Reader]) -> Reader:
    def read(known: Known) -> Any:  # noqa: ANN401 - any JSON value
        for one in readers:
            value = one(known)
            if value is not MISSING:
                return value
        return MISSING

    return read
