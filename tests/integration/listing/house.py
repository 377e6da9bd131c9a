"""The list of transactions, put together from the real parts, and sagas to be listed.

The engine decides, the log keeps: only participants are missing, since whatever they would answer
can be said here.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts import subjects
from contracts.aggregate import Loaded
from contracts.entry import Entry
from contracts.notification import SendNotification, Template
from contracts.transaction import ListTransactions, OrderKind
from contracts.types import TransactionId
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Change, Log
from infra.store.client import Store
from infra.store.projector import Projector
from infra.store.queries import Reader
from sagas.engine.decision import (
    Input,
    Ordered,
    Replied,
    Signalled,
    Start,
    Transition,
    start_with,
)
from sagas.engine.definition import PIVOT, Definition
from sagas.engine.machine import decide
from sagas.engine.mapping import start
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from sagas.engine.writing import approval, days, minutes, saga, step
from services.transaction import domain
from services.transaction.projections.auditor import Auditor
from services.transaction.projections.listed import Partition, project
from services.transaction.store import TRANSACTIONS, TransactionStore

FOUND_BY = {"file": start("values.file"), "template": start("template")}

# One step per line, so that a saga reads as a table.
# fmt: off
REVIEW = saga("review", version=1, starts_with=SendNotification, attributes=FOUND_BY)(
    approval("review", needs=2, within=days(7)),
    step("tell", ask=SendNotification, kind=PIVOT, within=minutes(10)),
)
TELL = saga("tell", version=1, starts_with=SendNotification, attributes=FOUND_BY)(
    step("tell", ask=SendNotification, kind=PIVOT, within=minutes(10)),
)
# fmt: on

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
Item = Loaded[SagaState]


@dataclass
class House:
    """The logs, the list that is made from them, and what reads it."""

    connection: Connection
    partitions: Sequence[Log]
    store: Store
    projector: Projector[Entry] = field(init=False)
    reader: Reader[Entry] = field(init=False)
    listed: TransactionStore = field(init=False)

    def __post_init__(self) -> None:
        """Put the list together; it does not run yet."""
        sources = [Partition(log) for log in self.partitions]
        self.projector = Projector(
            "transaction", self.store, TRANSACTIONS, sources, project(self.partitions)
        )
        self.reader = Reader(self.store, self.projector)
        self.listed = TransactionStore(self.reader)

    def auditor(self, grace: timedelta = timedelta(seconds=30)) -> Auditor:
        """Make an auditor that loses no time."""
        return Auditor(
            self.partitions, self.projector, reader=self.reader, every_seconds=0.0, grace=grace
        )

    async def begin(
        self,
        definition: Definition = REVIEW,
        *,
        file: str = "a.csv",
        actor: str = "ada",
        at: datetime = BEGAN,
    ) -> Item:
        """Begin a saga."""
        saga_id, cause = new_id(), str(new_id())
        message = SendNotification(template=Template.SUBMISSION_STORED, values={"file": file})
        said = start_with(
            message, saga_id=saga_id, at=at, actor=actor, correlation=f"c-{saga_id}", cause=cause
        )
        return await self.give(definition, saga_id, said)

    async def approve(self, item: Item, by: str, at: datetime = BEGAN) -> Item:
        """Give one approval; the first of two is told to nobody outside."""
        said = Signalled(
            signal="approval", data={"approved": True}, by=by, at=at, cause=str(new_id())
        )
        return await self.give(REVIEW, UUID(item.key), said)

    async def answer(self, definition: Definition, item: Item, at: datetime = BEGAN) -> Item:
        """Answer the step that tells: the saga ends."""
        assert item.state is not None
        command_id = item.state.steps["tell"].command_id
        assert command_id is not None
        said = Replied(
            step="tell", command_id=command_id, at=at, cause=str(new_id()), result={"seq": 1}
        )
        return await self.give(definition, UUID(item.key), said)

    async def pause(self, definition: Definition, item: Item, at: datetime = BEGAN) -> Item:
        """Let a saga stand still."""
        said = Ordered(
            order=OrderKind.PAUSE, reason="for a while", by="ada", at=at, cause=str(new_id())
        )
        return await self.give(definition, UUID(item.key), said)

    async def give(self, definition: Definition, saga_id: UUID, said: Input) -> Item:
        """Hand an input to the engine and append what it says."""
        decided: list[Transition] = []

        def choose(state: SagaState | None) -> Sequence[Any]:
            answer = decide(definition, state, said)
            assert isinstance(answer, Transition), answer
            decided.append(answer)
            return answer.events

        change = Change(
            domain.SAGA,
            str(saga_id),
            choose,
            new=isinstance(said, Start),
            effects=lambda: to_entry_parts(decided[-1])[1],
        )
        actor, correlation = (
            (said.actor, said.correlation) if isinstance(said, Start) else ("ada", "c")
        )
        context = Context(message_id=said.cause, actor=actor, correlation=correlation, now=said.at)
        log = self.partitions[subjects.saga_partition(saga_id)]
        loaded: Item = (await log.transact([change], context))[0]
        return loaded

    async def found(self, **asked: Any) -> list[TransactionId]:  # noqa: ANN401 - query fields
        """Name what a list shows, newest first."""
        page = await self.listed.page(ListTransactions(**asked))
        assert page.total == len(page.items)
        return [one.transaction_id for one in page.items]

    async def shown(self, item: Item) -> None:
        """Wait until the list shows what a saga came to."""
        await self.listed.page(ListTransactions(min_seq=place(item)))

    async def leading(self) -> None:
        """Wait until this process writes the list."""
        async with asyncio.timeout(60):
            while not self.projector.leads:
                await SYSTEM.sleep(0.02)


def place(item: Item) -> str:
    """Say where a saga has come to, as lists take it."""
    return f"{item.key}:{item.seq}"


def id_of(item: Item) -> TransactionId:
    """Give the id of a saga."""
    return TransactionId(UUID(item.key))


@asynccontextmanager
async def living(connection: Connection, store: Store) -> AsyncGenerator[House]:
    """Keep the list for as long as a `with` lasts."""
    house = House(connection, partitions_of(connection), store)
    running = asyncio.create_task(house.projector.run())
    try:
        yield house
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def partitions_of(connection: Connection) -> list[Log]:
    """Make the logs of all partitions, remembering nothing yet."""
    return [
        Log(
            connection,
            "transaction",
            stream=subjects.saga_stream(number),
            filter=subjects.saga_subjects(number, "log.>"),
        )
        for number in range(subjects.SAGA_PARTITIONS)
    ]
