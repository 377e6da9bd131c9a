"""Begins sagas over the bus and waits for their ends: `python -m bench.sagas.client NATS_URL`.

It asks twice for each, as any client of the laboratory does: to begin, and for the end.
"""

import sys

import uvloop

from bench.peers.protocol import Order, Ran, closed_loop, serve
from bench.sagas.contracts import Begin
from contracts.transaction import GetTransaction
from infra.bus.bus import Bus

WITHIN_SECONDS = 40.0


async def main(nats_url: str) -> None:
    """Take orders."""
    bus = await Bus.open(nats_url, source="bench")

    async def saga(number: int) -> None:
        begun = await bus.ask(Begin(saga=number), timeout_seconds=WITHIN_SECONDS)
        ended = await bus.ask(
            GetTransaction(transaction_id=begun.transaction_id, wait_seconds=30),
            timeout_seconds=WITHIN_SECONDS,
        )
        if ended.status != "completed":
            raise RuntimeError(f"saga {begun.transaction_id} stands {ended.status}")

    async def run(order: Order) -> Ran:
        return await closed_loop(saga, order)

    try:
        await serve(run)
    finally:
        await bus.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
