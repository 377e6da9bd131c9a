"""Generations of a read model: a new one takes over at once, what serves no more is cleared away.

The pointer changes hands in one transaction, so readers see the old generation whole or the new one
whole. How a new generation is filled is the projector's work.
"""

from collections.abc import Callable, Collection
from dataclasses import replace

import structlog

from contracts.errors import Conflict
from infra.store.client import Store
from infra.store.errors import StoreUnavailable, reaching
from infra.store.guarded import Session
from infra.store.pointer import (
    Displaced,
    Pointer,
    drop_pointer,
    generations,
    move_pointer,
    read_pointer,
)
from infra.store.read_model import Marks, ReadModel

log = structlog.get_logger(__name__)

SWAPS_MAX = 10
"""Attempts while another process moves the position between our look and our swap."""

Progress = Callable[[int, int], None]
"""Hears the sequence reached, and the sequence to reach."""


def level(marks: Marks, goal: Marks) -> bool:
    """Say whether every source is as far as the goal; marks of another number are no goal."""
    return len(marks) != len(goal) or all(m >= g for m, g in zip(marks, goal, strict=True))


async def swap(store: Store, model: ReadModel, shadow: Pointer) -> bool:
    """Let the shadow serve, if it shows all that the present generation shows.

    Returns:
        False where the present generation is further: more is to come from the source.

    Raises:
        StoreUnavailable: the store does not answer, or the shadow is not there any more.
    """
    for _ in range(SWAPS_MAX):
        live = await read_pointer(store, model.name)
        if live is None:
            raise StoreUnavailable(f"the store lost {model.name} during its rebuild")
        if not level(shadow.marks, live.marks):
            return False
        try:
            await _swap(store, live, shadow)
        except (Displaced, Conflict):
            # A writer that moves or claims it at this moment: nothing of the swap was done.
            continue
        log.info("read_model.rebuilt", read_model=model.name, generation=shadow.generation)
        return True
    return False


async def _swap(store: Store, live: Pointer, shadow: Pointer) -> None:
    async def work(session: Session) -> None:
        await move_pointer(store, live, replace(shadow, id=live.id), session=session)
        if not await drop_pointer(store, shadow.position(), session=session):
            raise StoreUnavailable(f"the store lost {shadow.id} during its rebuild")

    await store.together(work)


async def tidy(store: Store, model: ReadModel, keep: Collection[int | None]) -> None:
    """Delete every generation but these: what served before, and halves that were left behind.

    Raises:
        StoreUnavailable: the store does not answer; what is left is deleted the next time.
    """
    for generation in sorted(await generations(store, model) - set(keep)):
        # The pointer first: a writer of this generation, if there is one, can do no more.
        await drop_pointer(store, {"_id": model.collection(generation)})
        with reaching(f"generation {generation} of {model.name} was not deleted"):
            await store.documents(model.blocks(generation)).drop()
            await store.documents(model.collection(generation)).drop()
        log.info("read_model.tidied", read_model=model.name, generation=generation)
