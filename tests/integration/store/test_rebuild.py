"""A read model is made anew while the present one serves, and nothing half-made ever does."""

import asyncio

import pytest

from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.pointer import generations, read_pointer
from infra.store.queries import Reader
from infra.store.rebuild import tidy
from tests.fixtures.raw_store import raw
from tests.integration.store.ledger import (
    THINGS,
    Ledger,
    everything,
    projector_of,
    running,
    until_equal,
)


class CrashError(RuntimeError):
    """The process dies here, as far as the rebuild is concerned."""


async def test_a_rebuild_equals_the_source_while_writes_go_on(store: Store, ledger: Ledger) -> None:
    """The list answers at every moment, never goes back, and ends as the source says."""
    projector = projector_of(store, ledger)
    reader = Reader(store, projector)
    await ledger.write_all([(f"ann-{n}", "red") for n in range(800)])
    progress: list[tuple[int, int]] = []
    shown: list[int] = []

    async def keep_writing() -> None:
        for number in range(60):
            seq = await ledger.write(f"bob-{number}", "blue")
            shown.append((await reader.page({}, page=1, page_size=1, min_seq=seq))[1])

    async with running(projector):
        await projector.wait_for(800, timeout_seconds=60)
        writing = asyncio.create_task(keep_writing())
        generation = await projector.rebuild(lambda seq, goal: progress.append((seq, goal)))
        await writing

        assert await everything(reader, min_seq=860) == ledger.expected()
    pointer = await read_pointer(store, "things")
    assert pointer is not None
    assert (pointer.generation, generation) == (2, 2)
    assert shown == list(range(801, 861))
    assert progress == sorted(progress)
    assert progress[-1][0] >= 800


async def test_a_rebuild_repairs_what_was_changed_by_hand(store: Store, ledger: Ledger) -> None:
    """What somebody wrote into the store is not the truth."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(
            await ledger.write_all([("ann-1", "red"), ("ann-2", "blue")]), timeout_seconds=60
        )
        await raw(store, THINGS.collection(1)).update_many({}, {"$set": {"view": {}}})

        await projector.rebuild()

        await until_equal(Reader(store, projector), ledger)


async def test_an_empty_source_is_rebuilt_at_once(store: Store, ledger: Ledger) -> None:
    """Nothing to follow is no reason to wait."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await until_equal(Reader(store, projector), ledger)

        async with asyncio.timeout(60):
            await projector.rebuild()

        assert await everything(Reader(store, projector)) == []


async def test_a_crash_before_the_swap_leaves_the_present_one_serving(
    store: Store, ledger: Ledger
) -> None:
    """The half that was built is cleared away at the next start."""
    projector = projector_of(store, ledger)
    await ledger.write_all([(f"ann-{n}", "red") for n in range(300)])

    def crash(seq: int, _goal: int) -> None:
        if seq >= 200:
            raise CrashError

    async with running(projector):
        await projector.wait_for(300, timeout_seconds=60)
        with pytest.raises(CrashError):
            await projector.rebuild(crash)
        assert await everything(Reader(store, projector)) == ledger.expected()
    assert await generations(store, THINGS) == {1, 2}

    again = projector_of(store, ledger)
    async with running(again):
        await until_equal(Reader(store, again), ledger)
        async with asyncio.timeout(60):
            while await generations(store, THINGS) != {1}:
                await SYSTEM.sleep(0.05)
        assert await read_pointer(store, THINGS.collection(2)) is None


async def test_a_database_dropped_during_a_rebuild_ends_the_rebuild_alone(
    store: Store, ledger: Ledger
) -> None:
    """The rebuild says so, the live one fills again."""
    projector = projector_of(store, ledger)
    await ledger.write_all([(f"ann-{n}", "red") for n in range(400)])
    dropping: list[asyncio.Task[None]] = []

    def drop(seq: int, _goal: int) -> None:
        if seq == 200:
            dropping.append(asyncio.create_task(store.drop()))

    async with running(projector):
        await projector.wait_for(400, timeout_seconds=60)
        try:
            await projector.rebuild(drop)
        except Exception as error:  # noqa: BLE001 - which it is depends on where the drop met it
            failure: Exception | None = error
        else:
            failure = None
        await asyncio.gather(*dropping)

        await until_equal(Reader(store, projector), ledger)
    assert failure is None or "during its rebuild" in str(failure)


async def test_a_rebuild_right_after_a_drop_waits_until_there_is_something_to_replace(
    store: Store, ledger: Ledger
) -> None:
    """The drop was not noticed yet: the live one begins anew first, and then they do not meet."""
    projector = projector_of(store, ledger)
    await ledger.write_all([(f"ann-{n}", "red") for n in range(400)])

    async with running(projector):
        await projector.wait_for(400, timeout_seconds=60)
        await store.drop()
        generation = await projector.rebuild()

        pointer = await read_pointer(store, "things")
        assert pointer is not None
        assert (pointer.generation, pointer.seq) == (generation, 400)
        assert generation > 1
        assert await everything(Reader(store, projector), min_seq=400) == ledger.expected()


async def test_a_generation_that_no_longer_serves_is_deleted(store: Store, ledger: Ledger) -> None:
    """Tidying keeps what it is told to keep, and nothing else."""
    projector = projector_of(store, ledger)
    async with running(projector):
        await projector.wait_for(await ledger.write("ann-1", "red"), timeout_seconds=60)
        await projector.rebuild()
        before = await generations(store, THINGS)

        await tidy(store, THINGS, {2})

        assert before == {1, 2}
        assert await generations(store, THINGS) == {2}
        assert await everything(Reader(store, projector)) == ledger.expected()
