"""Whatever becomes of a document behind the service's back is found in one cycle, and mended."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts import subjects
from contracts.transaction import ListTransactions, TransactionStatus
from infra.bus.connection import Connection
from infra.clock import SYSTEM
from infra.store.client import Store
from infra.telemetry import metrics
from services.transaction.projections.auditor import Auditor, Drift, Finding, first_difference
from services.transaction.store import TRANSACTIONS
from tests.fixtures.raw_store import raw
from tests.integration.listing.house import (
    REVIEW,
    TELL,
    House,
    Item,
    id_of,
    living,
    partitions_of,
)

DOCUMENTS = TRANSACTIONS.collection(1)


def drift(kind: Drift) -> float:
    """Read the metric."""
    return metrics.value("tracseq_saga_audit_drift", kind=kind.value)


@pytest.fixture
async def items(house: House) -> list[Item]:
    """Give sagas that are listed."""
    items = [await house.begin(REVIEW if n % 2 else TELL, file=f"{n}.csv") for n in range(8)]
    for item in items:
        await house.shown(item)
    return items


async def documents(house: House) -> list[dict[str, Any]]:
    """Read the read model as it lies in the store."""
    return await raw(house.store, DOCUMENTS).find().sort("_id", 1).to_list(None)


async def test_a_list_that_is_right_is_left_alone(house: House, items: list[Item]) -> None:
    """No false alarm, also not for sagas that went on a moment ago."""
    before = await documents(house)
    assert await house.auditor().cycle() == []
    assert await documents(house) == before
    for number, item in enumerate(items):
        if number % 2 == 0:
            await house.answer(TELL, item, at=SYSTEM.now())
    assert await house.auditor().cycle() == []
    assert [drift(kind) for kind in Drift] == [0] * len(Drift)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"$set": {"view.status": "completed"}}, "view.status"),
        ({"$set": {"status": "completed"}}, "status"),
        ({"$set": {"view.steps.0.attempts": 9}}, "view.steps.0.attempts"),
        ({"$unset": {"view.actor": ""}}, "view.actor"),
        ({"$set": {"view.more": 1}}, "view.more"),
        ({"$push": {"steps": "other"}}, "steps.1"),
        ({"$set": {"due_at": 5}}, "due_at"),
        ({"$set": {"order": 5}}, "order"),
        ({"$set": {"seq": 10_000}}, "seq"),
        ({"$unset": {"seq": ""}}, "seq"),
    ],
    ids=["shown", "asked-by", "deep", "gone", "more", "longer", "due", "order", "seq", "no-seq"],
)
async def test_a_changed_document_is_found_and_mended(
    house: House, items: list[Item], change: dict[str, Any], path: str
) -> None:
    """One cycle names the saga and the place, counts it, and writes what the log says."""
    before, victim = await documents(house), items[3]
    await raw(house.store, DOCUMENTS).update_one({"_id": victim.key}, change)

    (finding,) = await house.auditor().cycle()

    assert finding == Finding(UUID(victim.key), Drift.DIFFERENT, path, mended=True)
    assert drift(Drift.DIFFERENT) == 1
    assert await documents(house) == before
    assert set(await house.found()) == {id_of(item) for item in items}


async def test_a_deleted_document_is_found_and_mended(house: House, items: list[Item]) -> None:
    """It is listed and counted again."""
    before = await documents(house)
    await raw(house.store, DOCUMENTS).delete_one({"_id": items[3].key})

    (finding,) = await house.auditor().cycle()

    assert (finding.kind, finding.path, finding.mended) == (Drift.MISSING, "", True)
    assert drift(Drift.MISSING) == 1
    assert await documents(house) == before
    assert set(await house.found(status=[TransactionStatus.AWAITING])) == {
        id_of(item) for item in items[1::2]
    }


async def test_a_document_that_stayed_behind_is_found_and_mended(
    house: House, items: list[Item]
) -> None:
    """The projector says that it has passed a transition which its document does not show."""
    old = (await house.reader.stored(items[3].key))[1]
    assert old is not None
    after = await house.approve(items[3], by="bob", at=SYSTEM.now())
    await house.shown(after)
    right = await documents(house)
    await raw(house.store, DOCUMENTS).replace_one({"_id": items[3].key}, old)

    (finding,) = await house.auditor().cycle()

    assert (finding.kind, finding.path) == (Drift.BEHIND, "view.changed_at")
    assert await documents(house) == right


@pytest.mark.parametrize(
    ("grace", "kind"), [(timedelta(0), Drift.BEHIND), (timedelta(hours=1), None)]
)
async def test_what_the_projector_has_not_come_to_is_drift_after_a_grace(
    provisioned: Connection, store: Store, grace: timedelta, kind: Drift | None
) -> None:
    """A list that is behind as a whole is no drift of a document, unless it stays so."""
    async with living(provisioned, store) as house:
        item = await house.begin(REVIEW, at=SYSTEM.now())
        await house.shown(item)
    # Nobody keeps the list any more.
    house = House(provisioned, partitions_of(provisioned), store)
    await house.approve(item, by="bob", at=SYSTEM.now())

    finding = await house.auditor(grace).audit(UUID(item.key))

    assert (finding.kind if finding is not None else None) is kind
    assert finding is None or not finding.mended


async def test_findings_are_shown_for_two_cycles(house: House, items: list[Item]) -> None:
    """The metric goes back once a whole cycle found nothing."""
    auditor = house.auditor()
    await raw(house.store, DOCUMENTS).delete_many({"_id": {"$in": [items[1].key]}})
    shown: list[float] = []
    for _ in range(3):
        await auditor.cycle()
        shown.append(drift(Drift.MISSING))
    assert shown == [1, 1, 0]


async def test_a_log_that_cannot_be_read_is_told_of_and_the_others_are_audited(
    house: House, items: list[Item]
) -> None:
    """There is nothing to compare with: the document stays, and the cycle goes on."""
    victim = UUID(items[0].key)
    await house.connection.publish(subjects.saga_log(victim), b'{"number": 2}', {})
    await raw(house.store, DOCUMENTS).delete_one({"_id": items[7].key})
    before = (await house.reader.stored(items[0].key))[1]

    auditor = house.auditor()
    findings = {one.saga_id: one.kind for one in await auditor.cycle()}

    assert findings[victim] is Drift.UNREADABLE
    assert findings[UUID(items[7].key)] is Drift.MISSING
    assert (await house.reader.stored(items[0].key))[1] == before


async def test_the_auditor_runs_by_itself_where_the_list_is_written(
    house: House, items: list[Item]
) -> None:
    """It begins at once, and one saga follows the other."""
    await raw(house.store, DOCUMENTS).delete_one({"_id": items[5].key})
    auditor = Auditor(house.partitions, house.projector, reader=house.reader, every_seconds=0.01)
    running = asyncio.create_task(auditor.run())
    try:
        async with asyncio.timeout(60):
            while (await house.reader.stored(items[5].key))[1] is None:
                await SYSTEM.sleep(0.05)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    page = await house.listed.page(ListTransactions())
    assert page.total == len(items)


@pytest.mark.parametrize(
    ("expected", "found", "path"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, "a.b.1"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, "a.b.1"),
        ({"a": {"b": [1]}}, {"a": {"b": [1, 2]}}, "a.b.1"),
        ({"a": {"b": 1}}, {"a": 1}, "a"),
        ({"a": 1}, {"a": 1, "z": None}, "z"),
        ({"a": 1, "z": None}, {"a": 1}, "z"),
    ],
)
def test_the_first_difference_is_named(expected: object, found: object, path: str) -> None:
    """By the names and places that lead to it."""
    assert first_difference(expected, found) == path
