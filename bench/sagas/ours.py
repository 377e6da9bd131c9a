"""Our engine as a contender, each on a broker of its own."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bench.peers.worker import Worker, running, worker
from bench.sagas.contracts import PARTICIPANTS, TRANSACTION
from infra.bus.connection import Connection
from infra.bus.provision import provision
from infra.supervisor import DocumentStore, NatsServer, Program, free_port
from infra.supervisor.nats_server import Profile
from infra.supervisor.service import service_program

PYTHON = Path(sys.executable)
SERVICES = "bench.sagas.services"


@asynccontextmanager
async def in_process(folder: Path, profile: Profile) -> AsyncGenerator[Worker]:
    """The engine with its steps in its own process."""
    async with (
        broker(folder, profile) as (nats, pids),
        worker(PYTHON, "bench.sagas.in_process", nats.url, profile, servers=pids) as engine,
    ):
        yield engine


@asynccontextmanager
async def messages(folder: Path, profile: Profile) -> AsyncGenerator[Worker]:
    """The transaction service and two participants, each in a process of its own, over the bus."""
    store = DocumentStore(folder / "store")
    async with (
        broker(folder, profile) as (nats, broker_pids),
        running([store.program()]) as store_pids,
        running(_services(folder, nats, store, profile)) as service_pids,
        worker(
            PYTHON,
            "bench.sagas.client",
            nats.url,
            servers=[*broker_pids, *store_pids, *service_pids],
        ) as client,
    ):
        yield client


@asynccontextmanager
async def broker(folder: Path, profile: Profile) -> AsyncGenerator[tuple[NatsServer, list[int]]]:
    """A broker with everything that the laboratory has on it, and its process ids."""
    nats = NatsServer(folder / "nats", profile=profile)
    async with running([nats.program()]) as pids:
        connection = await Connection.connect(nats.url, "provisioner")
        await provision(connection)
        await connection.close()
        yield nats, pids


def _services(
    folder: Path, nats: NatsServer, store: DocumentStore, profile: Profile
) -> list[Program]:
    programs: list[Program] = []
    for name in (*PARTICIPANTS, TRANSACTION):
        port = free_port()
        program = service_program(
            name,
            module=SERVICES,
            port=port,
            env={
                "TRACSEQ_NATS_URL": nats.url,
                "TRACSEQ_MONGO_URL": store.url,
                "TRACSEQ_PROFILE": profile,
                "TRACSEQ_LOG_LEVEL": "warning",
                "TRACSEQ_BENCH_HTTP_PORT": str(port),
                "TRACSEQ_TRANSACTION_HTTP_PORT": str(port),
            },
            log_file=folder / f"{name}.log",
        )
        programs.append(replace(program, argv=(*program.argv, name)))
    return programs
