"""The five-step saga as a Temporal workflow: five activities, one after the other.

A module of its own, without more imports than it needs: Temporal's sandbox loads it anew for every
replay.
"""
# The library lives in the peers' environment: here it has stubs alone (typings/).
# pyright: reportMissingModuleSource=false

from datetime import timedelta

from temporalio import activity, workflow

STEPS = 5
WITHIN = timedelta(seconds=30)


@activity.defn
async def step(number: int) -> dict[str, int]:
    """Do nothing, and say so in a small document."""
    return {"step": number}


@workflow.defn
class FiveSteps:
    """Runs the five, one after the other."""

    @workflow.run
    async def run(self) -> dict[str, int]:
        """Give what the last one said."""
        done: dict[str, int] = {}
        for number in range(STEPS):
            done = await workflow.execute_activity(step, number, start_to_close_timeout=WITHIN)
        return done
