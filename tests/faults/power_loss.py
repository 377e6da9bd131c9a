"""`python -m tests.faults.power_loss --rounds 100`: cut the power, and count what was promised.

Each round, sagas are appended by the log that the services use, and the broker is killed in the
middle. Its files are cut back to what was on the disk (see `synced.py`), it is started again, and
everything that had been acknowledged is looked for. `safe` may lose nothing; what `dev` loses is
measured and said.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import uvloop

from contracts import subjects
from contracts.entry import BrokenChainError, hash_of, verify_chain
from contracts.errors import Retryable
from contracts.message import Event
from contracts.transaction import OrderKind, SubmitManifest
from contracts.types import FileRef
from infra.bus.connection import Connection, MissingStream
from infra.bus.context import Context
from infra.bus.streams import STREAMS
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.log.log import Change, Log
from infra.supervisor import Child, NatsServer
from infra.supervisor.nats_server import Profile
from infra.telemetry import logs
from sagas.definitions.sample_intake import SAMPLE_INTAKE
from sagas.engine.decision import Input, Ordered, Transition, start_with
from sagas.engine.machine import decide
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState
from services.transaction import domain
from tests.faults.synced import Disk, traced

AT_ONCE = 64
RUN_SECONDS = (0.2, 1.0)
"""From the first append to the cut: somewhere in between."""
MANIFEST = SubmitManifest(
    file=FileRef(sha256="a" * 64, size_bytes=10_000, name="manifest.csv", media_type="text/csv")
)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A transition that was promised."""

    saga_id: UUID
    number: int
    digest: str
    after_seconds: float
    """Since the first append."""


@dataclass(slots=True)
class Round:
    """What one power cut cost."""

    acknowledged: int = 0
    lost: int = 0
    loss_window_seconds: float = 0.0
    """From the oldest promise that was lost to the cut."""
    broken: int = 0
    """Sagas whose log does not hold together afterwards."""
    gone_bytes: int = 0
    overwritten: int = 0
    syncs: int = 0


@dataclass(slots=True)
class _Work:
    """Sagas that go on until the power fails, and what they were promised."""

    logs: list[Log]
    promised: list[Acknowledged] = field(default_factory=list[Acknowledged])
    began: float = 0.0

    async def run(self) -> None:
        """Carry one saga on after the other until the broker is gone."""
        while True:
            saga_id = new_id()
            log = self.logs[subjects.saga_partition(saga_id)]
            given: Input = start_with(
                MANIFEST,
                saga_id=saga_id,
                at=SYSTEM.now(),
                actor="anna",
                correlation="c",
                cause=str(new_id()),
            )
            for order in (OrderKind.PAUSE, OrderKind.RESUME) * 3:
                await self._advance(log, saga_id, given)
                given = Ordered(
                    order=order,
                    reason="to have a longer log",
                    by="anna",
                    at=SYSTEM.now(),
                    cause=str(new_id()),
                )

    async def _advance(self, log: Log, saga_id: UUID, given: Input) -> None:
        found: list[Transition] = []

        def choose(state: SagaState | None) -> Sequence[Event]:
            answer = decide(SAMPLE_INTAKE, state, given)
            assert isinstance(answer, Transition)
            found[:] = [answer]
            return answer.events

        context = Context(message_id=given.cause, actor="anna", correlation="c", now=given.at)
        change = Change(
            domain.SAGA, str(saga_id), choose, effects=lambda: to_entry_parts(found[0])[1]
        )
        loaded = (await log.transact([change], context))[0]
        after_seconds = SYSTEM.monotonic() - self.began
        self.promised.append(Acknowledged(saga_id, loaded.number, loaded.hash, after_seconds))


async def power_loss(folder: Path, profile: Profile, *, strace: str, seconds: float) -> Round:
    """Run sagas for so long, cut the power, start again and see what is left."""
    store, trace = folder / "store", folder / "trace"
    server = NatsServer(store, profile=profile)
    child = Child(traced(server.program(log_file=folder / "nats.log"), strace, trace))
    await child.start()
    connection = await Connection.connect(server.url, "transaction")
    for stream in STREAMS:
        if stream.schedules:
            await connection.js.add_stream(stream.config(1))
    disk = Disk(store / "jetstream")
    seen = _read(trace, disk, 0)
    disk.settle()
    work = _Work([_partition(connection, number, profile) for number in range(4)])
    work.began = SYSTEM.monotonic()
    workers = [asyncio.create_task(work.run()) for _ in range(AT_ONCE)]
    await SYSTEM.sleep(seconds)
    if child.pid is not None:
        # The broker alone: whoever traces it ends by itself, and writes down all of it.
        os.kill(child.pid, signal.SIGKILL)
    cut_seconds = SYSTEM.monotonic() - work.began
    # Each looks for what it appended last until it gives the broker up.
    results = await asyncio.gather(*workers, return_exceptions=True)
    otherwise = [result for result in results if not isinstance(result, Retryable)]
    if otherwise:
        raise RuntimeError("a saga ended otherwise than by the cut") from otherwise[0]
    await connection.close()
    await child.exited()
    _read(trace, disk, seen)
    done = Round(acknowledged=len(work.promised), gone_bytes=disk.cut(), syncs=disk.syncs)
    done.overwritten = disk.overwritten
    await _look(folder, work.promised, done, cut_seconds)
    return done


