"""Whether a step is needed: conditions on what is known, as data that can be hashed and drawn.

There is no expression language and there are no lambdas: a condition compares a reference with a
constant, or joins other conditions. What is not known makes every comparison false.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from sagas.engine.mapping import MISSING, Known, Ref, describe, evaluate


class Condition(ABC):
    """Something that holds, or not, for what is known of a saga."""

    @abstractmethod
    def holds(self, known: Known) -> bool:
        """Say whether it holds."""

    @abstractmethod
    def refs(self) -> Iterator[Ref]:
        """Give every reference within, in order."""

    @abstractmethod
    def describe(self) -> Any:  # noqa: ANN401 - any JSON value
        """Describe it as JSON that changes exactly when its meaning does."""

    @abstractmethod
    def __str__(self) -> str:
        """Write it for people."""


@dataclass(frozen=True, slots=True)
class IsIn(Condition):
    """The value is one of these."""

    ref: Ref
    values: tuple[Any, ...]
    """As JSON."""

    def holds(self, known: Known) -> bool:
        """Say whether it holds."""
        return evaluate(self.ref, known) in self.values

    def refs(self) -> Iterator[Ref]:
        """Give the reference."""
        yield self.ref

    def describe(self) -> Any:  # noqa: ANN401 - any JSON value
        """Describe it as JSON."""
        return {"one_of": [describe(self.ref), list(self.values)]}

    def __str__(self) -> str:
        """Write it for people."""
        return f"{_name(self.ref)} is {' or '.join(map(repr, self.values))}"


@dataclass(frozen=True, slots=True)
class Exists(Condition):
    """There is such a value, and it is neither null nor an empty list, object or text."""

    ref: Ref

    def holds(self, known: Known) -> bool:
        """Say whether it holds."""
        value = evaluate(self.ref, known)
        return value is not MISSING and value not in (None, "", [], {})

    def refs(self) -> Iterator[Ref]:
        """Give the reference."""
        yield self.ref

    def describe(self) -> Any:  # noqa: ANN401 - any JSON value
        """Describe it as JSON."""
        return {"exists": describe(self.ref)}

    def __str__(self) -> str:
        """Write it for people."""
        return f"{_name(self.ref)} is there"


@dataclass(frozen=True, slots=True)
class Exceeds(Condition):
    """The value is a number above this one."""

    ref: Ref
    bound: float

    def holds(self, known: Known) -> bool:
        """Say whether it holds; quantities that travel as text are numbers too."""
        try:
            return float(str(evaluate(self.ref, known))) > self.bound
        except ValueError:
            return False

    def refs(self) -> Iterator[Ref]:
        """Give the reference."""
        yield self.ref

    def describe(self) -> Any:  # noqa: ANN401 - any JSON value
        """Describe it as JSON."""
        return {"exceeds": [describe(self.ref), float(self.bound)]}

    def __str__(self) -> str:
        """Write it for people."""
        return f"{_name(self.ref)} is above {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Joined(Condition):
    """All of these hold; or, with `enough`, at least one does."""

    conditions: tuple[Condition, ...]
    enough: bool = False

    def holds(self, known: Known) -> bool:
        """Say whether it holds."""
        each = (one.holds(known) for one in self.conditions)
        return any(each) if self.enough else all(each)

    def refs(self) -> Iterator[Ref]:
        """Give every reference within, in order."""
        for one in self.conditions:
            yield from one.refs()

    def describe(self) -> Any:  # noqa: ANN401 - any JSON value
        """Describe it as JSON."""
        return {"any_of" if self.enough else "all_of": [one.describe() for one in self.conditions]}

    def __str__(self) -> str:
        """Write it for people."""
        return (" or " if self.enough else " and ").join(f"({one})" for one in self.conditions)


@dataclass(frozen=True, slots=True)
class Not(Condition):
    """It does not hold."""

    condition: Condition

    def holds(self, known: Known) -> bool:
        """Say whether it does not."""
        return not self.condition.holds(known)

    def refs(self) -> Iterator[Ref]:
        """Give every reference within, in order."""
        return self.condition.refs()

    def describe(self) -> Any:  # noqa: ANN401 - any JSON value
        """Describe it as JSON."""
        return {"no": self.condition.describe()}

    def __str__(self) -> str:
        """Write it for people."""
        return f"not ({self.condition})"


def equals(ref: Ref, value: object) -> IsIn:
    """Compare a value with a constant: `when=equals(out("review.decision"), "release")`."""
    return IsIn(ref, (to_jsonable_python(value),))


def one_of(ref: Ref, *values: object) -> IsIn:
    """Compare a value with several constants."""
    return IsIn(ref, tuple(to_jsonable_python(value) for value in values))


def exists(ref: Ref) -> Exists:
    """Ask whether there is a value: `when=exists(start("emails"))`."""
    return Exists(ref)


def exceeds(ref: Ref, bound: float) -> Exceeds:
    """Ask whether a number is above a bound."""
    return Exceeds(ref, bound)


def all_of(*conditions: Condition) -> Joined:
    """Join conditions that must all hold."""
    return Joined(conditions)


def any_of(*conditions: Condition) -> Joined:
    """Join conditions of which one must hold."""
    return Joined(conditions, enough=True)


def no(condition: Condition) -> Not:
    """Turn a condition round."""
    return Not(condition)


def _name(ref: Ref) -> str:
    return ".".join((ref.step or ref.origin, *ref.path))
