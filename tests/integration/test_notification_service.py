"""The notification service over a real broker, document store and mail server."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts import subjects
from contracts.errors import Refused
from contracts.notification import (
    Channel,
    Delivery,
    DeliveryState,
    GetNotification,
    ListNotifications,
    NotificationDelivered,
    NotificationFailed,
    NotificationNotFound,
    NotificationRequested,
    NotificationView,
    SendNotification,
    Template,
    TemplateIncomplete,
)
from contracts.types import NotificationId
from infra.clock import SYSTEM
from infra.ids import new_id
from infra.runtime import Blueprint
from services.notification import service
from services.notification.domain import NO_MAIL_SERVER
from services.notification.settings import Settings
from tests.fixtures.laboratory import Laboratory, eventually, laboratory
from tests.fixtures.servers import Broker
from tests.fixtures.smtp import MailServer, mail_server

__all__ = ["laboratory", "mail_server"]

VALUES = {"submission_id": "S-1", "accepted": "96", "file": "manifest.csv"}
ADA, BOB = "ada@lab.test", "bob@lab.test"
PENDING, DELIVERED, FAILED = DeliveryState


def order(*emails: str) -> SendNotification:
    """Make a command."""
    return SendNotification(template=Template.SUBMISSION_STORED, values=VALUES, emails=list(emails))


def blueprint(server: MailServer | None, **changes: Any) -> Blueprint:  # noqa: ANN401 - settings
    """Make the service, impatient, with a mail server or none."""
    settings: dict[str, Any] = {
        "http_port": 0,
        "smtp_host": None if server is None else "127.0.0.1",
        "smtp_port": 25 if server is None else server.port,
        "smtp_starttls": False,
        "retry_first_seconds": 0.05,
        "retry_max_seconds": 0.2,
        **changes,
    }
    return Blueprint("notification", service.build, Settings(**settings))


def emails(view: NotificationView) -> dict[str, Delivery]:
    """Give the deliveries by e-mail, by recipient."""
    return {one.recipient: one for one in view.deliveries if one.channel is Channel.EMAIL}


def ended(view: NotificationView) -> bool:
    """Say whether nothing is pending."""
    return all(one.state is not PENDING for one in view.deliveries)


async def until(
    lab: Laboratory, sent: NotificationView, fits: Callable[[NotificationView], bool] = ended
) -> NotificationView:
    """Look at a notification until it is as wanted."""
    query = GetNotification(notification_id=sent.notification_id)
    return await eventually(lambda: lab.bus.ask(query), fits)


async def told(lab: Laboratory) -> list[str]:
    """List the types of what the service announced."""
    read = lab.connection.read(subjects.EVENTS, subjects.events_of("notification"))
    return [raw.headers["ce-type"] async for raw in read]


async def test_an_email_is_delivered_and_the_server_s_words_are_kept(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """The mail arrives as it was written; the delivery is recorded and announced to everyone."""
    await laboratory.start(blueprint(mail_server))

    sent = await laboratory.bus.ask(order(ADA))
    view = await until(laboratory, sent)

    ((recipient, mail),) = mail_server.mails
    assert recipient == ADA
    assert mail["Subject"] == sent.title == "96 samples of manifest.csv are stored"
    assert mail["Message-ID"].startswith(f"<{sent.notification_id}.")
    assert emails(view)[ADA].state is DELIVERED
    assert emails(view)[ADA].detail == "kept under 42"
    expected = [NotificationRequested.contract.type, NotificationDelivered.contract.type]
    assert await eventually(lambda: told(laboratory), lambda types: len(types) > 1) == expected


async def test_who_asks_does_not_wait_for_the_mail_server(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """The answer comes while the server is down: told in the application, e-mail pending."""
    await mail_server.stop()
    await laboratory.start(blueprint(mail_server))

    sent = await laboratory.bus.ask(order(ADA))

    in_app = [one.state for one in sent.deliveries if one.channel is Channel.IN_APP]
    assert in_app == [DELIVERED]
    assert emails(sent)[ADA].state is PENDING


async def test_a_server_that_says_not_now_is_asked_again(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """Two temporary refusals delay an e-mail; it arrives once."""
    mail_server.says[ADA] = ["451 come back later", "452 disk full"]
    await laboratory.start(blueprint(mail_server))

    view = await until(laboratory, await laboratory.bus.ask(order(ADA)))

    assert emails(view)[ADA].state is DELIVERED
    assert mail_server.asked[ADA] == 3
    assert len(mail_server.mails) == 1


async def test_a_rejected_recipient_fails_at_once_and_keeps_nobody_else_from_theirs(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """A permanent refusal is asked for once, recorded with its words and announced."""
    mail_server.says[BOB] = ["550 no such person"] * 9
    await laboratory.start(blueprint(mail_server))

    view = await until(laboratory, await laboratory.bus.ask(order(BOB, ADA)))

    assert emails(view)[BOB].state is FAILED
    assert emails(view)[BOB].detail == "550 no such person"
    assert mail_server.asked[BOB] == 1
    assert emails(view)[ADA].state is DELIVERED
    types = await eventually(lambda: told(laboratory), lambda types: len(types) > 2)
    assert NotificationFailed.contract.type in types


async def test_emails_wait_for_a_server_that_is_down(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """What was asked for during an outage of the mail server is sent when it is back."""
    await mail_server.stop()
    await laboratory.start(blueprint(mail_server, attempts_max=1_000))
    sent = [await laboratory.bus.ask(order(f"p{number}@lab.test")) for number in range(5)]
    await SYSTEM.sleep(0.3)

    await mail_server.start()
    views = [await until(laboratory, one) for one in sent]

    assert [emails(view)[f"p{n}@lab.test"].state for n, view in enumerate(views)] == [DELIVERED] * 5
    assert len(mail_server.mails) == 5


async def test_an_email_is_given_up_within_its_bounds(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """After the attempts that are allowed the e-mail is failed, with the reason."""
    mail_server.says[ADA] = ["451 never today"] * 99
    await laboratory.start(blueprint(mail_server, attempts_max=3))

    view = await until(laboratory, await laboratory.bus.ask(order(ADA)))

    assert emails(view)[ADA].state is FAILED
    assert emails(view)[ADA].detail == "given up: 451 never today"
    assert mail_server.asked[ADA] == 3


async def test_without_a_mail_server_the_reason_is_shown_and_nothing_fails_later(
    laboratory: Laboratory,
) -> None:
    """The delivery is failed from the start with the remedy, and only the request is announced."""
    await laboratory.start(blueprint(None))

    sent = await laboratory.bus.ask(order(ADA))

    assert emails(sent)[ADA].detail == NO_MAIL_SERVER
    assert await eventually(lambda: told(laboratory), bool) == [NotificationRequested.contract.type]


async def test_a_server_that_cannot_be_spoken_to_in_secret_gets_nothing(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """Where STARTTLS is wanted and not offered, no recipient is named; the delivery says why."""
    await laboratory.start(blueprint(mail_server, smtp_starttls=True, attempts_max=2))

    view = await until(laboratory, await laboratory.bus.ask(order(ADA)))

    assert "STARTTLS" in (emails(view)[ADA].detail or "")
    assert mail_server.asked[ADA] == 0


async def test_a_restart_sends_what_is_pending_and_nothing_twice(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """What was delivered before a restart is not sent again; what was not, is."""
    await laboratory.start(blueprint(mail_server))
    await until(laboratory, await laboratory.bus.ask(order(ADA)))
    await mail_server.stop()
    waiting = await laboratory.bus.ask(order(BOB))
    await laboratory.stop("notification")
    await mail_server.start()

    await laboratory.start(blueprint(mail_server))
    await until(laboratory, waiting)

    assert [recipient for recipient, _ in mail_server.mails] == [ADA, BOB]


async def test_the_same_command_twice_tells_people_once(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """A command that is sent again is answered with the same notification, and mails once."""
    await laboratory.start(blueprint(mail_server))
    command_id = str(new_id())

    first = await laboratory.bus.ask(order(ADA), message_id=command_id)
    again = await laboratory.bus.ask(order(ADA), message_id=command_id)
    await until(laboratory, first)

    assert again.notification_id == first.notification_id
    assert len(mail_server.mails) == 1


async def test_more_emails_than_connections_all_arrive(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """Bounds on connections and on what is under way slow e-mails down and lose none."""
    await laboratory.start(blueprint(mail_server, connections_max=2, under_way_max=3))

    sent = await laboratory.bus.ask(order(*(f"p{number}@lab.test" for number in range(40))))
    view = await until(laboratory, sent)

    assert {one.state for one in emails(view).values()} == {DELIVERED}
    assert len(mail_server.mails) == 40


async def test_an_outage_of_the_broker_loses_no_email(
    laboratory: Laboratory, mail_server: MailServer, broker: Broker
) -> None:
    """What was pending when the broker went is sent and recorded when it is back, once."""
    await mail_server.stop()
    await laboratory.start(blueprint(mail_server, attempts_max=1_000))
    sent = await laboratory.bus.ask(order(ADA))
    await broker.child.stop()
    await mail_server.start()
    await mail_server.until_mails(1)

    await broker.child.start()
    view = await until(laboratory, sent)

    assert emails(view)[ADA].state is DELIVERED
    assert len(mail_server.mails) == 1


async def test_notifications_are_listed_newest_first_as_far_as_asked(
    laboratory: Laboratory,
) -> None:
    """The list waits for the sequence that an answer carried, so it shows what was just told."""
    await laboratory.start(blueprint(None))
    sent = [await laboratory.bus.ask(order()) for _ in range(3)]

    page = await laboratory.bus.ask(ListNotifications(min_seq=sent[-1].seq, page_size=2))

    assert page.total == 3
    assert page.items == [sent[2], sent[1]]


async def test_a_notification_is_shown_as_it_was(
    laboratory: Laboratory, mail_server: MailServer
) -> None:
    """As of its creation the e-mail is pending; now it is delivered; before, it was not there."""
    await laboratory.start(blueprint(mail_server))
    sent = await laboratory.bus.ask(order(ADA))
    await until(laboratory, sent)

    then = await laboratory.bus.ask(
        GetNotification(notification_id=sent.notification_id, at=sent.created_at)
    )

    assert emails(then)[ADA].state is PENDING


async def test_an_unknown_notification_and_a_missing_value_are_refused(
    laboratory: Laboratory,
) -> None:
    """Both refusals name what was asked for."""
    await laboratory.start(blueprint(None))
    unknown = NotificationId(new_id())

    with pytest.raises(Refused) as not_found:
        await laboratory.bus.ask(GetNotification(notification_id=unknown))
    with pytest.raises(Refused) as incomplete:
        await laboratory.bus.ask(
            SendNotification(template=Template.SUBMISSION_STORED, values={"file": "m.csv"})
        )

    assert not_found.value.refusal == NotificationNotFound(notification_id=unknown)
    assert isinstance(incomplete.value.refusal, TemplateIncomplete)
    assert incomplete.value.refusal.missing == "accepted, submission_id"