def _read(trace: Path, disk: Disk, seen: int) -> int:
    """Read what was traced since; give how much there is."""
    with trace.open("rb") as file:
        file.seek(seen)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    disk.read(whole.decode(errors="replace").splitlines())
    return seen + len(whole)


async def _look(
    folder: Path, promised: Sequence[Acknowledged], done: Round, cut_seconds: float
) -> None:
    """Start the broker on what is left, and look for everything that was promised."""
    server = NatsServer(folder / "store")
    child = Child(server.program(log_file=folder / "again.log"))
    await child.start()
    try:
        connection = await Connection.connect(server.url, "auditor")
        left: dict[UUID, list[bytes]] = {}
        for number in range(subjects.SAGA_PARTITIONS):
            stream, filter_ = subjects.saga_stream(number), subjects.saga_subjects(number, "log.>")
            with suppress(MissingStream):
                async for raw in connection.read(stream, filter_):
                    saga_id = UUID(raw.subject.rpartition(".")[2])
                    left.setdefault(saga_id, []).append(raw.body)
        await connection.close()
    finally:
        await child.stop()
    hashes = {saga_id: [hash_of(body) for body in bodies] for saga_id, bodies in left.items()}
    lost = [
        one
        for one in promised
        if hashes.get(one.saga_id, [])[one.number - 1 : one.number] != [one.digest]
    ]
    done.lost = len(lost)
    if lost:
        done.loss_window_seconds = cut_seconds - min(one.after_seconds for one in lost)
    for bodies in left.values():
        try:
            verify_chain(bodies)
        except BrokenChainError:
            done.broken += 1


def _partition(connection: Connection, number: int, profile: Profile) -> Log:
    return Log(
        connection,
        "transaction",
        stream=subjects.saga_stream(number),
        filter=subjects.saga_subjects(number, "log.>"),
        gathers=profile == "safe",
    )


async def rounds(profile: Profile, count: int, *, strace: str, seed: int) -> list[Round]:
    """Cut the power so many times, each on a broker of its own."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    done: list[Round] = []
    for number in range(1, count + 1):
        seconds = chance.uniform(*RUN_SECONDS)
        with tempfile.TemporaryDirectory(prefix="tracseq-power-") as folder:
            done.append(await power_loss(Path(folder), profile, strace=strace, seconds=seconds))
        sys.stderr.write(f"{profile} {number}/{count}: {done[-1]}\n")
    return done


def say(profile: Profile, done: Sequence[Round]) -> str:
    """Say in a line what all the cuts of a profile cost."""
    window = max(one.loss_window_seconds for one in done)
    return (
        f"{profile}: {len(done)} power cuts, {sum(one.acknowledged for one in done):,} transitions "
        f"acknowledged, {sum(one.lost for one in done):,} of them lost"
        + (f" (of the last {window:.2f} s of at most {RUN_SECONDS[1]:g})" if window else "")
        + f", {sum(one.broken for one in done)} logs broken, "
        f"{sum(one.gone_bytes for one in done) / 1e6:.1f} MB not on the disk, "
        f"{sum(one.overwritten for one in done)} writes over what was there."
    )


def main() -> int:
    """Run from the command line; 1 where `safe` lost what it had acknowledged."""
    parser = argparse.ArgumentParser(prog="power_loss", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="power cuts with `safe`")
    parser.add_argument("--dev-rounds", type=int, default=10, help="power cuts with `dev`")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    strace = shutil.which("strace")
    if strace is None:
        sys.stderr.write("strace is not installed: apt-get install strace\n")
        return 2
    # Every cut is an outage, and each attempt to reconnect is a warning.
    logs.configure(level="error", fmt="console")
    safe = uvloop.run(rounds("safe", given.rounds, strace=strace, seed=given.seed))
    sys.stdout.write(f"{say('safe', safe)}\n")
    dev = uvloop.run(rounds("dev", given.dev_rounds, strace=strace, seed=given.seed))
    sys.stdout.write(f"{say('dev', dev)}\n")
    return 1 if any(one.lost or one.broken for one in safe) else 0


if __name__ == "__main__":
    sys.exit(main())
