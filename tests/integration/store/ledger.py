"""A source of read models that a test can grow, and one list made from it: things with a colour."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from infra.clock import SYSTEM
from infra.store.client import Store
from infra.store.projector import Projector
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel, Remove, Write

THINGS = ReadModel(
    "things", ask_by=("colour", "owner", "tags", "labels", "weight"), counted=("colour", "tags")
)
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger: a thing gets a colour, or without one is thrown away."""

    seq: int
    thing: str
    colour: str | None
    first_seq: int
    traceparent: str | None = None


@dataclass(slots=True)
class Ledger:
    """An append-only log in memory, followed as a stream is."""

    lines: list[Line] = field(default_factory=list[Line])
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def write(self, thing: str, colour: str | None, traceparent: str | None = None) -> int:
        """Append a line, and give its sequence."""
        return await self.write_all([(thing, colour)], traceparent)

    async def write_all(
        self, things: Sequence[tuple[str, str | None]], traceparent: str | None = None
    ) -> int:
        """Append lines at once, and give the sequence of the last."""
        first = {line.thing: line.first_seq for line in self.lines}
        for thing, colour in things:
            seq = len(self.lines) + 1
            line = Line(seq, thing, colour, first.setdefault(thing, seq), traceparent)
            self.lines.append(line)
        async with self.grown:
            self.grown.notify_all()
        return len(self.lines)

    async def head(self) -> int:
        """Give the newest sequence."""
        return len(self.lines)

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Line]]:
        """Give what comes after a sequence, 100 lines at a time."""
        while True:
            async with self.grown:
                await self.grown.wait_for(lambda: len(self.lines) > after)  # noqa: B023 - awaited here
            batch = self.lines[after : after + 100]
            after = batch[-1].seq
            yield batch

    def expected(self) -> list[dict[str, object]]:
        """Fold the ledger by hand: the views of all things, newest first."""
        newest = {line.thing: line for line in self.lines}
        kept = sorted(newest.values(), key=lambda line: -line.first_seq)
        return [view_of(line) for line in kept if line.colour is not None]


def view_of(line: Line) -> dict[str, object]:
    """Say what a list shows of a thing."""
    return {"thing": line.thing, "colour": line.colour, "volume_ul": "1.500", "seq": line.seq}


async def project(lines: Sequence[Line]) -> Sequence[Write]:
    """Make documents of lines."""
    return [write_of(line) for line in lines]


def write_of(line: Line) -> Write:
    """Make a document of a line."""
    if line.colour is None:
        return Remove(line.thing)
    tags = ["bright", "any"] if line.colour == "red" else ["any"]
    fields = {
        "colour": line.colour,
        "owner": line.thing.split("-")[0],
        "tags": tags,
        "labels": [f"seventh:{line.seq % 7}", f"third:{line.seq % 3}"],
        # None for every tenth: nothing is known of it, and no range finds it.
        "weight": line.seq % 10 or None,
    }
    return Put(id=line.thing, order=line.first_seq, view=view_of(line), fields=fields)


def projector_of(store: Store, ledger: Ledger, model: ReadModel = THINGS) -> Projector[Line]:
    """Make a projector; it does not run yet."""
    return Projector("ledger", store, model, ledger, project)


@asynccontextmanager
async def running(*projectors: Projector[Line]) -> AsyncGenerator[None]:
    """Run projectors for a while."""
    tasks = [asyncio.create_task(projector.run()) for projector in projectors]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def everything(reader: Reader[Line], *, min_seq: int = 0) -> list[dict[str, object]]:
    """List all things."""
    views, total = await reader.page({}, page=1, page_size=100_000, min_seq=min_seq)
    assert total == len(views)
    return views


async def until_equal(reader: Reader[Line], ledger: Ledger) -> None:
    """Wait until the list shows what the ledger says, and fail where it does not come to that."""
    shown: object = None
    for _ in range(int(PATIENCE_SECONDS / 0.1)):
        try:
            shown = await everything(reader)
        except Exception as error:  # noqa: BLE001 - whatever is wrong now may be right in a moment
            shown = error
        if shown == ledger.expected():
            return
        await SYSTEM.sleep(0.1)
    assert shown == ledger.expected()
