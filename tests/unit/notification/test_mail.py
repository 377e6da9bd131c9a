"""How an e-mail is written, and what the service may be told about its mail server."""

from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.notification import Template
from contracts.types import NotificationId
from infra.breaker import BreakerRegistry
from infra.clock import SYSTEM
from infra.ids import new_id
from services.notification.domain import Email, Notification
from services.notification.projections.mail import Mailer, MailRefusedError, compose
from services.notification.settings import Settings

EMAIL = r"[^@\s<>]+@[^@\s<>]+"
"""What the contract takes as an address."""
NOTIFICATION = Notification(
    notification_id=NotificationId(new_id()),
    template=Template.SUBMISSION_STORED,
    title="96 samples of Müller.csv are stored",
    message="All of them.\n\nSubmission: S-1",
    deliveries=(),
    requested_at=SYSTEM.now(),
    requested_seq=1,
)


def email_to(recipient: str) -> Email:
    """Name an e-mail of the notification."""
    return Email(NOTIFICATION.notification_id, recipient, "c", None)


def test_a_mail_has_the_headers_that_mail_programs_need() -> None:
    """Sender, recipient, subject, date and the mark that a machine wrote it are there."""
    mail = compose(NOTIFICATION, email_to("ada@lab.test"), sender="lab@lab.test")

    assert mail["From"] == "lab@lab.test"
    assert mail["To"] == "ada@lab.test"
    assert mail["Subject"] == "96 samples of Müller.csv are stored"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOTIFICATION.requested_at.replace(microsecond=0)
    assert mail.get_content() == "All of them.\n\nSubmission: S-1\n"


def test_the_message_id_is_the_same_at_every_attempt_and_another_for_each_recipient() -> None:
    """A mail that was sent twice is recognised as one; two recipients' mails are two."""
    ids = [
        compose(NOTIFICATION, email_to(recipient), sender="lab@lab.test")["Message-ID"]
        for recipient in ("ada@lab.test", "ada@lab.test", "bob@lab.test")
    ]

    assert ids[0] == ids[1] != ids[2]
    assert ids[0].startswith(f"<{NOTIFICATION.notification_id}.")
    assert ids[0].endswith("@tracseq>")


@pytest.mark.parametrize(
    "address", ["a,b@lab.test", "ada@lab.test,eve", '"@lab.test', "a@[", "(@b"]
)
def test_an_address_that_cannot_stand_in_a_mail_is_refused(address: str) -> None:
    """It is told apart from a server that does not answer: no further attempt can help."""
    with pytest.raises(MailRefusedError):
        compose(NOTIFICATION, email_to(address), sender="lab@lab.test")


@given(st.from_regex(EMAIL, fullmatch=True))
def test_any_address_that_the_contract_takes_is_written_or_refused(address: str) -> None:
    """Nothing that can be asked for makes a mail that cannot be written, or has other headers."""
    try:
        mail = compose(NOTIFICATION, email_to(address), sender="lab@lab.test")
    except MailRefusedError:
        return
    read = message_from_bytes(mail.as_bytes(policy=policy.SMTPUTF8), policy=policy.SMTPUTF8)
    assert read.keys() == mail.keys()


def test_without_a_host_there_is_no_mailer() -> None:
    """Whether e-mails are sent at all is decided by one setting."""
    breakers = BreakerRegistry("notification")
    assert Mailer.of(Settings(), breakers) is None
    assert breakers.snapshot() == []
    assert Mailer.of(Settings(smtp_host="mail.test"), breakers) is not None
    assert [one.name for one in breakers.snapshot()] == ["smtp"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_username": "lab"},
        {"smtp_password": "secret"},
        {"smtp_username": "lab", "smtp_password": "secret", "smtp_starttls": False},
    ],
)
def test_credentials_are_taken_whole_and_never_for_an_open_line(wrong: dict[str, Any]) -> None:
    """Half of them is a mistake, and a password is not sent in the clear."""
    with pytest.raises(ValidationError, match="smtp_password"):
        Settings(**wrong)


def test_the_password_is_not_shown() -> None:
    """Whoever prints the settings prints no secret."""
    settings = Settings.model_validate({"smtp_username": "lab", "smtp_password": "hunter2"})

    assert "hunter2" not in repr(settings)
