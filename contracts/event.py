"""The timeline: everything that happened in the laboratory, in order, for people to look at."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from contracts.errors import Refusal
from contracts.message import Command, Query, get, post
from contracts.types import ActorId, Name, Page, PageNumber, PageSize, UtcTime, View

Site = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_\-]{0,31}$"), Field(examples=["main"])
]


class TimelineEntry(View):
    """One thing that happened."""

    stream: str
    """`EVENTS` for facts that services announce, `LAB` for raw facts from the bench."""
    seq: int
    """Its sequence in that stream."""
    id: str
    type: str
    time: UtcTime
    source: str
    subject: str | None
    actor: ActorId
    correlation: str
    trace_id: str | None
    data: dict[str, Any]


class Published(View):
    """A lab event that the laboratory will not lose any more."""

    id: str
    type: str
    stream: str
    seq: int


class PublishLabEvent(
    Command[Published],
    type="event.publish",
    http=post("/events", status=201),
    needs="events:publish",
):
    """Take a raw fact from the bench, as an instrument without a NATS connection gives it."""

    type: Name
    """The type of a lab event, such as `sensor.temperature_read`."""
    data: dict[str, Any]
    source: Name = "http"
    site: Site = "main"


class ListEvents(
    Query[Page[TimelineEntry]], type="event.list", http=get("/events"), needs="events:read"
):
    """List what happened, newest first."""

    type: Name | None = None
    subject: Name | None = None
    correlation: Name | None = None
    since: UtcTime | None = None
    page: PageNumber = 1
    page_size: PageSize = 50


class UnknownLabEvent(
    Refusal,
    code="event.unknown_lab_event",
    status=422,
    says="{type} is no lab event. Known are: {known}.",
):
    """No contract describes this lab event."""

    type: str
    known: str
