"""Processes of the storage service for its tests: a connection, a log cache, an inventory each."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack

import pytest

from infra.bus.connection import Connection
from infra.bus.provision import provision
from tests.integration.storage.process import Process, a_process


@pytest.fixture
async def processes(nats_url: str) -> AsyncGenerator[Sequence[Process]]:
    """Give two processes on one broker."""
    connection = await Connection.connect(nats_url, "provisioner")
    await provision(connection)
    await connection.close()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_process(nats_url)) for _ in range(2)]


@pytest.fixture
def process(processes: Sequence[Process]) -> Process:
    """Give one process."""
    return processes[0]
