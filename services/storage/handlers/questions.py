"""Answer questions: by id from the log, on positions from the inventory, lists from the store."""

from contracts.errors import Refusal
from contracts.storage import (
    ContainerKind,
    ContainerView,
    FindSamplePosition,
    GetCapacity,
    GetContainer,
    GetGrid,
    GetLocation,
    GridView,
    ListContainers,
    ListLocations,
    ListPositions,
    LocationView,
    NotABox,
    SampleNotStored,
    SamplePosition,
    StorageCapacity,
)
from contracts.types import Page
from infra.bus.context import Context
from services.storage.domain.container import container_view, grid_view
from services.storage.domain.location import location_view
from services.storage.handlers.logs import Logs
from services.storage.store.inventory import InventoryKeeper
from services.storage.store.lists import StorageLists


async def on_get_location(query: GetLocation, _: Context, *, logs: Logs) -> LocationView:
    """Show a location."""
    return location_view(*await logs.require_location(query.location_id))


async def on_get_container(query: GetContainer, _: Context, *, logs: Logs) -> ContainerView:
    """Show a container as it is, or as it was."""
    return container_view(*await logs.require_container(query.container_id, query.at))


async def on_get_grid(query: GetGrid, _: Context, *, logs: Logs) -> GridView | Refusal:
    """Show a box position by position, as it is or as it was."""
    state, seq = await logs.require_container(query.container_id, query.at)
    if state.kind is not ContainerKind.BOX:
        return NotABox(name=state.name, kind=state.kind)
    return grid_view(state, seq)


async def on_find_sample(
    query: FindSamplePosition, _: Context, *, inventory: InventoryKeeper
) -> SamplePosition | Refusal:
    """Say where a sample rests."""
    found = (await inventory.current()).find(query.sample_id)
    return found or SampleNotStored(sample_id=query.sample_id)


async def on_list_positions(
    query: ListPositions, _: Context, *, inventory: InventoryKeeper
) -> Page[SamplePosition]:
    """List the positions that a submission holds, in the order it took them."""
    current = await inventory.current()
    samples = current.samples_of(query.submission_id)
    start = (query.page - 1) * query.page_size
    found = (current.find(sample_id) for sample_id in samples[start : start + query.page_size])
    return Page(
        items=[position for position in found if position is not None],
        total=len(samples),
        page=query.page,
        page_size=query.page_size,
    )


async def on_get_capacity(
    _: GetCapacity, __: Context, *, inventory: InventoryKeeper
) -> StorageCapacity:
    """Show how full the laboratory is."""
    return (await inventory.current()).capacity()


async def on_list_locations(
    query: ListLocations, _: Context, *, lists: StorageLists
) -> Page[LocationView]:
    """List locations from the read model."""
    return await lists.locations(query)


async def on_list_containers(
    query: ListContainers, _: Context, *, lists: StorageLists
) -> Page[ContainerView]:
    """List containers from the read model."""
    return await lists.containers(query)
