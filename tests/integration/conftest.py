"""A broker with every stream, consumer and bucket, and a connection to it."""

from collections.abc import AsyncGenerator

import pytest

from infra.bus.connection import Connection
from infra.bus.provision import provision


@pytest.fixture
async def provisioned(nats_url: str) -> AsyncGenerator[Connection]:
    """Give a connection to a fresh broker that was provisioned."""
    connection = await Connection.connect(nats_url, "test")
    await provision(connection)
    yield connection
    await connection.close()
