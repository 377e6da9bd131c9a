"""The read models that lists are answered from. Derived from the log, rebuilt at any time."""

from typing import Any

from contracts.storage import ContainerView, ListContainers, ListLocations, LocationView
from contracts.types import Page
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel
from services.storage.domain.container import ContainerState, container_view
from services.storage.domain.location import LocationState, location_view

LOCATIONS = ReadModel("locations")
CONTAINERS = ReadModel("containers", ask_by=("kind", "zone", "parent_id"), counted=("kind", "zone"))


def location_document(state: LocationState, seq: int) -> Put:
    """Write a location; the newest is listed first."""
    return Put(
        id=str(state.location_id),
        order=state.created_seq,
        view=location_view(state, seq).model_dump(mode="json"),
        fields={},
    )


def container_document(state: ContainerState, seq: int) -> Put:
    """Write a container; the newest is listed first."""
    view = container_view(state, seq).model_dump(mode="json")
    return Put(
        id=str(state.container_id),
        order=state.added_seq,
        view=view,
        fields={name: view[name] for name in CONTAINERS.ask_by},
    )


class StorageLists:
    """Answers lists, page by page."""

    def __init__(self, *, locations: Reader[Any], containers: Reader[Any]) -> None:
        """Read what the projectors write."""
        self._locations = locations
        self._containers = containers

    async def locations(self, query: ListLocations) -> Page[LocationView]:
        """List locations, newest first.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time.
        """
        views, total = await self._locations.page(
            {}, page=query.page, page_size=query.page_size, min_seq=query.min_seq
        )
        items = [LocationView.model_validate(view) for view in views]
        return Page(items=items, total=total, page=query.page, page_size=query.page_size)

    async def containers(self, query: ListContainers) -> Page[ContainerView]:
        """List containers, newest first; by kind, temperature or parent where asked.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time.
        """
        asked = query.model_dump(mode="json", include=set(CONTAINERS.ask_by))
        views, total = await self._containers.page(
            asked, page=query.page, page_size=query.page_size, min_seq=query.min_seq
        )
        items = [ContainerView.model_validate(view) for view in views]
        return Page(items=items, total=total, page=query.page, page_size=query.page_size)
