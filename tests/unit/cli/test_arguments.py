"""What people type at the command line: read as meant, or refused with the remedy."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from contracts import subjects
from contracts.lab import TemperatureRead
from services.cli.events import parse_since
from services.cli.exits import Exit
from services.cli.history import place
from services.cli.outcome import CliError
from services.cli.publish import read_event
from services.cli.saga.targets import read_histories
from services.cli.smtp import smtp_environment

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
SAGA = UUID("0198c0de-0000-7000-8000-000000000003")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", datetime(2026, 1, 31, 11, 58, 30, tzinfo=UTC)),
        ("15m", datetime(2026, 1, 31, 11, 45, tzinfo=UTC)),
        ("2h", datetime(2026, 1, 31, 10, 0, tzinfo=UTC)),
        ("3d", datetime(2026, 1, 28, 12, 0, tzinfo=UTC)),
        ("2026-01-30T08:00:00+02:00", datetime(2026, 1, 30, 6, 0, tzinfo=UTC)),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_said_in_two_ways(text: str, moment: datetime) -> None:
    """How long ago, or when; what says no offset is UTC."""
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "5", "-3h", "5w", ""])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    """The message shows what was given and what can be."""
    with pytest.raises(CliError, match="cannot be read") as caught:
        parse_since(text, NOW)

    assert caught.value.code is Exit.USAGE
    assert "15m" in caught.value.remedy


def test_a_lab_event_is_read_by_its_contract() -> None:
    """Numbers keep their digits."""
    event = read_event("sensor.temperature_read", '{"sensor": "F1", "celsius": "-80.50"}')

    assert event == TemperatureRead(sensor="F1", celsius=Decimal("-80.50"))


def test_a_lab_event_may_come_from_a_file(tmp_path: Path) -> None:
    """@FILE is read."""
    path = tmp_path / "event.json"
    path.write_text('{"text": "the -80 hums"}')

    assert read_event("person.note_taken", f"@{path}").model_dump() == {"text": "the -80 hums"}


def test_a_mistyped_lab_event_is_answered_with_the_close_one() -> None:
    """So is the list of all."""
    with pytest.raises(CliError) as caught:
        read_event("sensor.temprature_read", "{}")

    assert caught.value.code is Exit.USAGE
    assert "Did you mean sensor.temperature_read?" in caught.value.remedy
    assert "person.note_taken" in caught.value.remedy


def test_every_field_at_fault_is_named_with_its_remedy() -> None:
    """A value out of range, a missing field and an unknown one are told at once."""
    with pytest.raises(CliError, match="nothing was published") as caught:
        read_event("sensor.temperature_read", '{"celsius": -300, "probe": "F1"}')

    problem = caught.value.problem
    assert problem is not None
    found = {e.field: (e.value, e.problem) for e in problem.errors}
    assert found["celsius"] == ("-300", "is too small")
    assert found["sensor"] == (None, "is missing")
    assert found["probe"] == ("F1", "is not known here")
    assert all(e.remedy for e in problem.errors)


@pytest.mark.parametrize("text", ["{sensor: F1}", "[1]", "", '"text"'])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    """The message says what is wrong with it."""
    with pytest.raises(CliError, match="is no") as caught:
        read_event("sensor.temperature_read", text)

    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("aggregate", "key", "log"),
    [
        ("sample", "s1", ("LOG_SAMPLE", "tracseq.log.sample.sample.s1")),
        ("barcode", "A.1", ("LOG_SAMPLE", "tracseq.log.sample.barcode.A%2E1")),
        ("container", "c1", ("LOG_STORAGE", "tracseq.log.storage.container.c1")),
        ("storage.reservation", "r1", ("LOG_STORAGE", "tracseq.log.storage.reservation.r1")),
    ],
)
def test_an_aggregate_is_found_by_its_name(aggregate: str, key: str, log: tuple[str, str]) -> None:
    """Its own name does where its owner is known, OWNER.NAME always."""
    assert place(aggregate, key) == log


def test_a_transaction_is_found_in_its_partition() -> None:
    """Sagas have logs of their own."""
    stream, subject = place("transaction", str(SAGA))

    assert stream == subjects.saga_stream(subjects.saga_partition(SAGA))
    assert subject == subjects.saga_log(SAGA)


@pytest.mark.parametrize(("aggregate", "key"), [("freezer", "x"), ("transaction", "x")])
def test_an_unknown_aggregate_is_refused(aggregate: str, key: str) -> None:
    """So is a transaction id that is none."""
    with pytest.raises(CliError) as caught:
        place(aggregate, key)

    assert caught.value.code is Exit.USAGE
    assert caught.value.remedy


def test_exported_histories_are_read_in_three_forms(tmp_path: Path) -> None:
    """One document, a list of them, one on each line."""
    one: dict[str, object] = {"transaction_id": "a", "entries": []}
    other: dict[str, object] = {"transaction_id": "b", "entries": []}
    path = tmp_path / "histories"

    path.write_text(json.dumps(one, indent=1))
    assert list(read_histories(path)) == [one]
    path.write_text(json.dumps([one, other]))
    assert list(read_histories(path)) == [one, other]
    path.write_text(f"{json.dumps(one)}\n{json.dumps(other)}\n")
    assert list(read_histories(path)) == [one, other]


@pytest.mark.parametrize("text", ["no json", "3", '{"a": 1}\n{"b": '])
def test_a_file_without_histories_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    path = tmp_path / "histories"
    path.write_text(text)

    with pytest.raises(CliError, match="histories") as caught:
        list(read_histories(path))

    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("url", "host", "port", "starttls"),
    [
        ("smtp://localhost:1025", "localhost", "1025", "false"),
        ("smtp://mail.lab.example", "mail.lab.example", "25", "false"),
        ("smtp+starttls://mail.lab.example/", "mail.lab.example", "587", "true"),
    ],
)
def test_a_mail_server_is_told_to_the_notification_service(
    url: str, host: str, port: str, starttls: str
) -> None:
    """Host, port and encryption are settings of their own."""
    assert smtp_environment(url) == {
        "TRACSEQ_NOTIFICATION_SMTP_HOST": host,
        "TRACSEQ_NOTIFICATION_SMTP_PORT": port,
        "TRACSEQ_NOTIFICATION_SMTP_STARTTLS": starttls,
    }


@pytest.mark.parametrize(
    "url", ["localhost:25", "http://mail", "smtp://", "smtp://mail:none", "smtp://ada:secret@mail"]
)
def test_a_mail_server_that_is_none_is_refused_and_no_secret_repeated(url: str) -> None:
    """A password belongs in the environment, not on a command line."""
    with pytest.raises(CliError) as caught:
        smtp_environment(url)

    assert caught.value.code is Exit.USAGE
    assert "secret" not in f"{caught.value.message} {caught.value.remedy}"
