"""Whichever single message on the path of a command is lost, doubled, late or the last: one effect.

Every moment of the path, every fate, against a broker of its own; they run side by side, as nearly
all of the time is waiting for a timeout.
"""

import asyncio

import pytest

from contracts.sample import RegisterSample, SampleView
from infra.bus.bus import Bus, Pending
from infra.bus.connection import Connection
from infra.bus.outcomes import read_outcome
from infra.bus.provision import provision
from infra.ids import new_id
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
REDELIVER_SECONDS = 0.5


async def register(bus: Bus, barcode: str) -> SampleView:
    """Register as a client does: what is pending is asked for again by its id."""
    command = RegisterSample(details=details(barcode))
    message_id = str(new_id())
    for _ in range(3):
        try:
            return await bus.ask(command, message_id=message_id, timeout_seconds=6)
        except Pending:
            continue
    raise TimeoutError(f"{barcode} was never answered")


async def one_effect(moment: Moment, fate: Fate) -> None:
    """Register one sample while one frame meets its fate, and look at everything that it left."""
    rule = moment.rule(fate)
    async with fresh_broker() as broker:
        direct = await Connection.connect(broker.url, "test")
        await provision(direct)
        await redeliver_after(direct, REDELIVER_SECONDS)
        at_service = [rule] if moment.side is Side.SERVICE else []
        at_asker = [rule] if moment.side is Side.ASKER else []
        async with (
            nats_proxy(broker.url, at_service) as service_proxy,
            nats_proxy(broker.url, at_asker) as asker_proxy,
            sample_house(service_proxy.url),
            asker(asker_proxy.url) as bus,
        ):
            view = await register(bus, "LAB-1")
            await settled(direct)
            assert rule.met, f"{moment} never came by"
            await assert_registered_once(direct, view)
            recorded = await direct.last("KV_outcomes", "$KV.outcomes.>")
            assert recorded is not None
            assert read_outcome(recorded.body).refusal is None
        await direct.close()


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate is not Fate.DEAD])
async def test_one_message_that_goes_wrong_neither_loses_nor_doubles_anything(fate: Fate) -> None:
    """One sample, one claim, one event, one answer; the queue is empty, and no letter is dead."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def limited(moment: Moment) -> None:
        async with limit:
            try:
                await one_effect(moment, fate)
            except Exception as error:
                raise AssertionError(f"{moment}, {fate}") from error

    async with asyncio.TaskGroup() as group:
        for moment in MOMENTS:
            group.create_task(limited(moment))
