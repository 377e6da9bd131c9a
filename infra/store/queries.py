"""Ask a read model: pages, newest first. Asks only by indexed equality, and reads only a narrow range of the order.

An open range with a sort makes some stores walk everything that matches, so a page is looked for in a
closed range that is widened until the page is full.
"""

from collections.abc import Mapping
from typing import Any, Generic

from pymongo.errors import PyMongoError

from contracts.errors import Refused, Unavailable
from infra.store.client import Store
from infra.store.projector import ItemT, Projector
from infra.store.read_model import EVERY, ORDER, POSITION_ID, VIEW

WIDEN = 8
"""How much wider each next range is."""
COUNT_MAX = 100_000
"""Beyond it a filtered total is no longer counted exactly."""


class Reader(Generic[ItemT]):
    """Reads what a projector writes."""

    def __init__(self, store: Store, projector: Projector[ItemT]) -> None:
        """Read from the generation that the projector serves."""
        self._store = store
        self._projector = projector

    async def page(
        self,
        filters: Mapping[str, Any],
        *,
        page: int,
        page_size: int,
        min_seq: int = 0,
        order_min: int | None = None,
    ) -> tuple[list[dict[str, Any]], int]:
        """Give the views of one page, newest first, and how many there are in all; None filters do not count.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time (`Unavailable`).
        """
        if min_seq:
            await self._projector.wait_for(min_seq)
        asked = {name: value for name, value in filters.items() if value is not None}
        try:
            return await self._page(asked, page, page_size, order_min)
        except PyMongoError:
            raise Refused(Unavailable(what="The document store", retry_after_seconds=5)) from None

    async def _page(
        self, asked: dict[str, Any], page: int, page_size: int, order_min: int | None
    ) -> tuple[list[dict[str, Any]], int]:
        collection = self._store.collection(self._projector.collection_name())
        position = await collection.find_one({"_id": POSITION_ID})
        if position is None or "order_max" not in position:
            return [], 0
        lowest, highest = int(position["order_min"]), int(position["order_max"])
        lowest = max(lowest, order_min) if order_min is not None else lowest
        everything = await collection.estimated_document_count() - 1
        equal = asked or {EVERY: 1}
        if not asked and order_min is None:
            total = everything
        else:
            bounded = (
                {**equal, ORDER: {"$gte": lowest, "$lte": highest}}
                if order_min is not None
                else equal
            )
            total = await collection.count_documents(bounded, limit=COUNT_MAX)
        needed = min(page * page_size, total)
        if needed <= (page - 1) * page_size:
            return [], total
        width = max(1, (highest - lowest + 1) * needed * 2 // max(1, everything))
        while True:
            low = max(lowest, highest - width)
            cursor = collection.find({**equal, ORDER: {"$gte": low, "$lte": highest}}, {VIEW: 1})
            found = await cursor.sort([(ORDER, -1), ("_id", -1)]).limit(needed).to_list(needed)
            if len(found) >= needed or low == lowest:
                return [document[VIEW] for document in found[(page - 1) * page_size :]], total
            width *= WIDEN
