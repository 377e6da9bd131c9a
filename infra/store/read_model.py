"""What a read model is: a name, what it can be asked by, and documents in a set order.

Documents hold JSON values only (a view as it is sent, and the fields it is asked by), so nothing depends
on how a store encodes identifiers, times or decimals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EVERY = "every"
"""A field that is 1 in each document: what an unfiltered list asks by, and what tells documents from the position."""
ORDER = "order"
"""A whole number that grows with what is newer; lists show the highest first."""
VIEW = "view"
POSITION_ID = "_position"


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One read model."""

    name: str
    ask_by: tuple[str, ...] = ()
    """Fields that lists filter by; each has an index together with the order."""

    def indexes(self) -> list[list[tuple[str, int]]]:
        """Give the keys of its indexes, equality first."""
        return [[(field, 1), (ORDER, -1)] for field in (EVERY, *self.ask_by)]

    def collection(self, generation: int) -> str:
        """Name the collection of one generation."""
        return f"{self.name}__g{generation}"


@dataclass(frozen=True, slots=True)
class Put:
    """Write one document."""

    id: str
    order: int
    view: Mapping[str, Any]
    fields: Mapping[str, Any]
    """What it can be asked by."""

    def document(self) -> dict[str, Any]:
        """Give the document as it is stored."""
        return {"_id": self.id, EVERY: 1, ORDER: self.order, VIEW: dict(self.view), **self.fields}


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete one document."""

    id: str


Write = Put | Remove


def newest_of_each(writes: Sequence[Write]) -> list[Write]:
    """Keep the last write of each document: what is written over at once need not be written."""
    return list({write.id: write for write in writes}.values())
