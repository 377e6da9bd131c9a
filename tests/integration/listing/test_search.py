"""Transactions are found by what they are: how they stand, at which step, since when, whose."""

from datetime import timedelta

from contracts.transaction import ListTransactions, TransactionFilter, TransactionStatus
from tests.integration.listing.house import BEGAN, REVIEW, TELL, House, id_of, place


async def test_a_search_finds_what_all_its_filters_hold_for(house: House) -> None:
    """One by one and together, newest first; a bulk order's selection is the list's."""
    minute = timedelta(minutes=1)
    one = await house.begin(REVIEW, file="one.csv", actor="ada", at=BEGAN)
    two = await house.begin(REVIEW, file="two:b.csv", actor="bob", at=BEGAN + minute)
    three = await house.begin(TELL, file="one.csv", actor="bob", at=BEGAN + 2 * minute)
    four = await house.begin(TELL, file="four.csv", actor="ada", at=BEGAN + 3 * minute)
    four = await house.answer(TELL, four, at=BEGAN + 4 * minute)
    ids = [id_of(item) for item in (one, two, three, four)]
    for item in (one, two, three, four):
        await house.shown(item)

    searches: list[tuple[dict[str, object], list[int]]] = [
        ({}, [4, 3, 2, 1]),
        ({"status": ["awaiting"]}, [2, 1]),
        ({"status": ["awaiting", "completed"]}, [4, 2, 1]),
        ({"saga_type": "tell"}, [4, 3]),
        ({"saga_type": "tell", "status": ["running", "awaiting"]}, [3]),
        ({"step": "tell"}, [3]),
        ({"step": "review"}, [2, 1]),
        ({"actor": "ada"}, [4, 1]),
        ({"correlation": f"c-{two.key}"}, [2]),
        ({"attribute": ["file:one.csv"]}, [3, 1]),
        ({"attribute": ["file:two:b.csv"]}, [2]),
        ({"attribute": ["file:one.csv", "template:submission_stored"], "step": "tell"}, [3]),
        ({"attribute": ["file:one.csv", "file:four.csv"]}, []),
        ({"started_after": BEGAN + minute}, [4, 3, 2]),
        ({"started_before": BEGAN + minute}, [1]),
        ({"started_after": BEGAN + minute, "started_before": BEGAN + 3 * minute}, [3, 2]),
        ({"started_after": BEGAN + minute, "actor": "bob", "status": ["running"]}, [3]),
        ({"changed_before": BEGAN + 2 * minute}, [2, 1]),
        ({"changed_before": BEGAN + 4 * minute, "saga_type": "tell"}, [3]),
    ]
    for asked, expected in searches:
        wanted = [ids[number - 1] for number in expected]
        assert await house.found(**asked) == wanted, asked
        chosen = TransactionFilter.model_validate(asked)
        assert await house.listed.select(chosen, 100) == wanted, asked
        assert await house.listed.select(chosen, 1) == wanted[:1], asked


async def test_pages_of_a_search_follow_each_other(house: House) -> None:
    """Nothing is listed twice, nothing left out, and the total is of all pages."""
    items = [
        await house.begin(TELL, file=f"{n % 2}.csv", at=BEGAN + timedelta(seconds=n))
        for n in range(12)
    ]
    for item in items:
        await house.shown(item)
    pages = [
        await house.listed.page(ListTransactions(attribute=["file:1.csv"], page=n, page_size=4))
        for n in (1, 2, 3)
    ]
    assert [one.transaction_id for page in pages for one in page.items] == [
        id_of(item) for item in reversed(items[1::2])
    ]
    assert [(page.total, len(page.items)) for page in pages] == [(6, 4), (6, 2), (6, 0)]


async def test_what_is_due_is_found_and_what_has_no_clock_is_not(house: House) -> None:
    """Steps have ten minutes here; what is paused or has ended waits for nothing."""
    running = await house.begin(TELL, at=BEGAN)
    later = await house.begin(TELL, at=BEGAN + timedelta(minutes=5))
    paused = await house.pause(TELL, await house.begin(TELL, at=BEGAN))
    ended = await house.answer(TELL, await house.begin(TELL, at=BEGAN))
    for item in (running, later, paused, ended):
        await house.shown(item)

    for minutes, expected in ((10, []), (11, [running]), (16, [later, running])):
        due = await house.listed.due(BEGAN + timedelta(minutes=minutes), 100)
        assert due == [id_of(item) for item in expected]
    assert await house.listed.due(BEGAN + timedelta(days=1), 1) == [id_of(later)]
    assert await house.found(status=[TransactionStatus.PAUSED]) == [id_of(paused)]
    assert place(paused).endswith(f":{paused.seq}")
