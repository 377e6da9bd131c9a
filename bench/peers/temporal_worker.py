"""Temporal's Replayer on a recorded history: `... temporal_worker sandboxed|unsandboxed`.

One replayer for all histories, which is its quickest way; it takes them one after the other. A
replay that found a difference ends the worker.
"""
# The library lives in the peers' environment: here it has stubs alone (typings/).
# pyright: reportMissingModuleSource=false

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from bench.peers.protocol import Order, Ran, serve
from bench.peers.temporal_saga import FiveSteps

HISTORY = Path(__file__).with_name("temporal_history.json")
WORKFLOW = "five-steps"
RUNNERS = {"sandboxed": SandboxedWorkflowRunner, "unsandboxed": UnsandboxedWorkflowRunner}


async def main(kind: str) -> None:
    """Take orders; `at_once` means nothing here."""
    replayer = Replayer(workflows=[FiveSteps], workflow_runner=RUNNERS[kind]())
    history = WorkflowHistory.from_json(WORKFLOW, HISTORY.read_text())

    async def run(order: Order) -> Ran:
        latencies_ms: list[float] = []
        began = last = time.perf_counter()

        async def histories() -> AsyncGenerator[WorkflowHistory]:
            while time.perf_counter() < began + order.seconds:
                yield history

        async with replayer.workflow_replay_iterator(histories()) as results:
            async for result in results:
                if result.replay_failure is not None:
                    raise result.replay_failure
                now = time.perf_counter()
                latencies_ms.append((now - last) * 1e3)
                last = now
        return Ran(last - began, latencies_ms)

    await serve(run)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
