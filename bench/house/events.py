"""Events: a raw fact from the bench, published through the contracts and by hand."""

import statistics

import nats

from bench.house.parts import ROUNDS, both, open_bus
from bench.load import drive
from bench.report import Report
from contracts import subjects
from contracts.lab import TemperatureRead
from infra.ids import new_id


async def events(report: Report, nats_url: str, scale: float) -> None:
    """Measure publishing lab events, one at a time and many at once."""
    count = max(200, int(4_000 * scale))
    fact = TemperatureRead.model_validate({"sensor": "FRZ-1", "celsius": "-79.5"})
    body = fact.model_dump_json().encode()
    subject = subjects.of(fact.contract)
    client = await nats.connect(nats_url)
    js = client.jetstream()
    async with open_bus(nats_url) as bus:

        async def publish_raw(_: int) -> None:
            headers = {"Nats-Msg-Id": new_id().hex, "ce-type": "sensor.temperature_read"}
            await js.publish(subject, body, headers=headers)

        async def publish_ours(_: int) -> None:
            await bus.publish_lab(fact, source="bench")

        for at_once in (1, 64):
            found: list[float] = []
            for _ in range(ROUNDS):
                raw = await drive(publish_raw, count=count, at_once=at_once)
                ours = await drive(publish_ours, count=count, at_once=at_once)
                found.append(ours.per_second / raw.per_second)
                both(report, "publish", at_once, ours=ours, other=raw, other_name="raw")
            name = f"event publish over raw, {at_once} at once"
            report.at_least(name, statistics.median(found), 0.6, "ratio")
    await client.close()
