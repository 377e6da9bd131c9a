"""Clients of etcd that watch one key: `... etcd_watchers PORT COUNT NUMBER`; runs until killed."""
# The library lives in the peers' environment alone.
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# mypy: disable-error-code="import-not-found"

import asyncio
import sys

import aetcd

from bench.peers.counting import Counting, tell

KEY = b"bench/config"


async def main(port: int, count: int) -> None:
    """Open the clients, say that all watch, then count."""
    counting = Counting(count)
    ready = asyncio.Semaphore(0)

    async def watch(number: int) -> None:
        async with aetcd.Client(port=port) as client:
            watching = await client.watch(KEY)
            ready.release()
            async for event in watching:
                counting.saw(number, int(event.kv.value))

    async with asyncio.TaskGroup() as clients:
        for number in range(count):
            clients.create_task(watch(number))
        for _ in range(count):
            await ready.acquire()
        tell({"ready": True})


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
