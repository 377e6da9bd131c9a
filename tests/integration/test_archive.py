"""The archive over the real broker: what is moved, what stays, and what is left when it dies."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts import subjects
from contracts.aggregate import Loaded
from contracts.entry import verify_chain
from contracts.errors import NotFound, Refusal, Refused
from contracts.message import Event
from contracts.saga_archive import ArchiveTransactions
from contracts.transaction import TransactionStatus
from infra.bus.connection import BrokerUnavailable, Connection
from infra.bus.context import Context
from infra.bus.reads import Raw
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.archive import MARK, Archive, DamagedArchiveError
from infra.log.archiving import Archiving
from infra.log.log import Change, Log
from sagas.definitions.sample_intake import SAMPLE_INTAKE
from sagas.engine.decision import (
    Due,
    Ignored,
    Input,
    Replied,
    StepCommand,
    Transition,
    failure_of,
    start_with,
)
from sagas.engine.machine import decide
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from services.transaction import domain
from services.transaction.handlers.archive import Archivist
from tests.fixtures.nats_proxy import Fate, Rule, Way, nats_proxy
from tests.fixtures.servers import Broker
from tests.sagas.chronicle import MANIFEST, answer_to

NOW = ArchiveTransactions(older_than_days=0)


class Office:
    """Carries sagas on as the transaction service does, without its messages."""

    def __init__(self, connection: Connection) -> None:
        """Open the partitions."""
        self.logs = [
            Log(
                connection,
                "transaction",
                stream=subjects.saga_stream(number),
                filter=subjects.saga_subjects(number, "log.>"),
            )
            for number in range(subjects.SAGA_PARTITIONS)
        ]
        self.archivist = Archivist(self.logs, SYSTEM, after_days=30)

    def log_of(self, saga_id: UUID) -> Log:
        """Give the log of a saga's partition."""
        return self.logs[subjects.saga_partition(saga_id)]

    async def advance(self, saga_id: UUID, given: Input) -> Transition | Ignored:
        """Decide on an input, and append what comes of it."""
        answers: list[Transition | Ignored] = []

        def choose(state: SagaState | None) -> Sequence[Event]:
            answers.append(decide(SAMPLE_INTAKE, state, given))
            return answers[-1].events if isinstance(answers[-1], Transition) else ()

        def effects() -> dict[str, Any]:
            assert isinstance(answers[-1], Transition)
            return to_entry_parts(answers[-1])[1]

        context = Context(message_id=given.cause, actor="anna", correlation="c", now=given.at)
        change = Change(domain.SAGA, str(saga_id), choose, effects=effects)
        await self.log_of(saga_id).transact([change], context)
        assert answers, f"{given.cause} is in the log already"
        return answers[-1]

    def beginning(self, saga_id: UUID) -> Input:
        """Make the input that begins a saga."""
        return start_with(
            MANIFEST,
            saga_id=saga_id,
            at=SYSTEM.now(),
            actor="anna",
            correlation="c",
            cause=str(new_id()),
        )

    def answer(self, command: StepCommand, refusal: Refusal | None = None) -> Input:
        """Make the answer to a command."""
        return Replied(
            step=command.step,
            command_id=command.command_id,
            at=SYSTEM.now(),
            cause=str(new_id()),
            result=None if refusal else answer_to(command.type),
            failure=failure_of(command.step, refusal) if refusal else None,
        )

    async def run(self, *, refused: bool = False) -> UUID:
        """Carry one saga to its end: completed, or undone where its first step is refused."""
        saga_id = new_id()
        refusal = NotFound(what="file", key="x") if refused else None
        begun = await self.advance(saga_id, self.beginning(saga_id))
        while isinstance(begun, Transition) and begun.commands:
            begun = await self.advance(saga_id, self.answer(begun.commands[0], refusal))
        return saga_id

    async def load(self, saga_id: UUID) -> Loaded[SagaState]:
        """Load a saga."""
        return await self.log_of(saga_id).load(domain.SAGA, saga_id)

    async def bodies(self, saga_id: UUID) -> list[bytes]:
        """Read a saga's history."""
        return await self.log_of(saga_id).bodies(domain.SAGA, saga_id)

    async def stored(self, saga_id: UUID) -> list[Raw]:
        """Read what the stream itself still has of a saga."""
        log = self.log_of(saga_id)
        return [r async for r in log.connection.read(log.stream, subjects.saga_log(saga_id))]


