"""Commands over the real broker: retried, given up, kept alive, drained; never lost or doubled."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from contracts import subjects
from contracts.errors import NotFound, Refused, Retryable, Unexpected
from contracts.sample import GetSample, RegisterSample, SampleStatus, SampleView
from contracts.types import SampleId
from infra.bus.bus import Bus
from infra.bus.connection import Connection
from infra.bus.consumer import Consumers, StalledError
from infra.bus.context import Context
from infra.bus.dead import DeadLetters
from infra.bus.errors import MissingStream
from infra.bus.handler import handle
from infra.bus.server import Server
from infra.bus.streams import ACK_WAIT_SECONDS, consumer
from infra.clock import SYSTEM
from infra.ids import new_id
from tests.fixtures.sample_house import details, redeliver_after

COMMAND = RegisterSample(details=details("LAB-1"))
Work = Callable[[RegisterSample, Context], Awaitable[SampleView]]


def answer(context: Context) -> SampleView:
    """Answer as if the sample had been registered."""
    return SampleView(
        sample_id=SampleId(context.derive("sample")),
        status=SampleStatus.PENDING,
        details=COMMAND.details,
        submission_id=None,
        registered_at=context.now,
        registered_by=context.actor,
        changed_at=context.now,
        seq=1,
    )


@dataclass(slots=True)
class Workshop:
    """A service whose handler is the test's own, and a bus to ask it."""

    url: str
    connection: Connection
    bus: Bus
    stack: AsyncExitStack
    handled: list[Context] = field(default_factory=list[Context])

    async def work(self, work: Work, *, drain_seconds: float = 2.0) -> Consumers:
        """Handle commands with a function, and remember each handling."""

        async def on_register(command: RegisterSample, context: Context) -> SampleView:
            self.handled.append(context)
            return await work(command, context)

        connection = await Connection.connect(self.url, "sample")
        self.stack.push_async_callback(connection.close)
        server = Server(connection, "sample", [handle(RegisterSample, on_register)])
        consumers = Consumers(self.url, "sample", connection, drain_seconds=drain_seconds)
        consumers.add(consumer("sample-commands"), server.on_command, on_dead=server.on_dead)
        await consumers.start()
        self.stack.push_async_callback(consumers.stop)
        return consumers

    async def waiting(self) -> int:
        """Count the commands that nobody has dealt with."""
        info = await self.connection.api(f"STREAM.INFO.{subjects.COMMANDS}")
        return int(info["state"]["messages"])

    async def handed_out(self) -> int:
        """Count how often the broker handed out a command, the same one again included."""
        info = await self.connection.api(f"CONSUMER.INFO.{subjects.COMMANDS}.sample-commands")
        return int(info["delivered"]["consumer_seq"])

    async def until(self, fact: Callable[[], Awaitable[bool]]) -> None:
        """Wait until a fact holds."""
        async with asyncio.timeout(60):
            while not await fact():
                await SYSTEM.sleep(0.01)


@pytest.fixture
async def workshop(nats_url: str, provisioned: Connection) -> AsyncGenerator[Workshop]:
    """Give a workshop without workers."""
    async with AsyncExitStack() as stack:
        bus = await Bus.open(nats_url, source="asker")
        stack.push_async_callback(bus.close)
        yield Workshop(nats_url, provisioned, bus, stack)


async def test_a_failure_is_tried_again_until_it_succeeds(workshop: Workshop) -> None:
    """The asker gets the answer of the attempt that succeeded, and never sees the others."""

    async def third_time(_: RegisterSample, context: Context) -> SampleView:
        if len(workshop.handled) < 3:
            raise Retryable("not yet")
        return answer(context)

    await workshop.work(third_time)
    await workshop.bus.ask(COMMAND)
    assert [context.delivered for context in workshop.handled] == [1, 2, 3]
    assert len({context.message_id for context in workshop.handled}) == 1


