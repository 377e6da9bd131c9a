"""The floor: raw nats-py that makes by hand the publishes and appends of one registered sample.

`python -m bench.floor URL` serves until it is told to stop. It has no contracts, no refusals, no
retries, no dead letters, no telemetry: what remains is what broker and client library cost.
"""

import asyncio
import json
import sys

import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

COMMANDS, LOG, EVENTS, OUTCOMES = "FLOOR_COMMANDS", "FLOOR_LOG", "FLOOR_EVENTS", "FLOOR_OUTCOMES"
BATCH = 64


async def provision(js: JetStreamContext) -> None:
    """Make the floor's own streams."""
    await js.add_stream(
        StreamConfig(
            name=COMMANDS,
            subjects=["floor.cmd.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            duplicate_window=120,
        )
    )
    for name, subject in ((LOG, "floor.log.>"), (EVENTS, "floor.evt.>"), (OUTCOMES, "floor.out.>")):
        await js.add_stream(StreamConfig(name=name, subjects=[subject], allow_direct=True))
    await js.add_consumer(
        COMMANDS, ConsumerConfig(durable_name="floor", filter_subject="floor.cmd.>", ack_wait=30)
    )


async def serve(url: str) -> None:
    """Take commands, append claim and sample, record the outcome, reply, ack; forward aside."""
    client = await nats.connect(url)
    js = client.jetstream()
    pull = await js.pull_subscribe("floor.cmd.>", durable="floor", stream=COMMANDS)
    forward: asyncio.Queue[bytes] = asyncio.Queue(maxsize=10_000)
    forwarding = asyncio.create_task(_forward(js, forward))
    print("ready", flush=True)
    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            try:
                messages = await pull.fetch(BATCH, timeout=0.5)
            except (NatsTimeout, TimeoutError):
                continue
            for message in messages:
                task = asyncio.create_task(_handle(client, js, message, forward))
                running.add(task)
                task.add_done_callback(running.discard)
            while len(running) >= BATCH:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        forwarding.cancel()


async def _handle(
    client: Client, js: JetStreamContext, message: Msg, forward: asyncio.Queue[bytes]
) -> None:
    headers = message.headers or {}
    command = json.loads(message.data)
    key = headers["Nats-Msg-Id"]
    expected = {"Nats-Expected-Last-Subject-Sequence": "0"}
    claim = json.dumps({"barcode": command["barcode"], "sample": key}).encode()
    await js.publish(f"floor.log.barcode.{command['barcode']}", claim, headers=expected)
    await js.publish(f"floor.log.sample.{key}", message.data, headers=expected)
    await js.publish(f"floor.out.{key}", message.data)
    await client.publish(headers["reply"], message.data)
    await message.ack()
    await forward.put(message.data)


async def _forward(js: JetStreamContext, queue: asyncio.Queue[bytes]) -> None:
    while True:
        await js.publish("floor.evt.sample.registered", await queue.get())


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
