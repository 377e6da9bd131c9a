"""Ask a read model: pages, newest first, in a time that does not grow with what matches.

Where only counted fields are asked by, the census says where a page lies, and one or two narrow
closed ranges of the order are read. Asking by another field walks what has its value: that should
be little. What can be asked is declared (`ReadModel.ask_by`): there is no search in texts here.
"""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any, Generic

from contracts.errors import Refused, Retryable, Unavailable
from infra.store.census import FACETS_MAX, Block, Stretch, codes_of, find, stretches
from infra.store.client import Store
from infra.store.errors import StoreSpared, reaching
from infra.store.generation import read_block
from infra.store.guarded import Document, Documents
from infra.store.pointer import Pointer, read_pointer
from infra.store.projector import WAIT_FOR_SECONDS, ItemT, Projector
from infra.store.read_model import ORDER, VIEW
from infra.store.wanted import EVERYWHERE, HIGHEST, AnyOf, Filters, Span, condition, fits

BLOCKS_MAX = 20_000
"""Blocks of a census that are read for one list: 10 million documents."""
RETRY_AFTER_SECONDS = 2
NEWEST_FIRST = [(ORDER, -1), ("_id", -1)]

View = dict[str, Any]


class Reader(Generic[ItemT]):
    """Reads what a projector writes, whichever process wrote it."""

    def __init__(self, store: Store, projector: Projector[ItemT]) -> None:
        """Read the read model that the projector keeps."""
        self._store = store
        self._projector = projector
        self._model = projector.model

    async def page(
        self,
        filters: Filters,
        *,
        page: int,
        page_size: int,
        min_seq: int = 0,
        part: int = 0,
        orders: Span = EVERYWHERE,
    ) -> tuple[list[View], int]:
        """Give the views of one page, newest first, and how many there are in all.

        Args:
            filters: by field, a value or what `infra.store.wanted` has; None does not filter.
            page: from 1 on.
            page_size: how many views at most.
            min_seq: the sequence that the list must show; waited for, within `WAIT_FOR_SECONDS`.
            part: the source whose sequence that is, where the read model has several.
            orders: of which documents are listed.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time (`Unavailable`).
            ValueError: the read model is not declared to be asked by one of the fields.
        """
        asked = self._asked(filters)
        pointer = await self._shown(min_seq, part)
        full = len(pointer.facets) >= FACETS_MAX
        counted = asked.keys() <= set(self._model.counted) and not (asked and full)
        with self._answering():
            way = self._by_census if counted else self._by_walk
            return await way(pointer, asked, ((page - 1) * page_size, page_size), orders)

    async def ids(self, filters: Filters, *, limit: int, orders: Span = EVERYWHERE) -> list[str]:
        """Give the ids of what is asked for, newest first, at most `limit`.

        Raises:
            Refused, ValueError: as `page`.
        """
        asked = self._asked(filters)
        pointer = await self._shown()
        found: list[str] = []
        with self._answering():
            async with aclosing(self._walk(pointer, asked, orders)) as walking:
                async for one in walking:
                    found.append(one)
                    if len(found) == limit:
                        break
        return found

    async def stored(self, document_id: str) -> tuple[Pointer, Document | None]:
        """Give a document as it lies in the store, and where the read model stood just before.

        Raises:
            Refused: as `page`.
        """
        pointer = await self._shown()
        with self._answering():
            return pointer, await self._documents(pointer).read_one({"_id": document_id})

    def _asked(self, filters: Filters) -> dict[str, Any]:
        asked = {name: value for name, value in filters.items() if value is not None}
        if strange := asked.keys() - set(self._model.ask_by):
            raise ValueError(f"read model {self._model.name} cannot be asked by {sorted(strange)}")
        return asked

    async def one(self, document_id: str, *, min_seq: int = 0) -> View | None:
        """Give the view of one document; None where there is none.

        Raises:
            Refused: as `page`.
        """
        pointer = await self._shown(min_seq)
        with self._answering():
            found = await self._documents(pointer).read_one({"_id": document_id}, {VIEW: 1})
        return found[VIEW] if found else None

    async def _shown(self, min_seq: int = 0, part: int = 0) -> Pointer:
        if min_seq:
            await self._projector.wait_for(min_seq, part=part, timeout_seconds=WAIT_FOR_SECONDS)
        with self._answering():
            pointer = await read_pointer(self._store, self._model.name)
        known = pointer is not None and pointer.shape == self._model.shape
        if pointer is None or not known or pointer.marks[part] < min_seq:
            # The store lost something a moment ago, or the service is being replaced by another
            # version of it; the projector sees to it.
            what = f"The list of {self._model.name} (it is being filled again)"
            raise Refused(Unavailable(what=what, retry_after_seconds=RETRY_AFTER_SECONDS))
        return pointer

    @contextmanager
    def _answering(self) -> Generator[None]:
        try:
            with reaching(f"{self._model.name} cannot be read"):
                yield
        except StoreSpared as spared:
            raise Refused(spared.refused.refusal("The document store")) from None
        except Retryable:
            raise Refused(Unavailable(what="The document store")) from None

    # By the census

    async def _by_census(
        self, pointer: Pointer, asked: Filters, window: tuple[int, int], orders: Span
    ) -> tuple[list[View], int]:
        blocks = await self._blocks(pointer)
        seen = stretches(blocks, codes_of(self._model, pointer.facets, asked))
        if orders != EVERYWHERE:
            seen = await self._cut(pointer, asked, seen, orders)
        skip, take = window
        found = find(seen, skip=skip, take=take)
        key = self._rarest(pointer, blocks, asked)
        views: list[View] = []
        for stretch in found.stretches:
            views += await self._read(pointer, asked, key, stretch)
        return views[found.skip : found.skip + take], sum(one.matching for one in seen)

    async def _blocks(self, pointer: Pointer) -> dict[int, Block]:
        found: dict[int, Block] = {}
        stored = self._store.documents(self._model.blocks(pointer.generation)).read()
        async with aclosing(stored):
            async for block in stored:
                found[block["_id"]] = read_block(block)
                if len(found) == BLOCKS_MAX:
                    break
        return found

    async def _cut(
        self, pointer: Pointer, asked: Filters, seen: Sequence[Stretch], orders: Span
    ) -> list[Stretch]:
        """Leave out what lies elsewhere; of a block that is cut, what is left is counted."""
        kept: list[Stretch] = []
        for one in seen:
            top = HIGHEST if one.below is None else one.below
            inside = replace(one, low=max(one.low, orders.low), below=min(top, orders.below))
            if (inside.low, inside.below) == (one.low, top):
                kept.append(one)
            elif inside.low < min(top, orders.below):
                key = next((name for name in asked if _leads(asked[name])), None)
                views = await self._read(pointer, asked, key, inside)
                kept.append(replace(inside, matching=len(views)))
        return kept

    def _rarest(self, pointer: Pointer, blocks: Mapping[int, Block], asked: Filters) -> str | None:
        """Choose the field whose index leads to the fewest documents."""

        def matches(name: str) -> int:
            codes = codes_of(self._model, pointer.facets, {name: asked[name]})
            return sum(one.matching for one in stretches(blocks, codes))

        return min((name for name in asked if _leads(asked[name])), key=matches, default=None)

    async def _read(
        self, pointer: Pointer, asked: Filters, key: str | None, stretch: Stretch
    ) -> list[View]:
        """Read what matches in a block, newest first.

        Asked of the store is one field and the range, which one index answers; with more fields it
        may choose the index of another and walk all that has its value. The rest is left out here.
        """
        query: Document = {} if key is None else {key: condition(asked[key])}
        below = HIGHEST if stretch.below is None else stretch.below
        query[ORDER] = Span(stretch.low, below).condition()
        shown = {VIEW: 1, **dict.fromkeys(asked, 1)}
        found = self._documents(pointer).read(query, shown, newest_first=NEWEST_FIRST)
        return [document[VIEW] async for document in found if _matches(document, asked)]

    # By walking what has a value

    async def _by_walk(
        self, pointer: Pointer, asked: Filters, window: tuple[int, int], orders: Span
    ) -> tuple[list[View], int]:
        """Find a page among what has one of the values; the views are read of the page alone."""
        ids = [one async for one in self._walk(pointer, asked, orders)]
        skip, take = window
        on_page = ids[skip : skip + take]
        found = self._documents(pointer).read({"_id": {"$in": on_page}}, {VIEW: 1})
        views = {document["_id"]: document[VIEW] async for document in found}
        return [views[one] for one in on_page if one in views], len(ids)

    async def _walk(self, pointer: Pointer, asked: Filters, orders: Span) -> AsyncGenerator[str]:
        """Give the ids of what matches, newest first; asked of the store is as in `_read`."""
        key = self._leading(asked)
        query: Document = {} if key is None else {key: condition(asked[key])}
        if key is None or orders != EVERYWHERE:
            query[ORDER] = orders.condition()
        shown = {"_id": 1, **dict.fromkeys(asked, 1)}
        found = self._documents(pointer).read(query, shown, newest_first=NEWEST_FIRST)
        async with aclosing(found):
            async for document in found:
                if _matches(document, asked):
                    yield document["_id"]

    def _leading(self, asked: Filters) -> str | None:
        """Choose the field to walk by: one with many values first, a range last."""

        def rank(name: str) -> int:
            return 2 if isinstance(asked[name], Span) else name in self._model.counted

        return min((name for name in self._model.ask_by if name in asked), key=rank, default=None)

    def _documents(self, pointer: Pointer) -> Documents:
        return self._store.documents(self._model.collection(pointer.generation))


def _leads(wanted: object) -> bool:
    """Say whether an index leads to it within a range: for several values the range alone does."""
    return not isinstance(wanted, AnyOf) or len(wanted.values) == 1


def _matches(document: Document, asked: Filters) -> bool:
    return all(fits(document.get(name), wanted) for name, wanted in asked.items())
