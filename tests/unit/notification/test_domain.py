"""What a notification says and how far it comes, decided and folded without any server."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from contracts.entry import GENESIS, Entry
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
from contracts.types import NotificationId
from infra.clock import SYSTEM
from infra.ids import new_id
from services.notification import domain
from services.notification.domain import Email, Notification, Outbox

VALUES = {"submission_id": "S-1", "accepted": "96", "file": "manifest.csv"}
ADA, BOB = "ada@lab.test", "bob@lab.test"
ID = NotificationId(new_id())


def order(*emails: str, values: dict[str, str] | None = None) -> SendNotification:
    """Make a command."""
    return SendNotification(
        template=Template.SUBMISSION_STORED,
        values=VALUES if values is None else values,
        emails=list(emails),
    )


def requested(command: SendNotification, *, mail_server: bool = True) -> NotificationRequested:
    """Decide on a command that is not refused."""
    decision = domain.request(None, ID, command, mail_server=mail_server)
    assert not isinstance(decision, Refusal)
    (event,) = decision
    assert isinstance(event, NotificationRequested)
    return event


def entry(*events: Event, seq: int = 1) -> Entry:
    """Put events into an entry."""
    return Entry(
        events=events,
        at=SYSTEM.now(),
        actor="tester",
        cause="m",
        correlation="c",
        number=seq,
        prev_hash=GENESIS,
        seq=seq,
    )


def folded(*decisions: Sequence[Event]) -> Notification:
    """Fold what was decided."""
    state = None
    for seq, events in enumerate(decisions, start=1):
        for event in events:
            state = domain.evolve(state, event, entry(event, seq=seq))
    assert state is not None
    return state


def email_to(recipient: str) -> Email:
    """Name an e-mail of the notification."""
    return Email(ID, recipient, "c", None)


def states(notification: Notification) -> dict[str, DeliveryState]:
    """Give how far each delivery came."""
    return {one.recipient: one.state for one in notification.deliveries}


def test_a_stored_submission_is_told_with_its_values() -> None:
    """The title and the message say how many samples of which file, and which submission."""
    event = requested(order())

    assert event.title == "96 samples of manifest.csv are stored"
    assert "Submission: S-1" in event.message


def test_a_missing_placeholder_refuses_and_names_each() -> None:
    """What the template needs and was not given is named, and nothing is decided."""
    refusal = domain.request(None, ID, order(values={"file": "m.csv"}), mail_server=True)

    assert refusal == TemplateIncomplete(
        template=Template.SUBMISSION_STORED, missing="accepted, submission_id"
    )


def test_every_template_has_a_wording() -> None:
    """No template can be asked for that says nothing."""
    assert set(domain.WORDINGS) == set(Template)


def test_the_application_is_told_at_once_and_addresses_once_each() -> None:
    """The in-app delivery is delivered with the decision; a repeated address is one e-mail."""
    deliveries = requested(order(ADA, BOB, ADA)).deliveries

    assert [(one.channel, one.recipient, one.state) for one in deliveries] == [
        (Channel.IN_APP, "laboratory", DeliveryState.DELIVERED),
        (Channel.EMAIL, ADA, DeliveryState.PENDING),
        (Channel.EMAIL, BOB, DeliveryState.PENDING),
    ]


def test_without_a_mail_server_an_email_is_failed_from_the_start_and_says_why() -> None:
    """The delivery shows the reason and its remedy; nothing is left to be tried."""
    event = requested(order(ADA), mail_server=False)
    outbox = Outbox()
    outbox.apply(entry(event))

    assert event.deliveries[1] == Delivery(
        channel=Channel.EMAIL,
        recipient=ADA,
        state=DeliveryState.FAILED,
        detail="no e-mail server is set: set TRACSEQ_NOTIFICATION_SMTP_HOST",
    )
    assert outbox.take() == []


def test_a_command_that_comes_again_decides_nothing() -> None:
    """A notification that exists is not requested a second time."""
    notification = folded([requested(order(ADA))])

    assert domain.request(notification, ID, order(ADA), mail_server=True) == []


@given(st.fixed_dictionaries({name: st.text() for name in VALUES}))
def test_any_values_make_a_title_of_one_line_that_fits(values: dict[str, str]) -> None:
    """Line breaks, control characters and length cannot break out of the subject of a mail."""
    event = requested(order(values=values))

    assert event.title.isprintable()
    assert len(event.title) <= 255


def test_a_placeholder_within_a_value_is_text() -> None:
    """Values are put in once: what they contain is not filled in again."""
    event = requested(order(values=VALUES | {"file": "{accepted}.csv"}))

    assert event.title == "96 samples of {accepted}.csv are stored"


def test_an_email_ends_once() -> None:
    """What was delivered cannot fail afterwards, and another recipient's e-mail stays pending."""
    begun = [requested(order(ADA, BOB))]
    delivered = domain.delivered(folded(begun), email_to(ADA), "250 fine")
    notification = folded(begun, delivered)

    assert states(notification) == {
        "laboratory": DeliveryState.DELIVERED,
        ADA: DeliveryState.DELIVERED,
        BOB: DeliveryState.PENDING,
    }
    assert domain.failed(notification, email_to(ADA), "too late") == []
    assert domain.delivered(notification, email_to(ADA), "again") == []


def test_a_failure_keeps_what_the_server_said_shortened() -> None:
    """The detail is kept, at most 300 characters of it."""
    begun = [requested(order(ADA))]
    notification = folded(begun, domain.failed(folded(begun), email_to(ADA), "550 " + "x" * 500))

    detail = notification.deliveries[1].detail
    assert detail is not None
    assert detail.startswith("550 xxx")
    assert len(detail) == 300


def test_an_email_of_no_notification_ends_nothing() -> None:
    """Without a notification there is nothing to record."""
    assert domain.delivered(None, email_to(ADA), "250") == []
    assert domain.failed(None, email_to(ADA), "550") == []


def test_the_outbox_holds_what_was_neither_delivered_nor_failed() -> None:
    """Folding a log from its beginning leaves the e-mails that are still to be sent."""
    outbox = Outbox()
    outbox.apply(entry(requested(order(ADA, BOB, "eve@lab.test"))))
    outbox.apply(
        entry(NotificationDelivered(notification_id=ID, channel=Channel.EMAIL, recipient=ADA))
    )
    outbox.apply(
        entry(
            NotificationFailed(
                notification_id=ID, channel=Channel.EMAIL, recipient=BOB, detail="550"
            )
        )
    )

    assert [email.recipient for email in outbox.take()] == ["eve@lab.test"]
    assert outbox.take() == []


def test_the_token_of_an_email_depends_on_notification_and_recipient_alone() -> None:
    """Whoever sends it and however often, it has one name; another recipient's has another."""
    assert email_to(ADA).token == Email(ID, ADA, "other", "00-trace").token
    assert email_to(ADA).token != email_to(BOB).token


@given(template=st.sampled_from(Template), value=st.text(max_size=200))
def test_every_template_can_be_told_with_the_values_it_asks_for(
    template: Template, value: str
) -> None:
    """Whatever the values are, title and message fit; what is missing is named."""
    placeholders = domain.WORDINGS[template].placeholders
    command = SendNotification(template=template, values=dict.fromkeys(placeholders, value))

    event = requested(command)

    assert 0 < len(event.title) <= 255
    assert 0 < len(event.message) <= 2_000
    bare = SendNotification(template=template, values={})
    assert domain.request(None, ID, bare, mail_server=True) == TemplateIncomplete(
        template=template, missing=", ".join(placeholders)
    )
