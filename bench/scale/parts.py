"""What every part of this bench needs: a broker, a saga as the engine begins it, a log."""

import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

from contracts import subjects
from contracts.aggregate import Aggregate, Loaded, fold
from contracts.entry import Entry, hash_of
from contracts.transaction import SubmitManifest
from contracts.types import FileRef
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.log.deciding import Change
from infra.log.log import Log
from infra.supervisor import Child, NatsServer
from infra.supervisor.nats_server import Profile
from sagas.definitions.sample_intake import SAMPLE_INTAKE
from sagas.engine.decision import Ignored, Input, Start, Transition, start_with
from sagas.engine.machine import decide
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from services.transaction import domain

ACTOR, CORRELATION = "bench", "bench"
MANIFEST = SubmitManifest(
    file=FileRef(sha256="a" * 64, size_bytes=10_000, name="manifest.csv", media_type="text/csv")
)
MB = 1024**2


class BenchError(RuntimeError):
    """The bench could not measure what it was to measure."""


@dataclass(slots=True)
class Broker:
    """A broker whose data outlive it."""

    folder: Path
    server: NatsServer
    child: Child

    @classmethod
    async def start(cls, folder: Path, profile: Profile) -> "Broker":
        """Start one on a folder."""
        server = NatsServer(folder, profile=profile)
        child = Child(server.program())
        await child.start()
        return cls(folder, server, child)

    @property
    def resident_mb(self) -> float:
        """What it holds in memory."""
        return resident_mb(self.child.pid)


@asynccontextmanager
async def scratch() -> AsyncGenerator[Path]:
    """Give a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="tracseq-scale-") as folder:
        yield Path(folder)


@asynccontextmanager
async def broker_on(folder: Path, profile: Profile) -> AsyncGenerator[tuple[Broker, Connection]]:
    """Run a provisioned broker on a folder."""
    broker = await Broker.start(folder, profile)
    try:
        connection = await Connection.connect(broker.server.url, "bench")
        try:
            await provision(connection)
            yield broker, connection
        finally:
            await connection.close()
    finally:
        await broker.child.stop()


def resident_mb(pid: int | None) -> float:
    """Give what a process holds in memory."""
    if pid is None:
        raise BenchError("the process whose memory is asked for does not run")
    return float(psutil.Process(pid).memory_info().rss) / MB


def say(text: str) -> None:
    """Tell whoever watches how far it is."""
    print(text, file=sys.stderr, flush=True)


def beginning(saga_id: UUID, at: datetime) -> Start:
    """Make the input that begins an intake."""
    return start_with(
        MANIFEST, saga_id=saga_id, at=at, actor=ACTOR, correlation=CORRELATION, cause=str(saga_id)
    )


def decided(state: SagaState | None, given: Input) -> Transition:
    """Decide as the engine does.

    Raises:
        BenchError: the input leads to nothing.
    """
    answer = decide(SAMPLE_INTAKE, state, given)
    if isinstance(answer, Ignored):
        raise BenchError(f"{given}: {answer.detail}")
    return answer


def next_entry(loaded: Loaded[SagaState], transition: Transition) -> tuple[Entry, bytes]:
    """Make the entry of a transition, and its bytes, as the log makes it."""
    events, effects = to_entry_parts(transition)
    entry = Entry(
        events=events,
        at=transition.input.at,
        actor=ACTOR,
        cause=transition.input.cause,
        correlation=CORRELATION,
        number=loaded.number + 1,
        prev_hash=loaded.hash,
        effects=effects,
    )
    return entry, entry.to_bytes()


def after(loaded: Loaded[SagaState], entry: Entry, body: bytes, seq: int) -> Loaded[SagaState]:
    """Give a saga as it is after an entry."""
    kept = entry.kept(subject=domain.SAGA.subject(loaded.key), seq=seq, hash=hash_of(body))
    return fold(domain.SAGA, loaded, kept)


def change(given: Input, saga_id: UUID) -> Change[SagaState]:
    """Make the change that the orchestrator makes of an input."""
    found: list[Transition] = []

    def choose(state: SagaState | None) -> Sequence[Any]:
        found[:] = [decided(state, given)]
        return found[0].events

    def effects() -> Mapping[str, Any]:
        return to_entry_parts(found[0])[1]

    kind: Aggregate[SagaState] = domain.SAGA
    return Change(kind, str(saga_id), choose, effects=effects)


def partition_log(connection: Connection, number: int, *, gathers: bool = False) -> Log:
    """Open the log of a partition."""
    return Log(
        connection,
        "transaction",
        stream=subjects.saga_stream(number),
        filter=subjects.saga_subjects(number, "log.>"),
        gathers=gathers,
    )
