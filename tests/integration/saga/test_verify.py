"""Logs that were tampered with, over a real broker: how much of them holds, and what breaks."""

from collections.abc import AsyncGenerator
from uuid import UUID

import pytest

import sagas.definitions
from contracts import subjects
from contracts.entry import GENESIS
from contracts.saga_tools import ReplayTransaction, VerifyTransaction
from contracts.types import TransactionId
from infra.bus.connection import Connection
from infra.ids import new_id
from services.transaction.handlers import tools
from tests.integration.saga.conductor import Conductor, conducting, participant
from tests.integration.saga.desk import ALL, SENDING, Participants, said


@pytest.fixture
async def conductor(
    nats_url: str, provisioned: Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Conductor]:
    """Give a process that carries sagas on, and participants that do what they are asked."""
    assert provisioned.connected
    monkeypatch.setattr(sagas.definitions, "ALL", ALL)
    async with conducting(nats_url) as conductor, participant(nats_url, Participants().answer):
        yield conductor


async def forged(conductor: Conductor, entries: list[bytes]) -> TransactionId:
    """Write a log past the engine."""
    saga_id = new_id()
    for body in entries:
        await conductor.connection.publish(subjects.saga_log(saga_id), body)
    return TransactionId(saga_id)


async def bodies_of(conductor: Conductor, saga_id: UUID) -> list[bytes]:
    """Read a log as the bytes that were hashed."""
    aggregates = conductor.orchestrator.of(saga_id)
    return await aggregates.log.bodies(aggregates.kind, saga_id)


async def test_what_holds_is_counted_and_what_breaks_is_named(conductor: Conductor) -> None:
    """Edited, dropped, moved, or no entry at all: what lies before it is good, and has its head."""
    saga_id = await conductor.begin(SENDING)
    await conductor.ended(saga_id)
    whole = await bodies_of(conductor, saga_id)
    hashes = [entry.hash for entry in await conductor.entries(saga_id)]
    edited = whole[1].replace(b'"actor":"', b'"actor":"m')
    for broken, good, problem in (
        ([whole[0], edited, *whole[2:]], 2, "entry 3 does not follow"),
        ([whole[0], *whole[2:]], 1, "entry 2 says that it is number 3"),
        ([whole[0], whole[2], whole[1]], 1, "entry 2 says that it is number 3"),
        ([*whole, b"{}"], len(whole), f"entry {len(whole) + 1} cannot be read"),
        (whole[1:], 0, "entry 1 says that it is number 2"),
    ):
        query = VerifyTransaction(transaction_id=await forged(conductor, broken))
        found = await tools.on_verify(query, said(), orchestrator=conductor.orchestrator)
        assert (found.whole, found.entries) == (False, good)
        assert found.problem is not None
        assert problem in found.problem
        if broken[:good] == whole[:good]:
            assert found.head == (hashes[good - 1] if good else GENESIS)

        replay = ReplayTransaction(transaction_id=query.transaction_id)
        shown = await tools.on_replay(replay, said(), orchestrator=conductor.orchestrator)
        assert not shown.same
        assert shown.problem is not None
        assert problem in shown.problem


async def test_a_changed_definition_is_told_with_its_place(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is recorded, what would come out today, and where that is written."""
    saga_id = await conductor.begin(SENDING)
    await conductor.ended(saga_id)
    _, longer, other, _ = ALL
    query = ReplayTransaction(transaction_id=TransactionId(saga_id))
    monkeypatch.setattr(sagas.definitions, "ALL", (SENDING, longer))
    shown = await tools.on_replay(query, said(), orchestrator=conductor.orchestrator)
    assert (shown.same, shown.divergence, shown.problem) == (True, None, None)

    monkeypatch.setattr(sagas.definitions, "ALL", (other.known_as(1, other.hash),))
    shown = await tools.on_replay(query, said(), orchestrator=conductor.orchestrator)
    assert not shown.same
    assert shown.divergence is not None
    assert shown.divergence["definition"]["file"] == "tests/integration/saga/desk.py"
