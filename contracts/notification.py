"""Notifications: who is told what, through which channel, and whether it arrived."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contracts.errors import Refusal
from contracts.message import Command, Event, Query, get
from contracts.types import (
    EmailAddress,
    MinSeq,
    Name,
    NotificationId,
    Page,
    PageNumber,
    PageSize,
    Text,
    UtcTime,
    Value,
    View,
)


class Channel(StrEnum):
    """A way to reach people."""

    IN_APP = "in_app"
    EMAIL = "email"


class DeliveryState(StrEnum):
    """How far a notification came on one channel."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Template(StrEnum):
    """What a notification says."""

    SUBMISSION_STORED = "submission_stored"
    SAMPLE_STORED = "sample_stored"
    IMPORT_FINISHED = "import_finished"
    TRANSFER_MADE = "transfer_made"
    EXCURSION_ALERT = "excursion_alert"
    EXCURSION_CLOSED = "excursion_closed"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    SAMPLES_DISPOSED = "samples_disposed"
    RUN_QUEUED = "run_queued"
    RUN_SETTLED = "run_settled"


class Delivery(Value):
    """One channel to one recipient."""

    channel: Channel
    recipient: Name
    state: DeliveryState
    detail: str | None = None
    """Why it failed, or what the receiving server said."""


class NotificationView(View):
    """A notification as it stands."""

    notification_id: NotificationId
    template: Template
    title: Name
    message: Text
    deliveries: list[Delivery]
    created_at: UtcTime
    seq: int


class SendNotification(Command[NotificationView], type="notification.send"):
    """Tell people; in the application always, by e-mail where addresses and a server are given."""

    template: Template
    values: dict[str, str]
    """What the template's placeholders stand for."""
    emails: Annotated[list[EmailAddress], Field(max_length=100)] = Field(
        default_factory=list[EmailAddress]
    )


class GetNotification(
    Query[NotificationView],
    type="notification.get",
    http=get("/notifications/{notification_id}"),
    needs="notifications:read",
):
    """Show a notification as it is, or as it was at a time."""

    notification_id: NotificationId
    at: UtcTime | None = None


class ListNotifications(
    Query[Page[NotificationView]],
    type="notification.list",
    http=get("/notifications"),
    needs="notifications:read",
):
    """List notifications, newest first."""

    page: PageNumber = 1
    page_size: PageSize = 50
    min_seq: MinSeq = 0


class NotificationRequested(Event, type="notification.requested"):
    """Somebody is to be told."""

    notification_id: NotificationId
    template: Template
    title: Name
    message: Text
    deliveries: list[Delivery]


class NotificationDelivered(Event, type="notification.delivered"):
    """A notification reached one recipient on one channel."""

    notification_id: NotificationId
    channel: Channel
    recipient: Name
    detail: str | None = None


class NotificationFailed(Event, type="notification.failed"):
    """A notification could not reach one recipient on one channel, for good."""

    notification_id: NotificationId
    channel: Channel
    recipient: Name
    detail: str


class NotificationNotFound(
    Refusal,
    code="notification.not_found",
    status=404,
    says="There is no notification {notification_id}. List them with GET /api/v1/notifications.",
):
    """The notification is not known here."""

    notification_id: NotificationId


class TemplateIncomplete(
    Refusal,
    code="notification.template_incomplete",
    status=422,
    says="Template {template} needs a value for {missing}. Give it in `values`.",
):
    """A placeholder of the template has no value."""

    template: Template
    missing: str
