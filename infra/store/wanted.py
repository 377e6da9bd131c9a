"""What a list is asked for by one field: a value, any of several, all of several, or a range. Pure.

A field may hold a list of values; it has what one of them is. What is asked for in a range is never
held by a field that holds nothing (None).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOWEST = -(1 << 62)
HIGHEST = 1 << 62


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these values, of a field that holds several."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Whole numbers from one on, below another."""

    low: int = LOWEST
    below: int = HIGHEST

    def holds(self, number: int) -> bool:
        """Say whether a number lies in it."""
        return self.low <= number < self.below

    def condition(self) -> dict[str, int]:
        """Ask a store for it: closed on both sides, which the embedded one finds at once."""
        return {"$gte": self.low, "$lt": self.below}


EVERYWHERE = Span()

Filters = Mapping[str, Any]
"""Field -> a JSON value, or one of the above."""


def fits(held: Any, wanted: Any) -> bool:  # noqa: ANN401 - JSON
    """Say whether what a document holds in a field is what is asked for."""
    match wanted:
        case AnyOf(values):
            return any(fits(held, value) for value in values)
        case AllOf(values):
            return all(fits(held, value) for value in values)
        case Span():
            return isinstance(held, int) and wanted.holds(held)
        case _:
            return wanted in held if isinstance(held, (list, tuple)) else held == wanted


def condition(wanted: Any) -> Any:  # noqa: ANN401 - as the store wants it
    """Ask a store for it; of `AllOf` for the first, since an index leads to one value at a time."""
    match wanted:
        case AnyOf((value,)):
            return value
        case AnyOf(values):
            return {"$in": list(values)}
        case AllOf((value, *_)):
            return value
        case Span():
            return wanted.condition()
        case _:
            return wanted
