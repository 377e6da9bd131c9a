"""The composition root: every message storage takes, every list it keeps, every loop it runs."""

from functools import partial
from typing import Any

from contracts.storage import (
    AddContainer,
    CheckTransfer,
    ConfirmPositions,
    CreateLocation,
    FindAffected,
    FindSamplePosition,
    GetCapacity,
    GetContainer,
    GetGrid,
    GetLocation,
    ListContainers,
    ListLocations,
    ListPositions,
    MoveSamples,
    ReleasePositions,
    RemoveSamples,
    ReservePositions,
    ReserveTransfer,
)
from infra.log.forwarder import Forwarder
from infra.runtime import Platform, Service, handle
from infra.store.projector import Projector
from infra.store.queries import Reader
from services.storage.handlers import places, questions, reservations, transfers
from services.storage.handlers.logs import Logs
from services.storage.projections import project_containers, project_locations
from services.storage.settings import Settings
from services.storage.store.inventory import InventoryKeeper
from services.storage.store.lists import CONTAINERS, LOCATIONS, StorageLists

NAME = "storage"


def build(settings: Settings, platform: Platform) -> Service:
    """Build the service; nothing is started."""
    log, store = platform.log, platform.store
    logs = Logs.of(log)
    inventory = InventoryKeeper(log, wait_seconds=settings.inventory_wait_seconds)
    locations = Projector(
        NAME, store, LOCATIONS, log, partial(project_locations, locations=logs.locations)
    )
    containers = Projector(
        NAME, store, CONTAINERS, log, partial(project_containers, containers=logs.containers)
    )
    lists = StorageLists(locations=Reader(store, locations), containers=Reader(store, containers))
    reserve = partial(
        reservations.on_reserve, logs=logs, inventory=inventory, files=platform.bus.files
    )
    carrying: Any = {"logs": logs, "inventory": inventory, "files": platform.bus.files}
    sweep = partial(
        reservations.sweep,
        logs=logs,
        inventory=inventory,
        clock=platform.clock,
        sweep_seconds=settings.sweep_seconds,
    )
    return Service(
        name=NAME,
        settings=settings,
        platform=platform,
        handlers=(
            handle(CreateLocation, partial(places.on_create_location, logs=logs)),
            handle(AddContainer, partial(places.on_add_container, logs=logs)),
            handle(ReservePositions, reserve),
            handle(ConfirmPositions, partial(reservations.on_confirm, logs=logs)),
            handle(ReleasePositions, partial(reservations.on_release, logs=logs)),
            handle(CheckTransfer, partial(transfers.on_check_transfer, **carrying)),
            handle(ReserveTransfer, partial(transfers.on_reserve_transfer, **carrying)),
            handle(MoveSamples, partial(transfers.on_move, **carrying)),
            handle(RemoveSamples, partial(transfers.on_remove, **carrying)),
            handle(FindAffected, partial(transfers.on_find_affected, **carrying)),
            handle(GetLocation, partial(questions.on_get_location, logs=logs)),
            handle(GetContainer, partial(questions.on_get_container, logs=logs)),
            handle(GetGrid, partial(questions.on_get_grid, logs=logs)),
            handle(FindSamplePosition, partial(questions.on_find_sample, inventory=inventory)),
            handle(ListPositions, partial(questions.on_list_positions, inventory=inventory)),
            handle(GetCapacity, partial(questions.on_get_capacity, inventory=inventory)),
            handle(ListLocations, partial(questions.on_list_locations, lists=lists)),
            handle(ListContainers, partial(questions.on_list_containers, lists=lists)),
        ),
        projections=(locations, containers),
        forwarders=(Forwarder(log),),
        tasks={"follow inventory": inventory.run, "sweep overdue holds": sweep},
        checks={"inventory": inventory.check},
    )
