"""Build up the laboratory: locations, and the containers in them."""

from functools import partial
from typing import Any

from contracts.errors import Refusal
from contracts.storage import (
    AddContainer,
    ContainerAdded,
    ContainerKind,
    ContainerView,
    CreateLocation,
    LocationView,
)
from contracts.types import ContainerId, LocationId
from infra.bus.context import Context
from infra.log.log import Change
from services.storage.domain.container import container_view, decide_add, decide_take_in
from services.storage.domain.location import (
    decide_claim_name,
    decide_create,
    decide_place_freezer,
    location_view,
    name_key,
)
from services.storage.domain.placement import place_freezer, place_within
from services.storage.handlers.logs import Logs


async def on_create_location(
    command: CreateLocation, context: Context, *, logs: Logs
) -> LocationView:
    """Create a location together with the claim of its name."""
    location_id = LocationId(context.derive("location"))
    create = partial(decide_create, location_id=location_id, name=command.name)
    claim = partial(decide_claim_name, location_id=location_id, name=command.name)
    await logs.log.transact(
        [
            logs.locations.change(location_id, create, new=True),
            logs.location_names.change(name_key(command.name), claim, new=True),
        ],
        context,
    )
    return location_view(*await logs.require_location(location_id))


async def on_add_container(
    command: AddContainer, context: Context, *, logs: Logs
) -> ContainerView | Refusal:
    """Add a container together with its parent's taking it in."""
    container_id = ContainerId(context.derive("container"))
    added = await _place(command, container_id, logs)
    if isinstance(added, Refusal):
        return added
    await logs.log.transact(
        [
            _take_in(added, logs),
            logs.containers.change(container_id, partial(decide_add, added=added), new=True),
        ],
        context,
    )
    return container_view(*await logs.require_container(container_id))


async def _place(
    command: AddContainer, container_id: ContainerId, logs: Logs
) -> ContainerAdded | Refusal:
    if command.kind is ContainerKind.FREEZER:
        of = command.location_id
        location = (await logs.locations.get(of)).state if of else None
        return place_freezer(command, container_id, location)
    within = command.parent_id
    parent = (await logs.containers.get(within)).state if within else None
    return place_within(command, container_id, parent)


def _take_in(added: ContainerAdded, logs: Logs) -> Change[Any]:
    if added.parent_id is None:
        return logs.locations.change(
            added.location_id, partial(decide_place_freezer, freezer=added)
        )
    return logs.containers.change(added.parent_id, partial(decide_take_in, child=added))