async def test_a_bug_becomes_a_dead_letter_and_an_answer(workshop: Workshop) -> None:
    """It is kept whole with the reason, the asker hears of it, and the queue goes on."""

    async def bug(_: RegisterSample, __: Context) -> SampleView:
        raise ZeroDivisionError("by zero")

    await workshop.work(bug)
    with pytest.raises(Refused) as refused:
        await workshop.bus.ask(COMMAND, message_id="m-1")
    assert isinstance(refused.value.refusal, Unexpected)
    await workshop.until(lambda: _is(workshop.waiting(), 0))
    (letter,) = await DeadLetters(workshop.connection).list()
    assert (letter.id, letter.type, letter.consumer) == (
        "m-1",
        "sample.register",
        "sample-commands",
    )
    assert "ZeroDivisionError: by zero" in letter.reason
    assert letter.body == COMMAND.model_dump_json().encode()
    assert len(workshop.handled) == letter.deliveries == 4


async def test_a_dead_letter_sent_again_is_a_new_command(workshop: Workshop) -> None:
    """Its old id has its recorded outcome; under the new one it is handled."""

    async def bug_until_mended(_: RegisterSample, context: Context) -> SampleView:
        if context.message_id == "m-1":
            raise ZeroDivisionError("by zero")
        return answer(context)

    await workshop.work(bug_until_mended)
    with pytest.raises(Refused):
        await workshop.bus.ask(COMMAND, message_id="m-1")
    letters = DeadLetters(workshop.connection)
    (letter,) = await letters.list()
    await letters.replay(letter.seq, message_id="m-2")
    await letters.replay(letter.seq, message_id="m-2")
    await workshop.until(lambda: _recorded(workshop.bus, "m-2"))
    assert [context.message_id for context in workshop.handled].count("m-2") == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"no CloudEvent"),
        ({"ce-id": "m", "ce-type": "sample.register", "ce-source": "t"}, b"{}"),
        ({"ce-id": "m", "ce-type": "sample.unheard_of", "ce-source": "t"}, b"{}"),
        (
            {
                "ce-id": "m",
                "ce-type": "sample.register",
                "ce-source": "t",
                "ce-dataschema": "urn:tracseq:sample.register:99",
            },
            b"{}",
        ),
        (
            {
                "ce-id": "m",
                "ce-type": "sample.register",
                "ce-source": "t",
                "tracseq-saga-id": "no id",
            },
            b"{}",
        ),
    ],
    ids=["no envelope", "no such body", "no such type", "no such version", "no such saga"],
)
async def test_what_cannot_be_read_is_a_dead_letter_at_once(
    workshop: Workshop, headers: dict[str, str], body: bytes
) -> None:
    """Nothing makes it readable, so it is not tried again; what comes after it is handled."""

    async def work(_: RegisterSample, context: Context) -> SampleView:
        return answer(context)

    await workshop.work(work)
    subject = subjects.of(RegisterSample.contract)
    await workshop.connection.publish(subject, body, headers or None)
    await workshop.bus.ask(COMMAND)
    await workshop.until(lambda: _is(workshop.waiting(), 0))
    (letter,) = await DeadLetters(workshop.connection).list()
    assert letter.body == body
    assert len(workshop.handled) == 1


async def test_a_long_handling_is_not_handed_out_again(workshop: Workshop) -> None:
    """It gives signs of life, longer than the broker would wait without them."""

    async def slow(_: RegisterSample, context: Context) -> SampleView:
        await SYSTEM.sleep(ACK_WAIT_SECONDS + 1)
        return answer(context)

    await workshop.work(slow)
    await workshop.bus.ask(COMMAND)
    assert await workshop.handed_out() == 1


async def test_many_slow_commands_at_once_are_each_handled_once(workshop: Workshop) -> None:
    """None waits in the process without a sign of life, to be handed out a second time."""

    async def slow(_: RegisterSample, context: Context) -> SampleView:
        await SYSTEM.sleep(ACK_WAIT_SECONDS + 0.5)
        return answer(context)

    await workshop.work(slow)
    await asyncio.gather(*(workshop.bus.ask(COMMAND) for _ in range(200)))
    assert len(workshop.handled) == 200
    assert await workshop.handed_out() == 200


async def test_one_slow_command_holds_up_no_other(workshop: Workshop) -> None:
    """The next is begun while the first is under way."""
    release = asyncio.Event()

    async def first_waits(_: RegisterSample, context: Context) -> SampleView:
        if context.message_id == "slow":
            await release.wait()
        return answer(context)

    await workshop.work(first_waits)
    slow = asyncio.create_task(workshop.bus.ask(COMMAND, message_id="slow"))
    await workshop.until(lambda: _true(len(workshop.handled) == 1))
    await workshop.bus.ask(COMMAND)
    assert not slow.done()
    release.set()
    await slow


