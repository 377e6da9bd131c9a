"""Waiting for a saga's end: bounded in time, whatever happens meanwhile."""

import asyncio
from uuid import UUID

from services.transaction.handlers.waiting import Waiting

SAGA = UUID("0198a000-0000-7000-8000-000000000001")
CHANGES = 3


async def test_a_wait_is_over_although_the_saga_changes_at_that_moment() -> None:
    """Whoever is woken and has waited long enough at once is answered, and waits no longer."""
    waiting, looks = Waiting(), 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        if looks <= CHANGES:
            waiting.changed(SAGA)
        return looks

    async with asyncio.timeout(5):
        seen = await waiting.until(SAGA, look, lambda _: False, seconds=0)
    assert seen >= 1
