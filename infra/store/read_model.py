"""What a read model is: a name, what it can be asked by, and documents in a set order.

A document holds JSON values only: a view as it is sent, and the fields it is asked by. So decimals
come back with every digit and times with their microseconds (BSON has milliseconds, and decimals
that two stores would have to agree on), and nothing depends on how a store encodes identifiers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ORDER = "order"
"""A whole number that grows with what is newer; lists show the highest first."""
VIEW = "view"
SEQ = "seq"
"""The sequence of what a document shows, where it has one."""
RESERVED = frozenset({"_id", ORDER, VIEW, SEQ})

Marks = tuple[int, ...]
"""Where the sources of a read model stand, one sequence each."""


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One read model."""

    name: str
    ask_by: tuple[str, ...] = ()
    """Fields that lists filter by; each has an index together with the order."""
    counted: tuple[str, ...] = ()
    """Those of them that have few values (a status, a type), all together at most
    `infra.store.census.FACETS_MAX` combinations: any page of a list that asks by no other field is
    found at once. Asking by another costs time in proportion to the documents with its value."""
    parts: int = 1
    """Sources that it is made from beside each other, each with sequences of its own; what one
    document shows comes from one of them."""

    def __post_init__(self) -> None:
        """Refuse a declaration that cannot work.

        Raises:
            ValueError: a name is taken, or a field is counted that cannot be asked by.
        """
        wrong = RESERVED.intersection(self.ask_by) | set(self.counted).difference(self.ask_by)
        if wrong:
            raise ValueError(
                f"read model {self.name}: {sorted(wrong)} cannot be asked by; choose a name other "
                f"than {sorted(RESERVED)}, and list in ask_by what is counted"
            )

    def indexes(self) -> list[list[tuple[str, int]]]:
        """Give the keys of its indexes, equality first."""
        return [[(ORDER, -1)], *([(field, 1), (ORDER, -1)] for field in self.ask_by)]

    @property
    def shape(self) -> str:
        """Say what its documents and its census are made for; another shape is filled anew."""
        shape = f"{','.join(self.ask_by)}|{','.join(self.counted)}"
        return shape if self.parts == 1 else f"{shape}|{self.parts}"

    @property
    def beginning(self) -> Marks:
        """Say where its sources stand before anything was read of them."""
        return (0,) * self.parts

    def collection(self, generation: int) -> str:
        """Name the collection of one generation."""
        return f"{self.name}__g{generation}"

    def blocks(self, generation: int) -> str:
        """Name the collection of its census (`infra.store.census`)."""
        return f"{self.collection(generation)}__blocks"


@dataclass(frozen=True, slots=True)
class Put:
    """Write one document."""

    id: str
    order: int
    view: Mapping[str, Any]
    """JSON values, as they are sent to whoever lists them."""
    fields: Mapping[str, Any]
    """What it can be asked by; JSON values, or a list of them where any one will do."""
    seq: int = 0
    """The sequence that it shows: it never replaces a document with as high a one, or a higher.
    0 where the order of the source is guard enough."""

    def document(self) -> dict[str, Any]:
        """Give the document as it is stored."""
        guarded = {SEQ: self.seq} if self.seq else {}
        return {"_id": self.id, ORDER: self.order, VIEW: dict(self.view), **self.fields, **guarded}


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete one document."""

    id: str


Write = Put | Remove


def newest_of_each(writes: Sequence[Write]) -> list[Write]:
    """Keep one write of each document, the last, or of those with a sequence the highest.

    What is written over at once need not be written.
    """
    newest: dict[str, Write] = {}
    for write in writes:
        before = newest.get(write.id)
        if isinstance(write, Put) and isinstance(before, Put) and write.seq < before.seq:
            continue
        newest[write.id] = write
    return list(newest.values())
