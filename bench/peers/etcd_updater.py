"""Sets one key of etcd to each number that it reads: `... etcd_updater PORT`."""
# The library lives in the peers' environment alone.
# pyright: reportMissingImports=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# mypy: disable-error-code="import-not-found"

import asyncio
import sys
import time

import aetcd

from bench.peers.counting import tell
from bench.peers.etcd_watchers import KEY


async def main(port: int) -> None:
    """Say that it is ready, then update until there are no more numbers."""
    loop = asyncio.get_running_loop()
    async with aetcd.Client(port=port) as client:
        tell({"ready": True})
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            began = time.monotonic()
            await client.put(KEY, line.strip().encode())
            tell({"began": began, "seconds": time.monotonic() - began})


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
