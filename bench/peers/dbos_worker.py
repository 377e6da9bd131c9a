"""DBOS with a workflow of five steps: `python -m bench.peers.dbos_worker SYSTEM_DATABASE_URL`.

Workflow and steps are coroutines, the library's own way to have many in flight in one process. Its
telemetry and its admin server are off; everything else is as it comes.
"""
# The library lives in the peers' environment: here it has stubs alone (typings/).
# pyright: reportMissingModuleSource=false

import sys

import uvloop
from dbos import DBOS

from bench.peers.protocol import Order, Ran, closed_loop, serve

STEPS = 5


@DBOS.step()
async def step(saga: int, number: int) -> dict[str, int]:
    """Do nothing, and say so in a small document."""
    return {"saga": saga, "step": number}


@DBOS.workflow()
async def five_steps(saga: int) -> dict[str, int]:
    """Run the five, one after the other."""
    done: dict[str, int] = {}
    for number in range(STEPS):
        done = await step(saga, number)
    return done


async def run(order: Order) -> Ran:
    """Keep workflows in flight."""
    return await closed_loop(five_steps, order)


async def main(url: str) -> None:
    """Launch on the database and take orders."""
    DBOS(
        config={
            "name": "tracseq-bench",
            "system_database_url": url,
            "run_admin_server": False,
            "enable_otlp": False,
            "log_level": "WARNING",
        }
    )
    DBOS.launch()
    try:
        await serve(run)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
