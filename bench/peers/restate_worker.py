"""Calls the five-step handler through Restate's ingress: `... restate_worker INGRESS_PORT`.

A call is answered when the handler has ended, so a latency is that of a whole saga.
"""

import sys

import uvloop

from bench.http_load import HttpLoad
from bench.peers.protocol import Order, Ran, closed_loop, serve

HOST = "127.0.0.1"
PATH = "/Sagas/five_steps"


async def main(port: int) -> None:
    """Take orders; each has connections of its own."""

    async def run(order: Order) -> Ran:
        async with HttpLoad(HOST, port, order.at_once) as http:

            async def saga(number: int) -> None:
                status, body = await http.post(PATH, str(number).encode())
                if status != 200:
                    raise RuntimeError(f"Restate answered {status}: {body[:300]!r}")

            return await closed_loop(saga, order)

    await serve(run)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
