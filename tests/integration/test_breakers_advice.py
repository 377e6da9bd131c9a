"""Instances of a service that tell each other of their breakers: over the bus, as advice alone."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from contracts import subjects
from infra.breaker import (
    BreakerRegistry,
    BreakerSnapshot,
    CircuitBreaker,
    CircuitBreakerConfig,
    State,
)
from infra.bus.connection import Connection
from infra.bus.pushes import Pushes
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.runtime import Blueprint, Fleet
from infra.runtime.advising import Adviser
from services.event import service as event
from services.event.settings import Settings as EventSettings
from tests.fixtures.laboratory import Laboratory, eventually, laboratory
from tests.fixtures.servers import Broker

__all__ = ["laboratory"]

EVENT = Blueprint("event", event.build, EventSettings(http_port=0))
CONFIG = CircuitBreakerConfig(failure_threshold=3, recovery_timeout=60, success_threshold=1)
SUBJECT = subjects.breaker_advice("sample")


async def fail() -> None:
    """Fail as a dependency that is away."""
    raise ConnectionError("down")


async def work() -> None:
    """Do nothing, well."""


async def failing(breaker: CircuitBreaker, times: int) -> None:
    """Make calls that fail."""
    for _ in range(times):
        with pytest.raises(ConnectionError):
            await breaker.call(fail)


@asynccontextmanager
async def instance(nats_url: str, name: str) -> AsyncGenerator[BreakerRegistry]:
    """Run what an instance of a service has of advice; gives its breakers."""
    connection = await Connection.connect(nats_url, "sample")
    breakers = BreakerRegistry("sample")
    breakers.get("upstream", CONFIG)
    adviser = Adviser(connection, breakers, instance=name, clock=SYSTEM, ids=new_id)
    running = asyncio.create_task(adviser.run())
    try:
        yield breakers
    finally:
        running.cancel()
        await asyncio.wait({running})
        await connection.close()


async def until(breakers: BreakerRegistry, *, advised_by: int) -> BreakerSnapshot:
    """Wait until so many others say that there is an outage."""

    async def seen() -> BreakerSnapshot:
        return breakers.get("upstream").snapshot()

    return await eventually(seen, lambda one: one.advised_by == advised_by)


async def test_two_instances_of_a_service_advise_each_other(laboratory: Laboratory) -> None:
    """What one saw makes the other careful, not closed to anyone; what came of it is told too."""
    first = await laboratory.start(EVENT)
    fleet = Fleet(laboratory.common)
    try:
        await fleet.start([EVENT])
        one, other = (running.service.platform.breakers for running in (first, fleet.running[0]))
        mine, theirs = (registry.get("upstream", CONFIG) for registry in (one, other))

        # Told again and again, until both listen to each other.
        async def told() -> int:
            mine.reset()
            await failing(mine, 3)
            return other.get("upstream").snapshot().advised_by

        await eventually(told, bool)
        assert theirs.breaker_state is State.CLOSED
        await theirs.call(work)
        await failing(theirs, 2)
        opened = theirs.snapshot()
        mine.half_open()
        await mine.call(work)
        await until(other, advised_by=0)
    finally:
        await fleet.stop()

    assert (opened.state, opened.advised, opened.failed) == (State.OPEN, True, 2)
    assert opened.retry_after_seconds > 50
    assert theirs.snapshot().retry_after_seconds <= 1, "it tries soon, now that another is answered"
    # It opened on advice, so it gave none.
    assert mine.snapshot().advised_by == 0


async def test_what_means_nothing_is_harmless(broker: Broker) -> None:
    """Malformed, of nobody's breaker, of a state that is no advice, stale: nothing changes."""
    async with instance(broker.url, "one") as one, instance(broker.url, "other") as other:
        connection = await Connection.connect(broker.url, "test")
        said = {
            "origin": str(new_id()),
            "instance": "elsewhere",
            "breaker": "upstream",
            "state": "open",
            "seconds": 60,
            "at": SYSTEM.now().isoformat(),
        }
        wrong = (
            {"breaker": "nobody's"},
            {"state": "forced_open"},
            {"seconds": -1},
            {"seconds": 1e300},
            {"at": "2020-01-01T00:00:00Z"},
            {"at": "never"},
            {"origin": None},
        )
        bodies = [
            b"",
            b"\x00\xff",
            b"[]",
            b"{}",
            *(json.dumps({**said, **each}).encode() for each in wrong),
        ]
        for body in bodies:
            await connection.send(SUBJECT, body)
        await connection.close()

        async def told() -> int:
            one.get("upstream").reset()
            await failing(one.get("upstream"), 3)
            return other.get("upstream").snapshot().advised_by

        # In order, so what came before was read.
        await eventually(told, bool)

        assert [seen.name for seen in other.snapshot()] == ["upstream"]
        assert other.get("upstream").snapshot().advised_by == 1
        assert other.get("upstream").breaker_state is State.CLOSED


async def test_without_a_broker_breakers_are_what_they_were(broker: Broker) -> None:
    """They open and recover by what they see; what could not be told is not told later."""
    async with instance(broker.url, "one") as one, instance(broker.url, "other") as other:
        mine = one.get("upstream")
        await broker.child.stop()
        seen = [mine.breaker_state]
        await failing(mine, 3)
        seen.append(mine.breaker_state)
        mine.half_open()
        await mine.call(work)
        seen.append(mine.breaker_state)
        await failing(mine, 3)
        await broker.child.start()

        mine.reset(by="ada")
        before = other.get("upstream").snapshot()

        async def told() -> int:
            mine.reset()
            await failing(mine, 3)
            return other.get("upstream").snapshot().advised_by

        await eventually(told, bool)

    assert seen == [State.CLOSED, State.OPEN, State.CLOSED]
    assert (before.advised_by, before.state) == (0, State.CLOSED)


async def test_what_is_done_by_hand_is_advice_to_nobody(broker: Broker) -> None:
    """Who opens or resets one instance's breaker means that instance."""
    heard = list[str]()
    connection = await Connection.connect(broker.url, "test")
    hear = Pushes(connection, SUBJECT, lambda body: heard.append(json.loads(body)["state"]))
    await hear.start()
    async with instance(broker.url, "one") as one:
        breaker = one.get("upstream")
        breaker.force_open(by="ada")
        breaker.reset(by="ada")
        await failing(breaker, 3)
        breaker.reset(by="ada")
        await failing(breaker, 3)
        breaker.half_open()
        await breaker.call(work)

        async def all_heard() -> list[str]:
            return heard

        await eventually(all_heard, lambda found: found[-1:] == ["closed"])
    await connection.close()

    assert heard == ["open", "open", "half_open", "closed"]
