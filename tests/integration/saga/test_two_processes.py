"""Two transaction services on one broker: they share the sagas, and survive each other."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest

from contracts import subjects
from infra.bus.connection import Connection
from infra.bus.streams import SAGA_LEASES
from infra.clock import SYSTEM
from infra.lease.bucket import LeaseBucket
from infra.supervisor import Child, free_port
from infra.supervisor.service import service_program
from services import catalog
from tests.fixtures.ledger import expect_consistent, read_ledger, read_log
from tests.fixtures.manifests import manifest, rows
from tests.fixtures.system import Whole, whole_system

LIFE_SECONDS = 2
WAIT_SECONDS = 120.0
OTHERS = frozenset(service.name for service in catalog.SERVICES) - {"transaction"}
MANIFESTS = 12
ROWS = 2


@dataclass(frozen=True)
class Pair:
    """A system whose transaction service runs twice."""

    whole: Whole
    processes: dict[str, Child]

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one of the two."""
        pid = self.processes[name].pid
        assert pid is not None
        os.kill(pid, number)

    async def owners(self) -> Counter[str]:
        """Count the partitions of each owner, as the bucket has them."""
        table = await LeaseBucket(self.whole.bus.connection, SAGA_LEASES).read()
        now = SYSTEM.now()
        return Counter(
            lease.owner
            for lease in table.leases.values()
            if lease.owner and lease.expires_at is not None and lease.expires_at > now
        )

    async def until_owners(self, fact: Callable[[Counter[str]], bool]) -> None:
        """Wait until the partitions are divided so."""
        async with asyncio.timeout(WAIT_SECONDS):
            while not fact(await self.owners()):
                await SYSTEM.sleep(0.05)

    async def submit(self, prefix: str) -> dict[str, list[str]]:
        """Hand in manifests at once, and give what they must come to, by file."""
        names = [f"{prefix}{number:02}" for number in range(MANIFESTS)]
        answers = await asyncio.gather(
            *(self.whole.submit(name, manifest(name, ROWS)) for name in names)
        )
        assert {answer.status_code for answer in answers} == {202}
        return {name: [row[0] for row in rows(name, ROWS)] for name in names}

    async def settled(self, sagas: int) -> None:
        """Wait until so many sagas have begun, all have ended, and everything is announced."""
        ended = False
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                ledger = await read_ledger(self.whole.bus.connection)
                # The logs are read one after the other: a second reading has them at one moment.
                if ended and ledger.announced >= +ledger.public:
                    return
                ended = len(ledger.sagas) == sagas and not ledger.unended
                await SYSTEM.sleep(0.1)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncGenerator[Pair]:
    """Give a system with two transaction services that share the partitions evenly."""
    async with AsyncExitStack() as stack:
        whole = await stack.enter_async_context(whole_system(tmp_path, only=OTHERS))
        environment = whole.system._environment(whole.info)  # pyright: ignore[reportPrivateUsage] - what its services are told
        told = {
            **environment,
            "TRACSEQ_TRANSACTION_LEASE_SECONDS": str(LIFE_SECONDS),
        }
        processes: dict[str, Child] = {}
        for name in ("one", "two"):
            port = free_port()
            own = {"TRACSEQ_INSTANCE": name, "TRACSEQ_TRANSACTION_HTTP_PORT": str(port)}
            program = service_program(
                "transaction",
                module="services.transaction",
                port=port,
                env=told | own,
                log_file=tmp_path / f"{name}.log",
            )
            processes[name] = Child(program)
            stack.push_async_callback(processes[name].stop)
            await processes[name].start()
        pair = Pair(whole, processes)
        await pair.until_owners(lambda owners: owners == {"one": 2, "two": 2})
        yield pair


async def epochs(connection: Connection) -> dict[UUID, list[int]]:
    """Read under which epochs each saga's transitions were decided, oldest first."""
    found: dict[UUID, list[int]] = {}
    for partition in range(subjects.SAGA_PARTITIONS):
        stream = subjects.saga_stream(partition)
        for entry in await read_log(connection, stream, subjects.saga_subjects(partition, "log.>")):
            saga_id = UUID(entry.subject.rpartition(".")[2])
            found.setdefault(saga_id, []).append(entry.effects["epoch"])
    return found


async def test_two_processes_share_the_partitions(pair: Pair) -> None:
    """Two each; every submission comes to its end, once."""
    expected = await pair.submit("S")
    await pair.settled(len(expected))

    expect_consistent(await read_ledger(pair.whole.bus.connection), expected)
    assert await pair.owners() == {"one": 2, "two": 2}


async def test_the_partitions_of_a_killed_process_move(pair: Pair) -> None:
    """The other one has them within the life of a lease and finishes what was under way."""
    expected = await pair.submit("K")
    pair.processes["one"].kill()
    await pair.processes["one"].exited()
    await pair.until_owners(lambda owners: owners == {"two": 4})
    expected |= await pair.submit("L")
    await pair.settled(len(expected))

    expect_consistent(await read_ledger(pair.whole.bus.connection), expected)


async def test_a_restarted_process_has_its_partitions_back(pair: Pair) -> None:
    """What its forerunner held is its own, under newer epochs, and it finishes what was begun."""
    bucket = LeaseBucket(pair.whole.bus.connection, SAGA_LEASES)
    before = (await bucket.read()).leases
    expected = await pair.submit("R")
    pair.processes["one"].kill()
    await pair.processes["one"].exited()
    await pair.processes["one"].start()
    await pair.until_owners(lambda owners: owners == {"one": 2, "two": 2})
    await pair.settled(len(expected))

    expect_consistent(await read_ledger(pair.whole.bus.connection), expected)
    after = (await bucket.read()).leases
    of_one = [number for number, lease in after.items() if lease.owner == "one"]
    assert all(after[number].epoch > before[number].epoch for number in of_one)
    assert all(after[number].incarnation != before[number].incarnation for number in of_one)


async def test_an_owner_that_stood_still_doubles_nothing(pair: Pair) -> None:
    """It lost its partitions meanwhile, and says so; what it held in its hands, others have done.

    An older epoch never follows a newer one in a saga's log.
    """
    expected = await pair.submit("Z")
    pair.signal("one", signal.SIGSTOP)
    try:
        await pair.until_owners(lambda owners: owners == {"two": 4})
        await pair.settled(len(expected))
    finally:
        pair.signal("one", signal.SIGCONT)
    await pair.until_owners(lambda owners: owners == {"one": 2, "two": 2})
    expected |= await pair.submit("Y")
    await pair.settled(len(expected))

    expect_consistent(await read_ledger(pair.whole.bus.connection), expected)
    for decided in (await epochs(pair.whole.bus.connection)).values():
        assert all(earlier <= later for earlier, later in pairwise(decided))
    log = pair.processes["one"].program.log_file.read_text()
    assert log.count('"lease.lost"') == 2
