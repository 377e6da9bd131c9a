"""One generation of a read model, as its one writer holds it: documents, census and position.

A batch is one transaction, the position first: a writer that was overtaken changes nothing, also
not the documents, and a crash leaves all of a batch or none. What is in it is decided elsewhere.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import structlog
from pymongo import DeleteOne, ReplaceOne

from infra.ids import new_id
from infra.store.census import Census, Staged, Standing
from infra.store.client import Store
from infra.store.errors import StoreUnavailable, reaching
from infra.store.guarded import Document, Documents, Session
from infra.store.pointer import (
    Displaced,
    Pointer,
    make_pointer,
    move_pointer,
    next_generation,
    read_pointer,
)
from infra.store.read_model import ORDER, SEQ, Marks, Put, ReadModel, Write
from infra.store.wanted import Span

log = structlog.get_logger(__name__)

REMEMBERED_MAX = 50_000
"""Documents of which is remembered where they stand, some 15 MB; others are looked up."""

Requests = list[ReplaceOne[Document] | DeleteOne]


class Generation:
    """Writes one generation; made by `claim`."""

    def __init__(self, store: Store, model: ReadModel, pointer: Pointer) -> None:
        """Hold a pointer that was claimed; its census is read next."""
        self.pointer = pointer
        self._store = store
        self._model = model
        self._census = Census(
            model, {facet: i for i, facet in enumerate(pointer.facets, 1)}, pointer.highest
        )
        self._known: OrderedDict[str, Standing] = OrderedDict()
        self._knows_all = True
        self._looked_at = dict.fromkeys((ORDER, SEQ, *model.counted), 1)

    @classmethod
    async def claim(
        cls,
        store: Store,
        model: ReadModel,
        pointer_id: str,
        *,
        generation: int | None = None,
        reshape: bool = True,
    ) -> "Generation":
        """Become the writer: of what is there, else of a new generation, which begins at 0.

        Args:
            store: where it is, or will be.
            model: what it is for.
            pointer_id: of the pointer to claim.
            generation: its number if it is new; else the next that is free.
            reshape: begin a new one where what is there was filled for another shape.

        Raises:
            Displaced: another claimed it at the same moment.
            StoreUnavailable, Conflict: as `Store.together`; also where the shape is another, and
                not to be changed.
        """
        found = await read_pointer(store, pointer_id)
        if found is None:
            number = generation or await next_generation(store, model)
            found = Pointer(pointer_id, number, model.beginning, new_id().hex, model.shape)
            await make_pointer(store, found)
        if found.shape != model.shape and not reshape:
            raise StoreUnavailable(f"another version of the service keeps read model {model.name}")
        mine = replace(found, writer=new_id().hex)
        await _prepare(store, model, mine.generation)
        await move_pointer(store, found, mine)
        claimed = cls(store, model, mine)
        if found.shape == model.shape:
            await claimed._load()
        else:
            await claimed._begin_anew(f"it was filled for {found.shape}")
        return claimed

    async def _load(self) -> None:
        """Read the census and where documents stand; what does not fit together is begun anew."""
        with reaching(f"the census of {self._model.name} cannot be read"):
            async for block in self._blocks.read():
                self._census.blocks[block["_id"]] = read_block(block)
            living = self._census.living()
            self._knows_all = living <= REMEMBERED_MAX
            if self._knows_all:
                async for document in self._documents.read({}, self._looked_at):
                    if isinstance(document.get(ORDER), int):
                        self._remember(document["_id"], self._standing(document))
        if self._knows_all and len(self._known) != living:
            await self._begin_anew(f"{len(self._known)} documents, {living} counted")

    async def _begin_anew(self, why: str) -> None:
        """Leave a generation that is of no use for a new one, which fills from the beginning."""
        log.warning("read_model.begun_anew", read_model=self._model.name, why=why)
        number = await next_generation(self._store, self._model)
        fresh = Pointer(
            self.pointer.id,
            number,
            self._model.beginning,
            self.pointer.writer,
            self._model.shape,
        )
        await _prepare(self._store, self._model, number)
        await move_pointer(self._store, self.pointer, fresh)
        self.pointer = fresh
        self._census = Census(self._model)
        self._known.clear()

    @property
    def _documents(self) -> Documents:
        return self._store.documents(self._model.collection(self.pointer.generation))

    @property
    def _blocks(self) -> Documents:
        return self._store.documents(self._model.blocks(self.pointer.generation))

    async def check(self) -> None:
        """Return where the store shows what this writer wrote last.

        Raises:
            Displaced: it does not: another writes, or the store lost its tail or everything.
            StoreUnavailable: the store does not answer.
        """
        found = await read_pointer(self._store, self.pointer.id)
        if found is None or found.position() != self.pointer.position():
            raise Displaced(self.pointer.id)

    async def write(self, writes: Sequence[Write], marks: Marks) -> None:
        """Write documents and the position they lead to: all, or nothing.

        Args:
            writes: at most one for each document; left out is what shows no higher a sequence
                than what is there.
            marks: the sequence of each source that is shown then.

        Raises:
            Displaced: the position is not where this writer left it; nothing was written.
            StoreUnavailable, Conflict: as `Store.together`; claim again before the next write.
        """
        known = await self._find([write.id for write in writes])
        newer = [write for write in writes if not _is_shown(write, known.get(write.id))]
        await self._store_staged(self._census.stage(newer, known), marks)

    async def mend(self, put: Put, seen: Document | None) -> bool:
        """Write a document over whatever stands in its place, and count its blocks anew.

        Args:
            put: what the document should be.
            seen: what stood there when it was found to be wrong; None where there was none.

        Returns:
            False where something else stands there by now: nothing was written.

        Raises:
            Displaced, StoreUnavailable, Conflict: as `write`.
        """
        with reaching(f"document {put.id} of {self._model.name} cannot be read"):
            present = await self._documents.read_one({"_id": put.id})
        if present != seen:
            return False
        places = {put.order}
        if (known := self._known.get(put.id)) is not None:
            places.add(known.order)
        if present is not None and isinstance(present.get(ORDER), int):
            places.add(present[ORDER])
        staged = self._census.stage([put], {})
        ((_, standing),) = staged.puts
        # Where the newest block was full, a new document has opened one of its own.
        opened = staged.blocks.keys() - self._census.blocks.keys()
        for block in self._census.blocks_of(places):
            counts = staged.blocks[block.low] = await self._count(block, put.id)
            if not opened and block.holds(put.order):
                counts[standing.code] += 1
        await self._store_staged(staged, self.pointer.marks)
        return True

    async def _count(self, block: Span, without: str) -> Counter[int]:
        """Count what a block holds, one document left out, by what the next writes take back."""
        found = dict[str, Standing]()
        if not self._knows_all:
            with reaching(f"documents of {self._model.name} cannot be read"):
                asked = {ORDER: block.condition()}
                async for document in self._documents.read(asked, self._looked_at):
                    found[document["_id"]] = self._standing(document)
        found.update(self._known)
        found.pop(without, None)
        return Counter(one.code for one in found.values() if block.holds(one.order))

    async def _store_staged(self, staged: Staged, marks: Marks) -> None:
        after = replace(
            self.pointer, marks=marks, highest=staged.highest, facets=tuple(staged.codes)
        )

        async def work(session: Session) -> None:
            await move_pointer(self._store, self.pointer, after, session=session)
            if documents := _document_requests(staged):
                await self._documents.write(documents, session=session)
            if blocks := _block_requests(staged):
                await self._blocks.write(blocks, session=session)

        await self._store.together(work)
        self.pointer = after
        self._census.apply(staged)
        for removed in staged.removes:
            self._known.pop(removed, None)
        for put, standing in staged.puts:
            self._remember(put.id, standing)

    async def _find(self, ids: Sequence[str]) -> dict[str, Standing]:
        known = {one: self._known[one] for one in ids if one in self._known}
        if self._knows_all or len(known) == len(ids):
            return known
        unknown = [one for one in ids if one not in known]
        with reaching(f"documents of {self._model.name} cannot be read"):
            asked = {"_id": {"$in": unknown}}
            async for document in self._documents.read(asked, self._looked_at):
                if isinstance(document.get(ORDER), int):
                    known[document["_id"]] = self._standing(document)
        return known

    def _standing(self, document: Document) -> Standing:
        return self._census.standing(document, document[ORDER])

    def _remember(self, document_id: str, standing: Standing) -> None:
        self._known[document_id] = standing
        self._known.move_to_end(document_id)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
            self._knows_all = False


def _is_shown(write: Write, known: Standing | None) -> bool:
    return isinstance(write, Put) and known is not None and 0 < write.seq <= known.seq


def read_block(document: Document) -> Counter[int]:
    """Read a block of the census as it is stored."""
    return Counter(dict(document["counts"]))


async def _prepare(store: Store, model: ReadModel, generation: int) -> None:
    # Before any transaction: one that makes collections locks more than it should.
    await store.create(model.blocks(generation))
    await store.create(model.collection(generation))
    with reaching(f"the indexes of {model.name} were not made"):
        for keys in model.indexes():
            await store.documents(model.collection(generation)).make_index(keys)


def _document_requests(staged: Staged) -> Requests:
    requests: Requests = [
        ReplaceOne({"_id": put.id}, put.document(), upsert=True) for put, _ in staged.puts
    ]
    requests.extend(DeleteOne({"_id": removed}) for removed in staged.removes)
    return requests


def _block_requests(staged: Staged) -> Requests:
    return [
        ReplaceOne({"_id": low}, {"_id": low, "counts": [*map(list, counts.items())]}, upsert=True)
        for low, counts in staged.blocks.items()
    ]
