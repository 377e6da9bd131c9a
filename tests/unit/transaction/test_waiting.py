"""Waiting for a saga's end: bounded in time, whatever happens meanwhile."""

import asyncio

import pytest

from contracts.aggregate import Loaded
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.state import SagaState
from services.transaction.handlers.waiting import Waiting
from tests.sagas.chronicle import SAGA, Chronicle


@pytest.fixture
def running() -> SagaState:
    """Give a saga that has begun."""
    log = Chronicle(SAMPLE_INTAKE)
    log.begin()
    return log.saga


@pytest.mark.parametrize("seconds", [0, 0.05])
async def test_a_wait_is_over_in_time_although_the_saga_goes_on(
    running: SagaState, seconds: float
) -> None:
    """Who is told of something else than they wait for is answered with the newest of it."""
    waiting = Waiting()

    async def look() -> Loaded[SagaState]:
        for seq in (2, 3):
            asyncio.get_running_loop().call_soon(waiting.changed, SAGA, at(seq))
        return at(1)

    def at(seq: int) -> Loaded[SagaState]:
        return Loaded(str(SAGA), running, seq=seq)

    async with asyncio.timeout(60):
        seen = await waiting.until(SAGA, look, lambda _: False, seconds=seconds)
    assert seen.seq in {1, 2, 3}
    assert seen.seq == 3 or not seconds


async def test_who_waits_for_what_comes_meanwhile_is_woken(running: SagaState) -> None:
    """Long before their time is over."""
    waiting = Waiting()

    async def look() -> Loaded[SagaState]:
        ended = Loaded(str(SAGA), running, seq=9)
        asyncio.get_running_loop().call_soon(waiting.changed, SAGA, ended)
        return Loaded(str(SAGA), running, seq=1)

    async with asyncio.timeout(60):
        seen = await waiting.until(SAGA, look, lambda one: one.seq == 9, seconds=3_600)
    assert seen.seq == 9
