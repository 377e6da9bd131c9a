"""A list of transactions over a provisioned broker and a database of its own."""

from collections.abc import AsyncGenerator

import pytest

from infra.bus.connection import Connection
from infra.store.client import Store
from tests.fixtures.servers import Database
from tests.integration.listing.house import House, living


@pytest.fixture
async def store(store_database: Database) -> AsyncGenerator[Store]:
    """Give the transaction service's store."""
    opened = Store(store_database.url, store_database.name)
    yield opened
    await opened.close()


@pytest.fixture
async def house(provisioned: Connection, store: Store) -> AsyncGenerator[House]:
    """Give a list that is kept."""
    async with living(provisioned, store) as house:
        yield house
