"""The peers that run five-step sagas: DBOS on either of its databases, and Restate."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.peers import environment
from bench.peers.servers import Postgres, Restate
from bench.peers.worker import Worker, running, worker

DBOS = "bench.peers.dbos_worker"
RESTATE = "bench.peers.restate_worker"


@asynccontextmanager
async def dbos_sqlite(folder: Path) -> AsyncGenerator[Worker]:
    """DBOS on a SQLite file."""
    python = await environment.python()
    async with worker(python, DBOS, f"sqlite:///{folder / 'dbos.sqlite'}") as dbos:
        yield dbos


@asynccontextmanager
async def dbos_postgres(folder: Path) -> AsyncGenerator[Worker]:
    """DBOS on a PostgreSQL of its own."""
    python = await environment.python()
    postgres = Postgres(folder / "cluster")
    await postgres.make()
    async with (
        running([postgres.program(folder / "postgres.log")]) as pids,
        worker(python, DBOS, postgres.url, servers=pids) as dbos,
    ):
        yield dbos


@asynccontextmanager
async def restate(folder: Path) -> AsyncGenerator[Worker]:
    """Restate's server, which calls a service of one process."""
    python = await environment.python()
    servers = Restate(await environment.restate_server(), python, folder)
    async with running(servers.programs()) as pids:
        await servers.register()
        async with worker(python, RESTATE, str(servers.ingress_port), servers=pids) as client:
            yield client
