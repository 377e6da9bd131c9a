"""The service that Restate calls, with a handler of five steps: `... restate_service PORT`.

Each step is a `ctx.run`, journaled by the server before the next begins. Served by hypercorn over
HTTP/2 in one process, as the library's documents show it.
"""
# The libraries live in the peers' environment: here they have stubs alone (typings/).
# pyright: reportMissingModuleSource=false

import sys

import restate
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

STEPS = 5
HOST = "127.0.0.1"

sagas = restate.Service("Sagas")


@sagas.handler()
async def five_steps(ctx: restate.Context, saga: int) -> dict[str, int]:
    """Run the five, one after the other."""
    done: dict[str, int] = {}
    for number in range(STEPS):
        done = await ctx.run_typed(f"step-{number}", step, saga=saga, number=number)
    return done


async def step(saga: int, number: int) -> dict[str, int]:
    """Do nothing, and say so in a small document."""
    return {"saga": saga, "step": number}


def main(port: int) -> None:
    """Serve until told to stop."""
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    uvloop.run(serve(restate.app(services=[sagas]), config, mode="asgi"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
