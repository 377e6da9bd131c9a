"""The census agrees with counting by hand, whatever is written, in whichever order."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from infra.store.census import (
    OTHER,
    Census,
    Standing,
    codes_of,
    facet_of,
    find,
    stretches,
)
from infra.store.read_model import Put, ReadModel, Remove, Write, newest_of_each
from infra.store.wanted import LOWEST

MODEL = ReadModel("things", ask_by=("colour", "tags", "owner"), counted=("colour", "tags"))
SMALL_BLOCK = 3


def put(number: int, order: int, colour: str | None, tags: list[str]) -> Put:
    """Write a thing."""
    fields = {"colour": colour, "tags": tags}
    return Put(id=f"thing-{number}", order=order, view={}, fields=fields)


def remove(number: int) -> Remove:
    """Throw a thing away."""
    return Remove(f"thing-{number}")


puts = st.builds(
    put,
    st.integers(0, 15),
    st.integers(-50, 50),
    st.sampled_from(("red", "green", None)),
    st.sampled_from(([], ["a"], ["a", "b"])),
)
removes = st.builds(remove, st.integers(0, 15))
batches = st.lists(st.lists(puts | removes, max_size=12), max_size=8)


def written(
    batches: Sequence[Sequence[Write]], *, facets_max: int = 100
) -> tuple[Census, dict[str, Put]]:
    """Take batches into a census, and keep the documents by hand."""
    census = Census(MODEL, block_size=SMALL_BLOCK, facets_max=facets_max)
    known: dict[str, Standing] = {}
    documents: dict[str, Put] = {}
    for batch in batches:
        writes = newest_of_each(batch)
        staged = census.stage(writes, {w.id: known[w.id] for w in writes if w.id in known})
        census.apply(staged)
        for write in writes:
            known.pop(write.id, None)
            documents.pop(write.id, None)
            if isinstance(write, Put):
                documents[write.id] = write
        known.update({put.id: standing for put, standing in staged.puts})
    return census, documents


def newest_first(documents: dict[str, Put]) -> list[Put]:
    """Sort as lists do."""
    return sorted(documents.values(), key=lambda put: (put.order, put.id), reverse=True)


@given(batches)
def test_blocks_hold_what_their_orders_say(batches: list[list[Write]]) -> None:
    """Each document is counted once, in the block in whose range its order lies."""
    census, documents = written(batches)

    lows = sorted(census.blocks)
    for low, below in zip(lows, [*lows[1:], None][: len(lows)], strict=True):
        inside = [
            put
            for put in documents.values()
            if low <= put.order and (below is None or put.order < below)
        ]
        by_facet = Counter(census.codes[facet_of(MODEL, put.fields)] for put in inside)
        assert census.blocks[low] == by_facet
    assert census.living() == len(documents)


@given(batches, st.sampled_from(("red", "green", None)), st.sampled_from(("a", "b", None)))
def test_a_page_is_found_where_counting_by_hand_finds_it(
    batches: list[list[Write]], colour: str | None, tag: str | None
) -> None:
    """The stretches that are named hold the page, after as many as are to be skipped."""
    asked = {
        name: value for name, value in (("colour", colour), ("tags", tag)) if value is not None
    }
    census, documents = written(batches)
    wanted = [
        put
        for put in newest_first(documents)
        if (colour is None or put.fields["colour"] == colour)
        and (tag is None or tag in put.fields["tags"])
    ]

    seen = stretches(census.blocks, codes_of(MODEL, tuple(census.codes), asked))

    assert sum(one.matching for one in seen) == len(wanted)
    for skip in range(0, len(wanted) + 2, 2):
        found = find(seen, skip=skip, take=2)
        read = [
            put
            for stretch in found.stretches
            for put in wanted
            if stretch.low <= put.order and (stretch.below is None or put.order < stretch.below)
        ]
        assert read[found.skip : found.skip + 2] == wanted[skip : skip + 2]


def test_a_full_block_is_left_behind() -> None:
    """What is newer than all goes into a block of its own once the newest is full."""
    census, _ = written([[Put(f"thing-{n}", n, {}, {"colour": "red"})] for n in range(7)])

    assert [(low, block.total()) for low, block in census.blocks.items()] == [
        (LOWEST, 3),
        (3, 3),
        (6, 1),
    ]


def test_facets_beyond_the_bound_are_counted_together() -> None:
    """A field with more values than was promised makes lists slow, not wrong."""
    census, _ = written(
        [[Put(f"t-{n}", n, {}, {"colour": str(n)}) for n in range(5)]], facets_max=2
    )

    assert len(census.codes) == 2
    assert sum(block[OTHER] for block in census.blocks.values()) == 3
    assert census.living() == 5
    everything = stretches(census.blocks, codes_of(MODEL, tuple(census.codes), {}))
    assert sum(one.matching for one in everything) == 5


def test_staging_changes_nothing_before_it_is_applied() -> None:
    """A batch that the store did not take leaves no trace."""
    census, _ = written([[Put("thing-1", 1, {}, {"colour": "red", "tags": []})]])
    before = ({low: dict(block) for low, block in census.blocks.items()}, dict(census.codes))

    census.stage([Put("thing-2", 2, {}, {"colour": "green", "tags": ["a"]})], {})

    assert ({low: dict(b) for low, b in census.blocks.items()}, dict(census.codes)) == before