@pytest.fixture
def office(provisioned: Connection) -> Office:
    """Give an office over a fresh broker."""
    return Office(provisioned)


async def test_what_was_archived_reads_as_before(office: Office, provisioned: Connection) -> None:
    """State, history, every byte and every past moment are the same, for other processes too."""
    ids = [await office.run() for _ in range(9)]
    before = [(await office.load(one), await office.bodies(one)) for one in ids]
    done = await office.archivist.archive(NOW)
    assert (done.archived, done.left, done.complete) == (9, 0, True)
    assert done.entries == sum(len(bodies) for _, bodies in before)
    later = Office(provisioned)
    for saga_id, (loaded, bodies) in zip(ids, before, strict=True):
        now = await office.load(saga_id)
        assert await later.load(saga_id) == now
        for process in (office, later):
            assert now.state == loaded.state
            assert (now.number, now.hash, now.causes) == (loaded.number, loaded.hash, loaded.causes)
            assert await process.bodies(saga_id) == bodies
            assert verify_chain(bodies) == loaded.number
        first = json.loads(bodies[0])["at"]
        then = await later.log_of(saga_id).at(
            domain.SAGA, saga_id, datetime.fromisoformat(first) + timedelta(microseconds=1)
        )
        assert then.number == 1
        (stub,) = await office.stored(saga_id)
        assert (stub.body, stub.seq) == (bodies[-1], now.seq)


async def test_what_is_open_or_too_young_stays(office: Office) -> None:
    """Only what has ended, and long enough ago, is moved."""
    open_id = new_id()
    await office.advance(open_id, office.beginning(open_id))
    ended = await office.run()
    undone = await office.run(refused=True)
    month = await office.archivist.archive(ArchiveTransactions())
    assert (month.archived, month.complete) == (0, True)
    assert (await office.archivist.archive(NOW)).archived == 2
    assert MARK not in (await office.stored(open_id))[0].headers
    assert [len(await office.stored(one)) for one in (ended, undone)] == [1, 1]
    assert (await office.load(undone)).state is not None


async def test_what_failed_stays(office: Office) -> None:
    """A person is still needed, so its log stays where it is."""
    saga_id = new_id()
    begun = await office.advance(saga_id, office.beginning(saga_id))
    while isinstance(begun, Transition) and not begun.state.status.ended:
        if begun.commands and SAMPLE_INTAKE.by_name[begun.commands[0].step].kind != "pivot":
            given: Input = office.answer(begun.commands[0])
        else:
            timer = begun.timers[-1]
            given = Due(name=timer.name, at=timer.due_at, cause=str(new_id()))
        begun = await office.advance(saga_id, given)
    assert isinstance(begun, Transition)
    assert begun.state.status is TransactionStatus.FAILED
    before = await office.stored(saga_id)
    assert (await office.archivist.archive(NOW)).archived == 0
    assert await office.stored(saga_id) == before


async def test_trying_it_changes_nothing_and_says_what_would_be(office: Office) -> None:
    """A dry run counts what the run then does."""
    saga_id = await office.run()
    before = await office.stored(saga_id)
    tried = await office.archivist.archive(NOW.model_copy(update={"dry_run": True}))
    assert (tried.dry_run, tried.archived, tried.files) == (True, 1, 0)
    assert await office.stored(saga_id) == before
    done = await office.archivist.archive(NOW)
    assert (done.archived, done.entries) == (tried.archived, tried.entries)


async def test_archiving_again_finds_nothing_to_do(office: Office) -> None:
    """What is archived is not archived once more."""
    await office.run()
    assert (await office.archivist.archive(NOW)).archived == 1
    assert (await office.archivist.archive(NOW)).archived == 0


async def test_a_limit_leaves_the_rest_for_the_next_time(office: Office) -> None:
    """It says that there is more."""
    for _ in range(5):
        await office.run()
    part = await office.archivist.archive(NOW.model_copy(update={"limit": 2}))
    assert (part.archived, part.complete) == (2, False)
    assert (await office.archivist.archive(NOW)).archived == 3


