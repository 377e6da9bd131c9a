"""A store in a database of its own, and a ledger to make read models from."""

from collections.abc import AsyncGenerator

import pytest

from infra.store.client import Store
from tests.fixtures.servers import Database
from tests.integration.store.ledger import Ledger


@pytest.fixture
async def store(store_database: Database) -> AsyncGenerator[Store]:
    """Give a service's store."""
    opened = Store(store_database.url, store_database.name)
    yield opened
    await opened.close()


@pytest.fixture
def ledger() -> Ledger:
    """Give an empty ledger."""
    return Ledger()
