"""What a notification says, whom it reaches, and how far it came: pure decisions, pure folds."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

from contracts.aggregate import Aggregate
from contracts.entry import Entry
from contracts.errors import Refusal
from contracts.message import Event
from contracts.notification import (
    Channel,
    Delivery,
    DeliveryState,
    NotificationDelivered,
    NotificationFailed,
    NotificationRequested,
    SendNotification,
    Template,
    TemplateIncomplete,
)
from contracts.types import NotificationId, UtcTime, View

LABORATORY = "laboratory"
"""Who sees what is told in the application: everybody who works here."""
NO_MAIL_SERVER = "no e-mail server is set: set TRACSEQ_NOTIFICATION_SMTP_HOST"
EMAIL_OFF = "e-mails are switched off: set email_enabled of notification-service"
VALUE_MAX = 150
"""Characters of a value within a text; what is longer is cut, so that titles and messages fit."""
DETAIL_MAX = 300
"""Characters kept of what a mail server said."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A title and a message, with placeholders."""

    title: str
    message: str

    @property
    def placeholders(self) -> list[str]:
        """List what needs a value, in the order of the text."""
        text = f"{self.title}\n{self.message}"
        return list(dict.fromkeys(name for _, name, _, _ in Formatter().parse(text) if name))


WORDINGS: Mapping[Template, Wording] = {
    Template.SUBMISSION_STORED: Wording(
        title="{accepted} samples of {file} are stored",
        message="All {accepted} samples of the manifest {file} were accepted and are in their "
        "storage positions.\n\nSubmission: {submission_id}",
    ),
    Template.SAMPLE_STORED: Wording(
        title="Sample {barcode} is stored",
        message="The sample {barcode} was accepted and is in its storage position.\n\n"
        "Submission: {submission_id}",
    ),
    Template.IMPORT_FINISHED: Wording(
        title="{registered} samples of {file} were imported, {refused} refused",
        message="{registered} rows of {file} became samples and {refused} were refused; the "
        "import lists each row with its outcome.\n\nImport: {submission_id}",
    ),
    Template.TRANSFER_MADE: Wording(
        title="{carried} samples were carried to {path}",
        message="{carried} samples rest in new positions in {path} now. Each one's chain of "
        "custody says who carried it.\n\nTransfer: {submission_id}",
    ),
    Template.EXCURSION_ALERT: Wording(
        title="Temperature excursion in {path}: {samples} samples on hold",
        message="{path} left its temperature: {reason}. {samples} samples lie there and are on "
        "hold until somebody has looked at them. Look after the place, then decide whether they "
        "are released or discarded.\n\nExcursion: {submission_id}",
    ),
    Template.EXCURSION_CLOSED: Wording(
        title="Samples of {path} were {outcome}",
        message="The temperature excursion in {path} is closed: its {samples} samples were "
        "{outcome}.\n\nExcursion: {submission_id}",
    ),
    Template.CONSENT_WITHDRAWN: Wording(
        title="Consent withdrawn: {held} samples on hold",
        message="Consent was withdrawn ({reason}). {held} samples, with everything that was made "
        "of them, are on hold and can be used no more.\n\nWithdrawal: {submission_id}",
    ),
    Template.SAMPLES_DISPOSED: Wording(
        title="{disposed} samples were disposed of",
        message="{disposed} samples were taken out of storage and destroyed ({reason}).\n\n"
        "Disposal: {submission_id}",
    ),
    Template.RUN_QUEUED: Wording(
        title="Run {run} is queued on {instrument}",
        message="Run {run} waits for {instrument}, at place {place} of its queue.\n\n"
        "Process: {submission_id}",
    ),
    Template.RUN_SETTLED: Wording(
        title="Run {run}: {completed} samples completed, {failed} failed",
        message="Run {run} is settled: {completed} samples are completed and {failed} failed.\n\n"
        "Process: {submission_id}",
    ),
}


class Notification(View):
    """A notification, folded from its log."""

    notification_id: NotificationId
    template: Template
    title: str
    message: str
    deliveries: tuple[Delivery, ...]
    requested_at: UtcTime
    requested_seq: int
    """Its place in lists."""


@dataclass(frozen=True, slots=True)
class Email:
    """One e-mail that is to be sent, and the story that it belongs to."""

    notification_id: NotificationId
    recipient: str
    correlation: str
    traceparent: str | None

    @property
    def token(self) -> str:
        """Name the e-mail: the same, whoever sends it and however often."""
        return f"{self.notification_id}.{hashlib.sha256(self.recipient.encode()).hexdigest()[:16]}"


