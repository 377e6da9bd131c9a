"""Entries in, documents of the lists out: each location and container as its log has it by then."""

from collections.abc import Sequence

from contracts.aggregate import StateT
from contracts.entry import Entry
from infra.log.log import Aggregates
from infra.store.read_model import Write
from services.storage.domain.container import ContainerState
from services.storage.domain.location import LocationState
from services.storage.store.lists import container_document, location_document


async def project_locations(
    entries: Sequence[Entry], *, locations: Aggregates[LocationState]
) -> list[Write]:
    """Write every location that the entries touch."""
    return [location_document(*touched) for touched in await _touched(entries, locations)]


async def project_containers(
    entries: Sequence[Entry], *, containers: Aggregates[ContainerState]
) -> list[Write]:
    """Write every container that the entries touch."""
    return [container_document(*touched) for touched in await _touched(entries, containers)]


async def _touched(
    entries: Sequence[Entry], aggregates: Aggregates[StateT]
) -> list[tuple[StateT, int]]:
    """Load each aggregate of a kind that entries belong to, once, with its newest sequence."""
    keys = dict.fromkeys(aggregates.kind.key_of(entry.subject) for entry in entries)
    loaded = [await aggregates.get(key) for key in keys if key is not None]
    return [(one.state, one.seq) for one in loaded if one.state is not None]