async def test_a_stop_lets_what_is_under_way_finish(workshop: Workshop) -> None:
    """Begun before, answered and acknowledged before the stop is over; nothing comes again."""

    async def slow(_: RegisterSample, context: Context) -> SampleView:
        await SYSTEM.sleep(0.5)
        return answer(context)

    consumers = await workshop.work(slow)
    asking = [asyncio.create_task(workshop.bus.ask(COMMAND)) for _ in range(20)]
    await workshop.until(lambda: _true(len(workshop.handled) == 20))
    await consumers.stop()
    assert await workshop.waiting() == 0
    await asyncio.gather(*asking)


async def test_what_does_not_finish_in_time_is_taken_up_by_another(workshop: Workshop) -> None:
    """A stop has a bound; the work that it cuts off is done by whoever runs next."""
    await redeliver_after(workshop.connection, 1.0)

    async def never(_: RegisterSample, __: Context) -> SampleView:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    async def work(_: RegisterSample, context: Context) -> SampleView:
        return answer(context)

    consumers = await workshop.work(never, drain_seconds=0.2)
    asking = asyncio.create_task(workshop.bus.ask(COMMAND))
    await workshop.until(lambda: _true(len(workshop.handled) == 1))
    await consumers.stop()
    await workshop.work(work)
    await asking
    assert [context.delivered for context in workshop.handled] == [1, 2]


async def test_a_refusal_is_an_answer_and_no_failure(workshop: Workshop) -> None:
    """It is recorded as one, never retried, and no letter is dead."""

    async def refuse(_: RegisterSample, __: Context) -> SampleView:
        raise Refused(NotFound(what="shelf", key="7"))

    await workshop.work(refuse)
    with pytest.raises(Refused, match="There is no shelf 7"):
        await workshop.bus.ask(COMMAND, message_id="m-1")
    recorded = await workshop.bus.outcome("m-1")
    assert recorded is not None
    assert recorded.refusal == NotFound(what="shelf", key="7")
    assert len(workshop.handled) == 1
    assert await DeadLetters(workshop.connection).list() == []


async def test_readiness_tells_of_a_consumer_that_is_gone_or_stalled(workshop: Workshop) -> None:
    """Gone at once; stalled where work lies there for a while and nobody pulls."""

    async def work(_: RegisterSample, context: Context) -> SampleView:
        return answer(context)

    consumers = await workshop.work(work)
    await consumers.check(0.0)
    await consumers.stop()
    subject = subjects.of(RegisterSample.contract)
    await workshop.connection.publish(subject, b"{}")
    await consumers.check(10.0)
    await consumers.check(20.0)
    with pytest.raises(StalledError, match="nobody pulls"):
        await consumers.check(26.0)
    await workshop.connection.api("CONSUMER.DELETE.COMMANDS.sample-commands")
    with pytest.raises(MissingStream, match="tracseq provision"):
        await consumers.check(27.0)


async def test_a_service_without_provisioned_consumers_does_not_start(
    workshop: Workshop,
) -> None:
    """It says what to run instead of making a consumer of its own."""

    async def work(_: RegisterSample, context: Context) -> SampleView:
        return answer(context)

    await workshop.connection.api("CONSUMER.DELETE.COMMANDS.sample-commands")
    with pytest.raises(MissingStream, match="tracseq provision"):
        await workshop.work(work)


async def test_a_query_that_nobody_serves_is_refused_at_once(workshop: Workshop) -> None:
    """Within the time of a round trip, not of a timeout."""
    async with asyncio.timeout(60):
        with pytest.raises(Refused, match="The sample service does not answer"):
            await workshop.bus.ask(GetSample(sample_id=SampleId(new_id())))


async def _is(counted: Awaitable[int], expected: int) -> bool:
    return await counted == expected


async def _true(fact: bool) -> bool:  # noqa: FBT001 - a fact as an awaitable
    return fact


async def _recorded(bus: Bus, command_id: str) -> bool:
    return await bus.outcome(command_id) is not None
