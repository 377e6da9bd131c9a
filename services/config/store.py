"""The read models: layers as lists are answered from them, and which changes were asked for."""

from contracts.aggregate import Loaded
from contracts.config_queries import ListChangeRequests, ListConfigs
from contracts.config_views import ConfigItem
from contracts.entry import Entry
from contracts.types import Page
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel, Remove, Write
from services.config.domain.release import Current
from services.config.domain.request import Request

LAYERS = ReadModel("layers", ask_by=("service", "environment"))
REQUESTS = ReadModel("change_requests", ask_by=("service", "status"), counted=("status",))

DOCUMENTS_MAX = 1_000
"""Layers that one list is made from: 250 services."""
REQUESTS_MAX = 1_000


def layer(loaded: Loaded[Current]) -> Write:
    """Say what lists show of a layer: what it sets itself."""
    current = loaded.state
    if current is None:
        return Remove(loaded.key)
    release = current.release
    shown = [
        ConfigItem(
            id=f"{release.service}/{release.environment}/{key}",
            service_name=release.service,
            key=key,
            value=None if item.secret else item.value,
            environment=release.environment,
            version=release.version,
            encrypted=item.secret,
            tags=item.tags,
            source=item.source,
            created_at=item.created_at,
            updated_at=item.set_at,
        ).model_dump(mode="json")
        for key, item in sorted(release.own.items())
    ]
    return Put(
        id=loaded.key,
        order=loaded.seq,
        view={"items": shown},
        fields={"service": release.service, "environment": str(release.environment)},
        seq=loaded.seq,
    )


def request(loaded: Loaded[Request]) -> Write:
    """Say by what a change request is found."""
    found = loaded.state
    if found is None:
        return Remove(loaded.key)
    return Put(
        id=loaded.key,
        order=loaded.seq,
        view={},
        fields={"service": found.edits.service, "status": found.status},
        seq=loaded.seq,
    )


class LayerStore:
    """Answers lists of keys."""

    def __init__(self, reader: Reader[Entry]) -> None:
        """Read through a reader of `LAYERS`."""
        self._reader = reader

    async def page(self, query: ListConfigs) -> Page[ConfigItem]:
        """List keys by service, environment and key.

        Raises:
            Refused: the store does not answer, or does not show `min_seq` in time (`Unavailable`).
        """
        asked = {"service": query.service, "environment": query.environment}
        views, _ = await self._reader.page(
            asked, page=1, page_size=DOCUMENTS_MAX, min_seq=query.min_seq
        )
        tags = {tag.strip() for tag in query.tags.split(",") if tag.strip()}
        found = [
            item
            for view in views
            for item in map(ConfigItem.model_validate, view["items"])
            if item.key.startswith(query.key) and (not tags or tags & set(item.tags))
        ]
        found.sort(key=lambda item: (item.service_name, item.environment, item.key))
        first = (query.page - 1) * query.page_size
        return Page(
            items=found[first : first + query.page_size],
            total=len(found),
            page=query.page,
            page_size=query.page_size,
        )


class RequestStore:
    """Finds change requests."""

    def __init__(self, reader: Reader[Entry]) -> None:
        """Read through a reader of `REQUESTS`."""
        self._reader = reader

    async def ids(self, query: ListChangeRequests) -> list[str]:
        """Name them, oldest first.

        Raises:
            Refused: the store does not answer (`Unavailable`).
        """
        asked = {"service": query.service, "status": None if query.decided else "open"}
        return list(reversed(await self._reader.ids(asked, limit=REQUESTS_MAX)))
