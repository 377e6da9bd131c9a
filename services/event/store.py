"""The read models of the timeline, one per stream, and lists that merge them. Derived.

Two streams have two sequences, and a read model has one writer with one position: so each stream
has its own, and a page is merged from the newest of both. A rebuilt timeline shows what the streams
still hold (`EVENTS` 90 days, `LAB` a year).
"""

import asyncio
import json
from typing import Any

from contracts import subjects
from contracts.errors import FieldError, InvalidInput, Refused
from contracts.event import ListEvents, TimelineEntry
from contracts.types import Page
from infra.runtime.stream_source import Told
from infra.store.queries import Reader
from infra.store.read_model import Put, ReadModel
from infra.store.wanted import EVERYWHERE, Span
from services.event import domain

ASK_BY = ("type", "families", "subject", "correlation")
COUNTED = ("type", "families")
"""A type has one list of families, so together they have as many values as there are types."""
EVENTS = ReadModel("timeline_events", ask_by=ASK_BY, counted=COUNTED)
LAB = ReadModel("timeline_lab", ask_by=ASK_BY, counted=COUNTED)

MODELS = {subjects.EVENTS: EVENTS, subjects.LAB: LAB}
"""Stream -> the read model that is kept from it."""

DEPTH_MAX = 10_000
"""How far back pages reach: every page is merged anew, from the newest on."""
DIGITS = 15
"""Of a sequence within a document's id, so that ids sort as sequences do."""


def document(stream: str, told: Told) -> Put | None:
    """Say what the timeline shows of a message; nothing where it is no CloudEvent."""
    if told.envelope is None:
        return None
    entry = domain.entry_of(stream, told.seq, told.envelope)
    id_ = f"{stream}:{told.seq:0{DIGITS}d}"
    order = domain.order_us(told.envelope.time, told.at)
    view = entry.model_dump(mode="json", exclude={"data"})
    # As text: a foreign document may hold names and numbers that a store has no place for.
    view |= {"data": json.dumps(entry.data), "rank": [order, id_]}
    fields = {
        "type": entry.type,
        "families": domain.families(entry.type),
        "subject": entry.subject,
        "correlation": entry.correlation,
    }
    return Put(id=id_, order=order, view=view, fields=fields)


class TimelineStore:
    """Answers lists of what happened."""

    def __init__(self, *readers: Reader[Told]) -> None:
        """Merge what these readers find."""
        self._readers = readers

    async def page(self, query: ListEvents) -> Page[TimelineEntry]:
        """List what happened, newest first.

        Raises:
            Refused: the page lies deeper than `DEPTH_MAX`, or the store does not answer.
        """
        depth = query.page * query.page_size
        if depth > DEPTH_MAX:
            raise Refused(_too_deep(query))
        asked, since = _filters(query), query.since
        orders = Span(low=domain.microseconds(since)) if since is not None else EVERYWHERE
        found = await asyncio.gather(
            *(
                reader.page(asked, page=1, page_size=depth, orders=orders)
                for reader in self._readers
            )
        )
        newest = sorted(
            (view for views, _ in found for view in views),
            key=lambda view: tuple(view["rank"]),
            reverse=True,
        )
        return Page(
            items=[_entry(view) for view in newest[depth - query.page_size : depth]],
            total=sum(total for _, total in found),
            page=query.page,
            page_size=query.page_size,
        )


def _filters(query: ListEvents) -> dict[str, Any]:
    kind = "families" if query.type is not None and query.type.endswith(".") else "type"
    return {kind: query.type, "subject": query.subject, "correlation": query.correlation}


def _entry(view: dict[str, Any]) -> TimelineEntry:
    return TimelineEntry.model_validate(view | {"data": json.loads(view["data"])})


def _too_deep(query: ListEvents) -> InvalidInput:
    error = FieldError(
        field="page",
        value=str(query.page),
        problem=f"lies deeper than the newest {DEPTH_MAX} entries",
        remedy="Narrow the list with type, subject, correlation or since.",
    )
    return InvalidInput(count=1, errors=[error])
