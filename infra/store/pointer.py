"""Where a read model stands: which generation serves, how far it is, who writes it.

One small document per read model in `_read_models`, and one more for a generation that is being
filled in the shadow. It is written in the same transaction as the documents, so it never claims
more, or less, than they show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from infra.store.census import Facet, facet_from
from infra.store.client import Store
from infra.store.errors import reaching
from infra.store.guarded import Document, Session
from infra.store.read_model import Marks, ReadModel
from infra.store.wanted import LOWEST

POINTERS = "_read_models"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where one generation stands."""

    id: str
    """The read model's name; for a shadow, the name of its collection."""
    generation: int
    marks: Marks
    """The newest sequence of each source that the documents show."""
    writer: str
    """Who may move the pointer: a claim by another ends it."""
    shape: str
    """The `ReadModel.shape` for which it was filled."""
    facets: Sequence[Facet] = ()
    highest: int = LOWEST
    """The highest order of its documents, with the facets a part of their census."""

    @property
    def seq(self) -> int:
        """How much the documents show: the sequence, or the sum of several sources' sequences."""
        return sum(self.marks)

    def position(self) -> Document:
        """Give what must be as it was read, for a change to be allowed."""
        return {
            "_id": self.id,
            "generation": self.generation,
            "seq": self.marks[0] if len(self.marks) == 1 else list(self.marks),
            "writer": self.writer,
        }

    def document(self) -> Document:
        """Give the document as it is stored."""
        facets = [list(facet) for facet in self.facets]
        return {**self.position(), "shape": self.shape, "highest": self.highest, "facets": facets}


class Displaced(Exception):
    """A signal: the pointer is not where its writer left it."""


async def read_pointer(store: Store, pointer_id: str) -> Pointer | None:
    """Read a pointer; None where there is none (yet, or any more).

    Raises:
        StoreUnavailable: the store does not answer.
    """
    with reaching(f"the position of {pointer_id} cannot be read"):
        found = await store.documents(POINTERS).read_one({"_id": pointer_id})
    if found is None:
        return None
    return Pointer(
        id=pointer_id,
        generation=int(found["generation"]),
        marks=_marks_from(found["seq"]),
        writer=str(found["writer"]),
        shape=str(found["shape"]),
        highest=int(found["highest"]),
        facets=[facet_from(facet) for facet in found["facets"]],
    )


def _marks_from(seq: Any) -> Marks:  # noqa: ANN401 - as it was stored
    return tuple(int(mark) for mark in seq) if isinstance(seq, list) else (int(seq),)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - as it was stored


async def make_pointer(store: Store, pointer: Pointer) -> None:
    """Write a pointer where there is none; one that is there stays as it is.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    with reaching(f"{pointer.id} was not begun"):
        try:
            await store.documents(POINTERS).insert(pointer.document())
        except DuplicateKeyError:
            return


async def move_pointer(
    store: Store, before: Pointer, after: Pointer, *, session: Session | None = None
) -> None:
    """Move a pointer from where its writer left it.

    Raises:
        Displaced: it is not there any more; nothing was changed.
        StoreUnavailable, Conflict: as `Store.together`.
    """
    with reaching(f"the position of {before.id} was not moved"):
        moved = await store.documents(POINTERS).replace(
            before.position(), after.document(), session=session
        )
    if moved != 1:
        raise Displaced(before.id)


async def drop_pointer(store: Store, which: Document, *, session: Session | None = None) -> bool:
    """Delete a pointer, and say whether it was there.

    Raises:
        StoreUnavailable, Conflict: as `Store.together`.
    """
    with reaching(f"the position of {which['_id']} was not deleted"):
        deleted = await store.documents(POINTERS).delete(which, session=session)
    return deleted == 1


async def next_generation(store: Store, model: ReadModel) -> int:
    """Give a generation whose collections were never written, as far as the store knows.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    return 1 + max(await generations(store, model), default=0)


async def generations(store: Store, model: ReadModel) -> set[int]:
    """Name the generations of which something is there.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    prefix = f"{model.name}__g"
    tails = [name.removeprefix(prefix) for name in await store.names(prefix)]
    numbers = [tail.removesuffix("__blocks") for tail in tails]
    return {int(number) for number in numbers if number.isdigit()}