def evolve(state: Notification | None, event: Event, entry: Entry) -> Notification | None:
    """Fold one event into a notification."""
    match event:
        case NotificationRequested():
            return Notification(
                notification_id=event.notification_id,
                template=event.template,
                title=event.title,
                message=event.message,
                deliveries=tuple(event.deliveries),
                requested_at=entry.at,
                requested_seq=entry.seq,
            )
        case NotificationDelivered() if state is not None:
            return _ended(state, event, DeliveryState.DELIVERED)
        case NotificationFailed() if state is not None:
            return _ended(state, event, DeliveryState.FAILED)
        case _:
            return state


def _ended(
    state: Notification, event: NotificationDelivered | NotificationFailed, how: DeliveryState
) -> Notification:
    deliveries = tuple(
        one.model_copy(update={"state": how, "detail": event.detail})
        if (one.channel, one.recipient) == (event.channel, event.recipient)
        else one
        for one in state.deliveries
    )
    return state.model_copy(update={"deliveries": deliveries})


NOTIFICATION = Aggregate("notification", "notification", Notification, evolve)


def request(
    current: Notification | None,
    notification_id: NotificationId,
    command: SendNotification,
    *,
    mail_server: bool,
) -> Sequence[Event] | Refusal:
    """Tell people: in the application at once, by e-mail as soon as the server takes it."""
    if current is not None:
        return []
    wording = WORDINGS[command.template]
    missing = [name for name in wording.placeholders if name not in command.values]
    if missing:
        return TemplateIncomplete(template=command.template, missing=", ".join(missing))
    values = {name: _fitting(value) for name, value in command.values.items()}
    in_app = Delivery(channel=Channel.IN_APP, recipient=LABORATORY, state=DeliveryState.DELIVERED)
    emails = [_email(address, mail_server=mail_server) for address in dict.fromkeys(command.emails)]
    return [
        NotificationRequested(
            notification_id=notification_id,
            template=command.template,
            title=wording.title.format_map(values),
            message=wording.message.format_map(values),
            deliveries=[in_app, *emails],
        )
    ]


def _email(address: str, *, mail_server: bool) -> Delivery:
    return Delivery(
        channel=Channel.EMAIL,
        recipient=address,
        state=DeliveryState.PENDING if mail_server else DeliveryState.FAILED,
        detail=None if mail_server else NO_MAIL_SERVER,
    )


def _fitting(value: str) -> str:
    """Write a value on one line, of bounded length: it may stand in the subject of a mail."""
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return line if len(line) <= VALUE_MAX else line[: VALUE_MAX - 1] + "…"


def is_pending(current: Notification | None, recipient: str) -> bool:
    """Say whether an e-mail has not come to its end."""
    return current is not None and any(
        one.state is DeliveryState.PENDING
        for one in current.deliveries
        if (one.channel, one.recipient) == (Channel.EMAIL, recipient)
    )


def delivered(current: Notification | None, email: Email, detail: str) -> Sequence[Event]:
    """Record that the mail server took an e-mail; one that came to its end stays as it is."""
    if not is_pending(current, email.recipient):
        return []
    return [
        NotificationDelivered(
            notification_id=email.notification_id,
            channel=Channel.EMAIL,
            recipient=email.recipient,
            detail=detail[:DETAIL_MAX],
        )
    ]


def failed(current: Notification | None, email: Email, detail: str) -> Sequence[Event]:
    """Record that an e-mail will not arrive; one that came to its end stays as it is."""
    if not is_pending(current, email.recipient):
        return []
    return [
        NotificationFailed(
            notification_id=email.notification_id,
            channel=Channel.EMAIL,
            recipient=email.recipient,
            detail=detail[:DETAIL_MAX],
        )
    ]


class Outbox:
    """The e-mails that a log says are still to be sent."""

    def __init__(self) -> None:
        self._emails: dict[str, Email] = {}

    def apply(self, entry: Entry) -> None:
        """Fold in one more entry."""
        for event in entry.events:
            match event:
                case NotificationRequested():
                    for one in event.deliveries:
                        if (one.channel, one.state) == (Channel.EMAIL, DeliveryState.PENDING):
                            email = _email_of(event.notification_id, one.recipient, entry)
                            self._emails[email.token] = email
                case NotificationDelivered() | NotificationFailed():
                    email = _email_of(event.notification_id, event.recipient, entry)
                    self._emails.pop(email.token, None)
                case _:
                    pass

    def take(self) -> list[Email]:
        """Give all of them, oldest first, and hold them no more."""
        emails = list(self._emails.values())
        self._emails.clear()
        return emails


def _email_of(notification_id: NotificationId, recipient: str, entry: Entry) -> Email:
    return Email(notification_id, recipient, entry.correlation, entry.traceparent)
