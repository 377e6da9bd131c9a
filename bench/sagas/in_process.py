"""Our engine with its steps in this process: `... in_process NATS_URL dev|safe`.

The pure engine, and a log of four partitions on a real broker: each transition is appended before
the next step runs, as DBOS and Restate journal theirs. Steps are functions here, so no commands
leave, and no timer is armed that would ask after an answer which cannot get lost.
"""

import sys
from collections.abc import Sequence

import uvloop

from bench.peers.protocol import Order, Ran, closed_loop, serve
from bench.sagas.contracts import FIVE_STEPS
from contracts import subjects
from contracts.message import Event
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Change, Log
from infra.runtime.run import collect_garbage_rarely
from sagas.engine.decision import Input, Replied, Start, StepCommand, Transition
from sagas.engine.machine import decide
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from services.transaction.domain import SAGA

WHO = "bench"


class Sagas:
    """Sagas on the partitions of one broker."""

    def __init__(self, connection: Connection, *, gathers: bool) -> None:
        """Bind to the logs."""
        self._logs = [
            Log(
                connection,
                "transaction",
                stream=subjects.saga_stream(number),
                filter=subjects.saga_subjects(number, "log.>"),
                gathers=gathers,
            )
            for number in range(subjects.SAGA_PARTITIONS)
        ]

    async def run(self, number: int) -> None:
        """Carry one saga from its start to its end.

        Raises:
            RuntimeError: it did not come to its end.
        """
        saga_id, began = new_id(), str(new_id())
        begin = Start(
            saga_id=saga_id,
            message={"saga": number},
            at=SYSTEM.now(),
            actor=WHO,
            correlation=began,
            cause=began,
        )
        saga = _Saga(self._logs[subjects.saga_partition(saga_id)], begin)
        transition = await saga.advance(begin)
        while transition.commands:
            for command in transition.commands:
                transition = await saga.advance(_answered(command))
        if transition.state.status != "completed":
            raise RuntimeError(f"saga {saga_id} ended {transition.state.status}")


class _Saga:
    """One saga on its way."""

    def __init__(self, log: Log, begin: Start) -> None:
        self._log = log
        self._begin = begin

    async def advance(self, given: Input) -> Transition:
        """Decide on an input and append what comes of it."""
        decided: list[Transition] = []

        def choose(state: SagaState | None) -> Sequence[Event]:
            answer = decide(FIVE_STEPS, state, given)
            if not isinstance(answer, Transition):
                raise RuntimeError(f"{given} led to {answer}")  # noqa: TRY004 - no fault of types
            decided[:] = [answer]
            return answer.events

        change = Change(
            SAGA,
            str(self._begin.saga_id),
            choose,
            new=isinstance(given, Start),
            effects=lambda: to_entry_parts(decided[0])[1],
        )
        context = Context(
            message_id=given.cause,
            actor=WHO,
            correlation=self._begin.correlation,
            now=given.at,
        )
        await self._log.transact([change], context)
        return decided[0]


def _answered(command: StepCommand) -> Replied:
    """Carry out a step."""
    return Replied(
        step=command.step,
        command_id=command.command_id,
        at=SYSTEM.now(),
        cause=str(new_id()),
        result={"saga": command.data["saga"], "step": len(command.step)},
    )


async def main(nats_url: str, profile: str) -> None:
    """Take orders."""
    connection = await Connection.connect(nats_url, WHO)
    sagas = Sagas(connection, gathers=profile == "safe")
    collect_garbage_rarely()

    async def run(order: Order) -> Ran:
        return await closed_loop(sagas.run, order)

    try:
        await serve(run)
    finally:
        await connection.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
