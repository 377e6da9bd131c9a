"""The census of a read model: how many documents have which values, block by block. Pure.

The order of a read model is cut into blocks of some 500 documents, and of each block is known how
many documents it has of every combination of counted values (every facet). So a total is a sum, and
any page is found by looking into one or two blocks, in a store that would walk every match to count
it or to sort it. At a million documents that is 2,000 small documents read for a list.
"""

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.store.read_model import SEQ, Put, ReadModel, Write
from infra.store.wanted import HIGHEST, LOWEST, Span, fits

BLOCK = 500
"""Documents after which the newest block is full. What is written into the past makes its block
larger: that costs time where a page lies in it, never a wrong answer."""
FACETS_MAX = 1_000
OTHER = 0
"""The code of every facet beyond `FACETS_MAX`: lists that ask by counted fields count for
themselves then, which is slow and right."""

Facet = tuple[Any, ...]
Block = Counter[int]
"""Code of a facet -> documents."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a document stands that is there: what a later write takes back."""

    order: int
    code: int
    seq: int = 0
    """The sequence that it shows; 0 where it has none."""


@dataclass(slots=True)
class Staged:
    """What a batch of writes changes; the census stays as it is before `Census.apply`."""

    codes: dict[Facet, int]
    highest: int
    blocks: dict[int, Block] = field(default_factory=dict[int, Block])
    puts: list[tuple[Put, Standing]] = field(default_factory=list[tuple[Put, Standing]])
    removes: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Census:
    """The census as its one writer holds it."""

    model: ReadModel
    codes: dict[Facet, int] = field(default_factory=dict[Facet, int])
    """From 1 on, in the order in which facets appeared."""
    highest: int = LOWEST
    """The highest order of all that were ever written."""
    blocks: dict[int, Block] = field(default_factory=dict[int, Block])
    """Lowest order of a block -> what is in it."""
    block_size: int = BLOCK
    facets_max: int = FACETS_MAX

    def living(self) -> int:
        """Count the documents."""
        return sum(block.total() for block in self.blocks.values())

    def standing(self, document: Mapping[str, Any], order: int) -> Standing:
        """Say where a document stands that is there already, by its counted fields."""
        code = self.codes.get(facet_of(self.model, document), OTHER)
        seq = document.get(SEQ)
        return Standing(order, code, seq if isinstance(seq, int) else 0)

    def stage(self, writes: Sequence[Write], known: Mapping[str, Standing]) -> Staged:
        """Work out what writes change.

        Args:
            writes: at most one for each document.
            known: where all of these documents stand that are there.
        """
        staging = _Staging(self)
        for write in writes:
            before = known.get(write.id)
            if before is not None:
                staging.count(before, -1)
            if not isinstance(write, Put):
                staging.staged.removes.append(write.id)
        # Oldest first, so that full blocks are left behind in order.
        for put in sorted((w for w in writes if isinstance(w, Put)), key=lambda put: put.order):
            staging.put(put)
        return staging.staged

    def blocks_of(self, orders: Iterable[int]) -> set[Span]:
        """Give the blocks in which orders lie; none where there is no block yet."""
        lows = [*sorted(self.blocks), HIGHEST]
        places = {bisect_right(lows, order) for order in orders if self.blocks}
        return {Span(lows[place - 1], lows[place]) for place in places}

    def apply(self, staged: Staged) -> None:
        """Take over what was staged, once it is stored."""
        self.codes = staged.codes
        self.highest = staged.highest
        self.blocks.update(staged.blocks)


class _Staging:
    """One run of `Census.stage`."""

    def __init__(self, census: Census) -> None:
        self.staged = Staged(census.codes, census.highest)
        self._census = census
        self._lows = sorted(census.blocks)

    def put(self, put: Put) -> None:
        staged = self.staged
        facet = facet_of(self._census.model, put.fields)
        if facet not in staged.codes and len(staged.codes) < self._census.facets_max:
            staged.codes = {**staged.codes, facet: len(staged.codes) + 1}
        standing = Standing(put.order, staged.codes.get(facet, OTHER), put.seq)
        self._open_block(put.order)
        self.count(standing, 1)
        staged.highest = max(staged.highest, put.order)
        staged.puts.append((put, standing))

    def _open_block(self, order: int) -> None:
        if not self._lows:
            low = LOWEST
        elif (
            order > self.staged.highest
            and self._block(self._lows[-1]).total() >= self._census.block_size
        ):
            low = order
        else:
            return
        insort(self._lows, low)
        self.staged.blocks[low] = Counter()

    def count(self, standing: Standing, by: int) -> None:
        low = self._lows[bisect_right(self._lows, standing.order) - 1]
        block = self.staged.blocks.get(low)
        if block is None:
            block = self.staged.blocks[low] = Counter(self._census.blocks[low])
        block[standing.code] += by
        if block[standing.code] == 0:
            del block[standing.code]

    def _block(self, low: int) -> Block:
        staged = self.staged.blocks.get(low)
        return self._census.blocks[low] if staged is None else staged


def facet_of(model: ReadModel, fields: Mapping[str, Any]) -> Facet:
    """Give a document's values of the counted fields; lists become tuples."""
    return facet_from([fields.get(name) for name in model.counted])


def facet_from(values: Sequence[Any]) -> Facet:
    """Make a facet of JSON values; lists become tuples."""
    return tuple(tuple(v) if isinstance(v, (list, tuple)) else v for v in values)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON


def codes_of(model: ReadModel, facets: Sequence[Facet], asked: Mapping[str, Any]) -> set[int]:
    """Name the codes of all facets with the values asked for; asked for nothing, that is all."""
    if not asked:
        return {OTHER, *range(1, len(facets) + 1)}
    places = [(model.counted.index(name), value) for name, value in asked.items()]
    return {
        code
        for code, facet in enumerate(facets, start=1)
        if all(fits(facet[place], value) for place, value in places)
    }


@dataclass(frozen=True, slots=True)
class Stretch:
    """A block as a list sees it."""

    low: int
    """Its lowest order."""
    below: int | None
    """What all its orders are below of; None for the newest."""
    matching: int


@dataclass(frozen=True, slots=True)
class Found:
    """Where a page lies."""

    stretches: list[Stretch]
    """Newest first; those that hold something of the page."""
    skip: int
    """What matches in the first of them and is newer than the page."""


def stretches(blocks: Mapping[int, Block], codes: set[int]) -> list[Stretch]:
    """See blocks as a list that asks for these facets does, newest first."""
    return list(_stretches(blocks, codes))


def _stretches(blocks: Mapping[int, Block], codes: set[int]) -> Iterator[Stretch]:
    below: int | None = None
    for low in sorted(blocks, reverse=True):
        yield Stretch(low, below, sum(n for code, n in blocks[low].items() if code in codes))
        below = low


def find(blocks: Sequence[Stretch], *, skip: int, take: int) -> Found:
    """Find the page that begins after `skip` matches; blocks come newest first."""
    before, found, first = 0, list[Stretch](), 0
    for block in blocks:
        after = before + block.matching
        if block.matching and after > skip and before < skip + take:
            if not found:
                first = skip - before
            found.append(block)
        before = after
    return Found(found, first)