async def test_the_id_of_an_archived_saga_never_begins_again(
    office: Office, provisioned: Connection
) -> None:
    """A start message that comes once more is known, also to a process that knows nothing."""
    saga_id = await office.run()
    before = await office.bodies(saga_id)
    await office.archivist.archive(NOW)
    for process in (office, Office(provisioned)):
        answer = await process.advance(saga_id, process.beginning(saga_id))
        assert isinstance(answer, Ignored)
        assert await process.bodies(saga_id) == before


async def test_an_archived_log_can_go_on_and_be_archived_again(office: Office) -> None:
    """Its chain runs on from the archive into the stream, and back into one file."""
    saga_id = await office.run()
    log = office.log_of(saga_id)
    await office.archivist.archive(NOW)
    loaded = await office.load(saga_id)
    assert loaded.state is not None
    last_event = (await log.entries(domain.SAGA, saga_id))[-1].events[-1]
    change = Change(domain.SAGA, str(saga_id), lambda _: [last_event])
    context = Context(message_id="more", actor="anna", correlation="c", now=SYSTEM.now())
    await log.transact([change], context)
    bodies = await office.bodies(saga_id)
    assert verify_chain(bodies) == loaded.number + 1
    assert len(await office.stored(saga_id)) == 2
    log.forget()
    moved = await Archiving(log, domain.SAGA).move([await office.load(saga_id)])
    assert (moved.logs, moved.entries) == (1, loaded.number + 1)
    assert len(await office.stored(saga_id)) == 1
    assert await office.bodies(saga_id) == bodies


async def test_a_saga_that_changed_meanwhile_is_left(office: Office) -> None:
    """What was found closed and is no more is not moved."""
    saga_id = await office.run()
    loaded = await office.load(saga_id)
    stale = replace(loaded, seq=loaded.seq - 1)
    moved = await Archiving(office.log_of(saga_id), domain.SAGA).move([stale])
    assert (moved.logs, moved.left) == (0, 1)
    assert len(await office.stored(saga_id)) == loaded.number


async def test_a_file_that_is_not_what_is_asked_for_is_told(
    office: Office, provisioned: Connection
) -> None:
    """A log that is not in the file, and a file that is not there, are no empty histories."""
    saga_id = await office.run()
    raws = await office.log_of(saga_id).raws(domain.SAGA, saga_id)
    written = await Archive(provisioned).write("SAGA_0", [raws])
    with pytest.raises(DamagedArchiveError, match="is not in the archive"):
        await Archive(provisioned).read(written.mark, "tracseq.saga.0.log.other")
    with pytest.raises(Refused):
        await Archive(provisioned).read(f"{'0' * 64}:7", raws[0].subject)


async def test_a_broken_log_stays_where_people_look(office: Office) -> None:
    """It keeps no other log from being moved."""
    broken, whole = [await office.run() for _ in range(2)]
    log = office.log_of(broken)
    loaded = await office.load(broken)
    await log.connection.publish(subjects.saga_log(broken), (await office.bodies(broken))[0])
    log.forget()
    assert (await office.archivist.archive(NOW)).archived == 1
    assert len(await office.stored(broken)) == loaded.number + 1
    assert len(await office.stored(whole)) == 1


@pytest.mark.parametrize("nth", range(1, 9))
async def test_whatever_frame_is_lost_no_history_is(
    broker: Broker, provisioned: Connection, nth: int
) -> None:
    """Cut at any message to the broker, archiving done again ends with every history whole."""
    office = Office(provisioned)
    ids = [await office.run() for _ in range(3)]
    before = {one: await office.bodies(one) for one in ids}

    def storing(frame_subject: str) -> bool:
        return frame_subject.startswith(("$O.archive", "tracseq.saga"))

    for way in Way:
        cut = Rule(way, lambda frame: storing(frame.subject), Fate.CUT, nth=nth)
        async with nats_proxy(broker.url, [cut]) as proxy:
            connection = await Connection.connect(proxy.url, "archivist")
            archivist = Office(connection).archivist
            with suppress(BrokerUnavailable):
                await archivist.archive(NOW)
            await connection.close()
        later = Office(provisioned)
        for one in ids:
            assert await later.bodies(one) == before[one]
            state = (await later.load(one)).state
            assert state is not None
            assert state.status is TransactionStatus.COMPLETED
    await Office(provisioned).archivist.archive(NOW)
    assert [len(await office.stored(one)) for one in ids] == [1, 1, 1]
