"""Lists that ask for more than one value: any of several, all of several, ranges, and both ends."""

from collections.abc import Callable, Mapping

import pytest

from infra.store.client import Store
from infra.store.queries import Reader
from infra.store.wanted import EVERYWHERE, AllOf, AnyOf, Span
from tests.integration.store.ledger import Ledger, Line, projector_of, running, view_of

COLOURS = ("red", "green", "green", "blue")
COUNT = 1_300

Fits = Callable[[Line], bool]

SEARCHES: list[tuple[Mapping[str, object], Fits]] = [
    ({"colour": AnyOf(("red", "blue"))}, lambda line: line.colour in {"red", "blue"}),
    (
        {"colour": AnyOf(("red", "blue")), "tags": "bright"},
        lambda line: line.colour == "red",
    ),
    (
        {"colour": AnyOf(("red", "blue")), "owner": "owner1"},
        lambda line: line.colour in {"red", "blue"} and line.thing.startswith("owner1-"),
    ),
    ({"owner": AnyOf(("owner1", "nobody"))}, lambda line: line.thing.startswith("owner1-")),
    ({"labels": "third:1"}, lambda line: line.seq % 3 == 1),
    (
        {"labels": AllOf(("third:1", "seventh:2"))},
        lambda line: (line.seq % 3, line.seq % 7) == (1, 2),
    ),
    ({"weight": Span(below=3)}, lambda line: line.seq % 10 in {1, 2}),
    ({"weight": Span(8, 9)}, lambda line: line.seq % 10 == 8),
    (
        {"weight": Span(5), "colour": "green", "labels": AllOf(("third:0",))},
        lambda line: line.seq % 10 >= 5 and line.colour == "green" and line.seq % 3 == 0,
    ),
]
ORDERS = (EVERYWHERE, Span(400), Span(below=700), Span(450, 460), Span(499, 1_001), Span(9, 9))


@pytest.mark.parametrize("asked", range(len(SEARCHES)))
async def test_a_search_finds_what_filtering_by_hand_finds(
    store: Store, ledger: Ledger, asked: int
) -> None:
    """Pages, totals and ids, of everything and of what began within a time."""
    filters, fits = SEARCHES[asked]
    await ledger.write_all([(f"owner{n // 4 % 4}-{n:05d}", COLOURS[n % 4]) for n in range(COUNT)])
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await projector.wait_for(COUNT, timeout_seconds=60)
        for orders in ORDERS:
            lines = [ln for ln in reversed(ledger.lines) if fits(ln) and orders.holds(ln.first_seq)]
            for page in (1, 3):
                got = await reader.page(filters, page=page, page_size=40, orders=orders)
                expected = [view_of(line) for line in lines[(page - 1) * 40 : page * 40]]
                assert got == (expected, len(lines))
            names = [line.thing for line in lines]
            assert await reader.ids(filters, limit=COUNT, orders=orders) == names
            assert await reader.ids(filters, limit=7, orders=orders) == names[:7]


async def test_everything_within_a_time_is_listed(store: Store, ledger: Ledger) -> None:
    """A list that asks for nothing else has two ends as well."""
    await ledger.write_all([(f"ann-{n:05d}", COLOURS[n % 4]) for n in range(COUNT)])
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    async with running(projector):
        await projector.wait_for(COUNT, timeout_seconds=60)
        for orders in ORDERS:
            views = [view for view in ledger.expected() if orders.holds(int(str(view["seq"])))]
            got = await reader.page({}, page=1, page_size=60, orders=orders)
            assert got == (views[:60], len(views))
            ids = await reader.ids({}, limit=60, orders=orders)
            assert ids == [view["thing"] for view in views[:60]]
