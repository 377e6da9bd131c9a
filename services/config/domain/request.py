"""The aggregate of a change that waits for somebody else's consent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.aggregate import Aggregate
from contracts.config_refusals import (
    ChangeRequestDecided,
    ChangeRequestNotFound,
    OwnChangeRequest,
)
from contracts.config_release import ChangeDecided, ChangeRequested, Edits
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event


@dataclass(frozen=True, slots=True)
class Request:
    """A change, and what became of it."""

    change_request: UUID
    edits: Edits
    author: str
    asked_at: datetime
    status: Literal["open", "approved", "rejected"] = "open"
    decided_by: str | None = None
    decided_at: datetime | None = None
    note: str | None = None


def evolve(current: Request | None, event: Event, entry: Entry) -> Request | None:
    """Fold one event into a request."""
    match event:
        case ChangeRequested():
            return Request(event.change_request, event.edits, event.author, entry.at)
        case ChangeDecided() if current is not None:
            return Request(
                current.change_request,
                current.edits,
                current.author,
                current.asked_at,
                "approved" if event.approved else "rejected",
                entry.actor,
                entry.at,
                event.note,
            )
        case _:
            return current


REQUEST: Aggregate[Request] = Aggregate("config", "change_request", Request, evolve)


def decide(
    current: Request | None, change_request: UUID, *, actor: str, approve: bool, note: str | None
) -> Sequence[Event] | Refusal:
    """Consent or refuse; nobody does so for a change of their own."""
    if current is None:
        return ChangeRequestNotFound(change_request=change_request)
    if current.status != "open":
        return ChangeRequestDecided(
            change_request=change_request, by=current.decided_by or current.author
        )
    if approve and actor == current.author:
        return OwnChangeRequest(author=actor)
    return [ChangeDecided(change_request=change_request, approved=approve, note=note)]
