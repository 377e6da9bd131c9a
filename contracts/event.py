"""The timeline of everything that happened in the laboratory, and what could not be handled."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from contracts.errors import Refusal
from contracts.message import Command, Http, Query, get, post
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
    """A type, or with a dot at its end every type that begins so: `sample.`."""
    subject: Name | None = None
    correlation: Name | None = None
    since: UtcTime | None = None
    page: PageNumber = 1
    page_size: PageSize = 50


LetterSeq = Annotated[
    int, Field(ge=1, description="the number of a dead letter, as the list gives it")
]


class DeadLetterSummary(View):
    """One message that a consumer could not handle, without what it says."""

    seq: int
    at: UtcTime
    consumer: str
    reason: str
    deliveries: int
    """How often it was handed out before it was given up."""
    stream: str
    subject: str
    original_seq: int
    """Where it lay: its sequence in `stream`."""
    type: str | None
    id: str | None
    correlation: str | None


class DeadLetterView(DeadLetterSummary):
    """A dead letter, whole."""

    headers: dict[str, str]
    body: str
    """As text where it is, else as base64."""


class DeadLetterList(View):
    """Dead letters, oldest first."""

    items: list[DeadLetterSummary]
    next_after: int | None
    """Ask on with `after` set to this; None where there are no more."""


class LetterReplayed(View):
    """A dead letter was sent again."""

    seq: int
    id: str
    """The id under which it was sent; the letter itself stays until it is dropped."""
    stream: str
    sent_seq: int


class LetterDropped(View):
    """A dead letter was deleted for good."""

    seq: int


class ListDeadLetters(
    Query[DeadLetterList],
    type="event.list_dead_letters",
    http=get("/dead-letters"),
    needs="dead_letters:read",
):
    """List what could not be handled, oldest first."""

    after: Annotated[int, Field(ge=0)] = 0
    """Only letters with a later number."""
    limit: PageSize = 100


class GetDeadLetter(
    Query[DeadLetterView],
    type="event.get_dead_letter",
    http=get("/dead-letters/{seq}"),
    needs="dead_letters:read",
):
    """Show one dead letter: why, its headers, its body."""

    seq: LetterSeq


class ReplayDeadLetter(
    Command[LetterReplayed],
    type="event.replay_dead_letter",
    http=post("/dead-letters/{seq}/replay", status=200),
    needs="dead_letters:update",
):
    """Send a dead letter again to where it lay, under a new id; it stays until it is dropped."""

    seq: LetterSeq


class DropDeadLetter(
    Command[LetterDropped],
    type="event.drop_dead_letter",
    http=Http("DELETE", "/dead-letters/{seq}"),
    needs="dead_letters:update",
):
    """Delete a dead letter for good."""

    seq: LetterSeq


class DeadLetterNotFound(
    Refusal,
    code="event.dead_letter_not_found",
    status=404,
    says="There is no dead letter {seq}. List them with GET /api/v1/dead-letters.",
):
    """The dead letter is not there, or not any more."""

    seq: int


class UnknownLabEvent(
    Refusal,
    code="event.unknown_lab_event",
    status=422,
    says="{type} is no lab event. Known are: {known}.",
):
    """No contract describes this lab event."""

    type: str
    known: str
