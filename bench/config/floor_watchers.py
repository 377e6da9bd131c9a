"""Bare subscribers to what the broker repeats of a stream: `... floor_watchers URL COUNT N`."""

import asyncio
import sys
from functools import partial

import nats
import uvloop
from nats.aio.msg import Msg

from bench.peers.counting import Counting, tell

STREAM, STORED, REPEATED = "BENCH_FLOOR", "bench.floor", "bench.repeated"


async def main(url: str, count: int) -> None:
    """Subscribe, say so, then count."""
    counting = Counting(count)

    for index in range(count):
        client = await nats.connect(url)
        await client.subscribe(REPEATED, cb=partial(_heard, counting, index))
        await client.flush()
    tell({"ready": True})
    await asyncio.Event().wait()


async def _heard(counting: Counting, index: int, message: Msg) -> None:
    counting.saw(index, int(message.data))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
