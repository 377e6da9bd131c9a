"""Commands that come again, doubled, in any order, to any of two processes: one effect each.

Deliveries are handed straight to the servers of two processes that share a broker, so that every
order is tried that a network could make, and none takes a timeout's time.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import subjects
from contracts.entry import verify_chain
from contracts.envelope import Envelope
from contracts.errors import Retryable
from contracts.message import Command
from contracts.sample import ChangeSampleStatus, RegisterSample, SampleRegistered, SampleStatus
from contracts.types import SampleId
from infra.bus.connection import Connection
from infra.bus.context import Context
from infra.bus.delivery import Delivery
from infra.bus.handler import handle
from infra.bus.outcomes import Outcomes
from infra.bus.server import Server
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Log
from services.sample.domain import SAMPLE
from services.sample.handlers import registration
from services.sample.handlers.logs import Samples
from tests.fixtures.sample_house import details, entries

REGISTRATIONS = 3
BARCODES = 2


@dataclass(frozen=True, slots=True)
class Turn:
    """One handing out: which command, to which process, and whether it waits for the one before."""

    command: int
    process: int
    alone: bool


turns = st.lists(
    st.builds(
        Turn,
        command=st.integers(0, REGISTRATIONS * 2 - 1),
        process=st.integers(0, 1),
        alone=st.booleans(),
    ),
    min_size=4,
    max_size=16,
)


class Process:
    """One process of the service: a memory of its own over the log that all share."""

    def __init__(self, connection: Connection) -> None:
        """Start with nothing remembered."""
        samples = Samples.of(Log(connection, "sample"), claim_grace_seconds=0.02)
        self.server = Server(
            connection,
            "sample",
            [
                handle(
                    RegisterSample, lambda c, x: registration.on_register(c, x, samples=samples)
                ),
                handle(
                    ChangeSampleStatus,
                    lambda c, x: registration.on_change_status(c, x, samples=samples),
                ),
            ],
        )


def deliveries(prefix: str) -> list[Delivery]:
    """Make registrations that share barcodes, and a change of status for each."""
    made: list[Delivery] = []
    for number in range(REGISTRATIONS):
        message_id = str(new_id())
        barcode = f"{prefix}-{number % BARCODES}"
        made.append(_delivery(RegisterSample(details=details(barcode)), message_id))
        context = Context(message_id=message_id, actor="", correlation="", now=SYSTEM.now())
        change = ChangeSampleStatus(
            sample_id=SampleId(context.derive("sample")),
            status=SampleStatus.VALIDATED,
            reason="looks good",
        )
        # An id that tells no time, as a client's own may be.
        made.append(_delivery(change, f"{prefix}-change-{number}"))
    return made


def _delivery(command: Command[Any], message_id: str) -> Delivery:
    envelope = Envelope(
        id=message_id,
        type=command.contract.type,
        source="test",
        time=SYSTEM.now(),
        data=command.model_dump_json().encode(),
    )
    return Delivery(
        envelope=envelope,
        headers=envelope.headers(),
        subject=subjects.of(command.contract),
        stream=subjects.COMMANDS,
        seq=1,
        delivered=1,
    )


async def hand_out(
    processes: Sequence[Process], commands: Sequence[Delivery], schedule: Sequence[Turn]
) -> None:
    """Follow a schedule, then hand out whatever is not done until it is, as the broker would."""
    count: Counter[int] = Counter()
    under_way: set[asyncio.Task[bool]] = set()
    for turn in [*schedule, *(Turn(n, 0, alone=True) for n in range(len(commands)))]:
        count[turn.command] += 1
        delivery = replace(commands[turn.command], delivered=count[turn.command])
        under_way.add(asyncio.create_task(_until_done(processes[turn.process], delivery)))
        if turn.alone:
            await asyncio.gather(*under_way)
    await asyncio.gather(*under_way)


async def _until_done(process: Process, delivery: Delivery) -> bool:
    for again in range(100):
        try:
            await process.server.on_command(replace(delivery, delivered=delivery.delivered + again))
        except Retryable:
            await SYSTEM.sleep(0.005)
        else:
            return True
    raise TimeoutError(delivery.envelope.id)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schedule=turns)
async def test_redelivery_duplication_and_order_make_no_difference(
    provisioned: Connection, schedule: list[Turn]
) -> None:
    """One sample per barcode, one entry per command, one outcome that all deliveries agree on."""
    commands = deliveries(new_id().hex[-8:].upper())
    await hand_out([Process(provisioned), Process(provisioned)], commands, schedule)

    log, outcomes = Log(provisioned, "sample"), Outcomes(provisioned)
    everything = await entries(provisioned)
    bearers: Counter[str] = Counter()
    for register, change in zip(commands[::2], commands[1::2], strict=True):
        decided = [e for e in everything if e.cause == register.envelope.id]
        assert len(decided) <= 1
        bearers.update(
            event.details.barcode
            for entry in decided
            for event in entry.events
            if isinstance(event, SampleRegistered)
        )
        registered, changed = [await outcomes.get(c.envelope.id) for c in (register, change)]
        assert registered is not None
        assert changed is not None
        assert (registered.refusal is None) == (len(decided) == 1)
        made = [e for e in everything if e.cause == change.envelope.id]
        assert len(made) == (1 if changed.refusal is None else 0)
        for entry in decided:
            key = SAMPLE.key_of(entry.subject)
            assert key is not None
            assert verify_chain(await log.bodies(SAMPLE, key)) == 1 + len(made)
    assert set(bearers.values()) == {1}
    assert len(bearers) == BARCODES


async def test_a_recorded_outcome_is_the_answer_whatever_changed_since(
    provisioned: Connection,
) -> None:
    """A refused command that comes again is refused again, though today it would be accepted."""
    process, outcomes = Process(provisioned), Outcomes(provisioned)
    register, change = deliveries("LAB")[:2]
    await process.server.on_command(change)
    refused = await outcomes.get(change.envelope.id)
    await process.server.on_command(register)
    await process.server.on_command(replace(change, delivered=2))
    assert refused is not None
    assert refused.refusal is not None
    assert await outcomes.get(change.envelope.id) == refused
    assert len(await entries(provisioned)) == 2
