"""How a bench asks both sides of a comparison, and what it counts as their cost."""

import asyncio
import sys

import pytest

from bench.peers import environment
from bench.peers.environment import PeerMissingError
from bench.peers.protocol import Order, closed_loop
from bench.peers.worker import cpu_seconds
from infra.clock import SYSTEM

BURNT_SECONDS = 0.4

# The one that burns has ended, and its parent lives on: as a connection of PostgreSQL does.
PARENT = f"""
import subprocess, sys
burn = "import time\\nwhile time.process_time() < {BURNT_SECONDS}: pass"
subprocess.run([sys.executable, "-c", burn], check=True)
print("burnt", flush=True)
sys.stdin.read()
"""


async def test_so_many_are_in_flight_and_never_more() -> None:
    """A closed loop starts a saga whenever one ends."""
    now, most = 0, 0

    async def saga(_: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await SYSTEM.sleep(0.005)
        now -= 1

    ran = await closed_loop(saga, Order(at_once=7, seconds=0.1))

    assert most == 7
    assert now == 0
    assert len(ran.latencies_ms) > 7
    assert min(ran.latencies_ms) >= 4


async def test_the_sagas_in_flight_count_and_so_does_the_time_they_take() -> None:
    """A saga that outlasts the time is waited for, and the rate is over all of it."""

    async def saga(_: int) -> None:
        await SYSTEM.sleep(0.3)

    ran = await closed_loop(saga, Order(at_once=2, seconds=0.05))

    assert len(ran.latencies_ms) == 2
    assert ran.seconds >= 0.29
    assert ran.per_second == pytest.approx(2 / ran.seconds)


async def test_every_saga_has_its_own_number() -> None:
    """No number is given twice, however many are in flight."""
    numbers: list[int] = []

    async def saga(number: int) -> None:
        numbers.append(number)
        await SYSTEM.sleep(0.001)

    await closed_loop(saga, Order(at_once=5, seconds=0.05))

    assert numbers == list(range(1, len(numbers) + 1))


async def test_cpu_of_children_that_have_ended_counts() -> None:
    """What a server's short-lived process used is the server's cost."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        # The kernel counts in ticks of 10 ms.
        assert cpu_seconds([process.pid]) > BURNT_SECONDS - 0.05
    finally:
        process.stdin.close()
        await process.wait()


async def test_a_peer_that_cannot_be_installed_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without npm there is no Restate, and the reason for its row names npm."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(PeerMissingError, match="npm"):
        await environment.restate_server()
