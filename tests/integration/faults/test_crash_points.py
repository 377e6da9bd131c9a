"""A service that dies between any two of its steps: another one takes up, and there is one effect.

To the broker a killed process is a connection that ends and never comes back; that is what happens
here, right before the message of each step leaves and right before its acknowledgement comes.
"""

import asyncio

from contracts.sample import RegisterSample
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.clock import SYSTEM
from tests.fixtures.nats_proxy import Fate, nats_proxy
from tests.fixtures.sample_house import (
    asker,
    assert_registered_once,
    details,
    redeliver_after,
    sample_house,
    settled,
)
from tests.fixtures.servers import fresh_broker
from tests.integration.faults.moments import MOMENTS, Moment, Side

AT_ONCE = 6
WAIT_SECONDS = 60.0

STEPS = [moment for moment in MOMENTS if moment.side is Side.SERVICE]


async def dies_at(moment: Moment) -> None:
    """Register one sample while the first service dies at a step and a second one starts."""
    async with fresh_broker() as broker:
        direct = await Connection.connect(broker.url, "test")
        await provision(direct)
        await redeliver_after(direct, 0.5)
        rule = moment.rule(Fate.DEAD)
        async with (
            nats_proxy(broker.url, [rule]) as proxy,
            sample_house(proxy.url, drain_seconds=0.2),
            asker(broker.url) as bus,
        ):
            asking = asyncio.create_task(bus.ask(RegisterSample(details=details("LAB-1"))))
            async with asyncio.timeout(WAIT_SECONDS):
                while not proxy.dead:
                    await SYSTEM.sleep(0.01)
            async with sample_house(broker.url):
                view = await asking
                await settled(direct)
                await assert_registered_once(direct, view)
        await direct.close()


async def test_a_service_that_dies_at_any_step_leaves_one_effect() -> None:
    """The asker is answered by the service that takes up; nothing is lost, nothing is doubled."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def limited(moment: Moment) -> None:
        async with limit:
            try:
                await dies_at(moment)
            except Exception as error:
                raise AssertionError(f"the service died when {moment}") from error

    async with asyncio.TaskGroup() as group:
        for moment in STEPS:
            group.create_task(limited(moment))
