"""Ask a read model: pages, newest first, in a time that does not grow with what matches.

Where only counted fields are asked by, the census says where a page lies, and one or two narrow
closed ranges of the order are read. Asking by another field walks what has its value: that should
be little. Nothing else can be asked: there is no search here.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic

from contracts.errors import Refused, Retryable, Unavailable
from infra.store.census import FACETS_MAX, Block, Stretch, codes_of, find, stretches
from infra.store.client import Collection, Document, Store, reaching
from infra.store.generation import read_block
from infra.store.pointer import Pointer, read_pointer
from infra.store.projector import WAIT_FOR_SECONDS, ItemT, Projector
from infra.store.read_model import ORDER, VIEW

BLOCKS_MAX = 20_000
"""Blocks of a census that are read for one list: 10 million documents."""
HIGHEST = 1 << 62
RETRY_AFTER_SECONDS = 2
NEWEST_FIRST = [(ORDER, -1), ("_id", -1)]

View = dict[str, Any]
Filters = Mapping[str, Any]


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
        order_min: int | None = None,
    ) -> tuple[list[View], int]:
        """Give the views of one page, newest first, and how many there are in all.

        Args:
            filters: by field; None does not filter.
            page: from 1 on.
            page_size: how many views at most.
            min_seq: the sequence that the list must show; waited for, within `WAIT_FOR_SECONDS`.
            order_min: the lowest order that is listed.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time (`Unavailable`).
            ValueError: the read model is not declared to be asked by one of the fields.
        """
        asked = {name: value for name, value in filters.items() if value is not None}
        if strange := asked.keys() - set(self._model.ask_by):
            raise ValueError(f"read model {self._model.name} cannot be asked by {sorted(strange)}")
        pointer = await self._shown(min_seq)
        full = len(pointer.facets) >= FACETS_MAX
        counted = asked.keys() <= set(self._model.counted) and not (asked and full)
        with self._answering():
            way = self._by_census if counted else self._by_walk
            return await way(pointer, asked, ((page - 1) * page_size, page_size), order_min)

    async def one(self, document_id: str, *, min_seq: int = 0) -> View | None:
        """Give the view of one document; None where there is none.

        Raises:
            Refused: as `page`.
        """
        pointer = await self._shown(min_seq)
        with self._answering():
            found = await self._documents(pointer).find_one({"_id": document_id}, {VIEW: 1})
        return found[VIEW] if found else None

    async def _shown(self, min_seq: int) -> Pointer:
        if min_seq:
            await self._projector.wait_for(min_seq, timeout_seconds=WAIT_FOR_SECONDS)
        with self._answering():
            pointer = await read_pointer(self._store, self._model.name)
        known = pointer is not None and pointer.shape == self._model.shape
        if pointer is None or pointer.seq < min_seq or not known:
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
        except Retryable:
            raise Refused(Unavailable(what="The document store")) from None

    # By the census

    async def _by_census(
        self, pointer: Pointer, asked: Filters, window: tuple[int, int], order_min: int | None
    ) -> tuple[list[View], int]:
        collection = self._store.collection(self._model.blocks(pointer.generation))
        blocks = {b["_id"]: read_block(b) for b in await collection.find().to_list(BLOCKS_MAX)}
        seen = stretches(blocks, codes_of(self._model, pointer.facets, asked))
        if order_min is not None:
            seen = await self._cut(pointer, asked, seen, order_min)
        skip, take = window
        found = find(seen, skip=skip, take=take)
        key = self._rarest(pointer, blocks, asked)
        views: list[View] = []
        for stretch in found.stretches:
            views += await self._read(pointer, asked, key, stretch)
        return views[found.skip : found.skip + take], sum(one.matching for one in seen)

    async def _cut(
        self, pointer: Pointer, asked: Filters, seen: Sequence[Stretch], order_min: int
    ) -> list[Stretch]:
        """Leave out what is older; of the block in which that begins, the newer part is counted."""
        kept = [one for one in seen if one.low >= order_min]
        partly = next((one for one in seen if one.low < order_min), None)
        if partly is not None and (partly.below is None or partly.below > order_min):
            stretch = Stretch(order_min, partly.below, 0)
            key = next(iter(asked), None)
            matching = len(await self._read(pointer, asked, key, stretch))
            kept.append(Stretch(order_min, partly.below, matching))
        return kept

    def _rarest(self, pointer: Pointer, blocks: Mapping[int, Block], asked: Filters) -> str | None:
        """Choose the field whose index leads to the fewest documents."""

        def matches(name: str) -> int:
            codes = codes_of(self._model, pointer.facets, {name: asked[name]})
            return sum(one.matching for one in stretches(blocks, codes))

        return min(asked, key=matches, default=None)

    async def _read(
        self, pointer: Pointer, asked: Filters, key: str | None, stretch: Stretch
    ) -> list[View]:
        """Read what matches in a block, newest first.

        Asked of the store is one field and the range, which one index answers; with more fields it
        may choose the index of another and walk all that has its value. The rest is left out here.
        """
        query: Document = {} if key is None else {key: asked[key]}
        below = HIGHEST if stretch.below is None else stretch.below
        query[ORDER] = {"$gte": stretch.low, "$lt": below}
        shown = {VIEW: 1, **dict.fromkeys(asked, 1)}
        found = await self._documents(pointer).find(query, shown).sort(NEWEST_FIRST).to_list(None)
        return [document[VIEW] for document in found if _matches(document, asked)]

    # By walking what has a value

    async def _by_walk(
        self, pointer: Pointer, asked: Filters, window: tuple[int, int], order_min: int | None
    ) -> tuple[list[View], int]:
        """Find a page among what has the first value asked for that is not counted."""
        key = next((name for name in asked if name not in self._model.counted), next(iter(asked)))
        query: Document = {key: asked[key]}
        if order_min is not None:
            query[ORDER] = {"$gte": order_min, "$lt": HIGHEST}
        # One field and the range, as in `_read`; the views are read of one page alone.
        documents = self._documents(pointer)
        cursor = documents.find(query, dict.fromkeys(asked, 1)).sort(NEWEST_FIRST)
        ids = [document["_id"] async for document in cursor if _matches(document, asked)]
        skip, take = window
        on_page = ids[skip : skip + take]
        found = await documents.find({"_id": {"$in": on_page}}, {VIEW: 1}).to_list(None)
        views = {document["_id"]: document[VIEW] for document in found}
        return [views[one] for one in on_page if one in views], len(ids)

    def _documents(self, pointer: Pointer) -> Collection:
        return self._store.collection(self._model.collection(pointer.generation))


def _matches(document: Document, asked: Filters) -> bool:
    for name, value in asked.items():
        held = document.get(name)
        if held != value and not (isinstance(held, list) and value in held):
            return False
    return True
