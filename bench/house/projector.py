"""The projector, beside a raw bulk write of the same documents."""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReplaceOne, UpdateOne

from bench.house.parts import ROUNDS
from bench.report import Report
from infra.store.client import Store, options_for
from infra.store.projector import Projector
from infra.store.read_model import Put, ReadModel, Write

MODEL = ReadModel("things", ask_by=("status",))


class _Items:
    """A source that is all there: so many items, then silence."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def head(self) -> int:
        return self.count

    async def follow(self, after: int) -> AsyncGenerator[Sequence["_Item"]]:
        for start in range(after, self.count, 500):
            yield [_Item(seq) for seq in range(start + 1, min(start + 500, self.count) + 1)]
        await asyncio.Event().wait()


class _Item:
    traceparent = None

    def __init__(self, seq: int) -> None:
        self.seq = seq


async def projector(report: Report, mongo_url: str, scale: float) -> None:
    """Measure filling a read model, and filling a collection by hand."""
    count = max(1_000, int(5_000 * scale))
    found: list[float] = []
    for number in range(ROUNDS):
        store = Store(mongo_url, f"bench_{number}")
        raw_seconds = await _raw_bulk(mongo_url, store.database, count)

        async def project(items: Sequence[_Item]) -> Sequence[Write]:
            return [_put(item.seq) for item in items]

        projector = Projector("bench", store, MODEL, _Items(count), project)
        started = time.perf_counter()
        running = asyncio.create_task(projector.run())
        await projector.wait_for(count, timeout_seconds=120)
        seconds = time.perf_counter() - started
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        found.append(raw_seconds / seconds)
        report.row(
            what="projector",
            ours_per_second=count / seconds,
            raw_per_second=count / raw_seconds,
            ratio=raw_seconds / seconds,
        )
        await store.drop()
        await store.close()
    report.at_least("projector over raw bulk_write", statistics.median(found), 0.8, "ratio")


def _put(seq: int) -> Put:
    view = {"sample_id": f"{seq:032x}", "status": "pending", "name": "n" * 40, "seq": seq}
    return Put(id=f"{seq:032x}", order=seq, view=view, fields={"status": "pending"})


async def _raw_bulk(mongo_url: str, database: str, count: int) -> float:
    client = AsyncIOMotorClient[dict[str, Any]](mongo_url, **options_for(mongo_url))
    collection = client[database]["raw"]
    for keys in MODEL.indexes():
        await collection.create_index(keys)
    started = time.perf_counter()
    for start in range(0, count, 500):
        requests: list[Any] = [
            ReplaceOne({"_id": f"{seq:032x}"}, _put(seq).document(), upsert=True)
            for seq in range(start + 1, min(start + 500, count) + 1)
        ]
        requests.append(UpdateOne({"_id": "position"}, {"$set": {"seq": start + 500}}, upsert=True))
        await collection.bulk_write(requests, ordered=True)
    seconds = time.perf_counter() - started
    client.close()
    return seconds
