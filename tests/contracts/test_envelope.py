"""The envelope: what is sent is what is read, in binary mode; structured mode is read too."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import envelope
from contracts.envelope import Envelope, EnvelopeError, parse

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
"""Any text that UTF-8 can hold: control characters, emoji and percent signs included."""
TYPES = st.from_regex(r"[a-z]{1,9}\.[a-z_]{1,19}", fullmatch=True)
TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    timezones=st.just(UTC),
)
ENVELOPES = st.builds(
    Envelope,
    id=TEXTS,
    type=TYPES,
    source=TEXTS,
    time=TIMES,
    data=st.binary(max_size=50),
    version=st.integers(1, 99),
    subject=st.none() | TEXTS,
    correlation=TEXTS,
    causation=st.none() | TEXTS,
    actor=TEXTS,
    traceparent=st.none() | st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", fullmatch=True),
)

SENT = Envelope(
    id="m-1",
    type="sample.register",
    source="/tracseq/edge",
    time=datetime(2026, 3, 14, 9, 26, tzinfo=UTC),
    data=b"{}",
)
STRUCTURED = {
    "specversion": "1.0",
    "id": "m-1",
    "type": "sensor.temperature_read",
    "source": "/bench/freezer 7",
    "time": "2026-03-14T10:26:00+01:00",
    "dataschema": "urn:tracseq:sensor.temperature_read:2",
    "subject": "Kühl 7%",
    "actor": "Zoë 100%",
    "correlation": "c 1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "data": {"sensor": "t-7", "celsius": -79.5},
}


@given(ENVELOPES)
def test_what_is_sent_is_what_is_read(sent: Envelope) -> None:
    """Every attribute survives binary mode, whatever characters it has."""
    assert parse(sent.headers(), sent.data) == sent


@given(ENVELOPES)
def test_headers_are_printable_ascii(sent: Envelope) -> None:
    """Nothing that anybody chose can break out of a header, or add one."""
    for value in sent.headers().values():
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()


def test_a_message_that_nothing_set_off_is_its_own_correlation() -> None:
    """The first message of a story names itself."""
    assert parse(SENT.headers(), b"").correlation == "m-1"
    assert SENT.headers()[envelope.MESSAGE_ID] == "m-1"
    assert SENT.headers()["ce-dataschema"] == "urn:tracseq:sample.register:1"


def test_header_names_are_read_in_any_case() -> None:
    """NATS keeps the case of headers, other senders choose another one."""
    shouted = {name.upper(): value for name, value in SENT.headers().items()}
    assert parse(shouted, b"{}") == parse(SENT.headers(), b"{}")


@pytest.mark.parametrize("name", ["id", "type", "source"])
def test_a_missing_attribute_is_named(name: str) -> None:
    """Whoever sent it can mend it: missing and empty are the same mistake."""
    headers = SENT.headers()
    del headers[f"ce-{name}"]
    with pytest.raises(EnvelopeError, match=f"ce-{name} is missing"):
        parse(headers, b"{}")
    with pytest.raises(EnvelopeError, match=f"ce-{name} is missing"):
        parse({**headers, f"ce-{name}": ""}, b"{}")
    document = {key: value for key, value in STRUCTURED.items() if key != name}
    with pytest.raises(EnvelopeError, match=f"ce-{name} is missing"):
        parse({"content-type": envelope.STRUCTURED}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ce-specversion", "0.3", "'0.3'; this project speaks 1.0"),
        ("ce-time", "yesterday", "ce-time or ce-dataschema cannot be read.*yesterday"),
        ("ce-dataschema", "urn:tracseq:sample.register:new", "cannot be read.*new"),
    ],
)
def test_a_malformed_attribute_is_named(name: str, value: str, says: str) -> None:
    """The error shows what cannot be read."""
    with pytest.raises(EnvelopeError, match=says):
        parse({**SENT.headers(), name: value}, b"{}")


@pytest.mark.parametrize("headers", [None, {}, {"content-type": "text/plain"}])
def test_a_message_without_headers_is_no_cloudevent(headers: dict[str, str] | None) -> None:
    """A stray publish is told apart from a message."""
    with pytest.raises(EnvelopeError, match="no CloudEvent: ce-id is missing"):
        parse(headers, b"{}")


def test_structured_mode_is_read_with_its_extensions() -> None:
    """The document's attributes count as they stand there, in UTC where they are times."""
    headers = {"Content-Type": f"{envelope.STRUCTURED}; charset=utf-8"}
    found = parse(headers, json.dumps(STRUCTURED).encode())
    assert json.loads(found.data) == STRUCTURED["data"]
    assert found.time - datetime(2026, 3, 14, 9, 26, tzinfo=UTC) == timedelta(0)
    assert (found.id, found.version, found.subject) == ("m-1", 2, "Kühl 7%")
    assert (found.source, found.actor, found.correlation) == ("/bench/freezer 7", "Zoë 100%", "c 1")
    assert found.traceparent == STRUCTURED["traceparent"]
    assert found.causation is None


def test_structured_mode_takes_null_for_absent() -> None:
    """A subject that is null is no subject called None."""
    document = {**STRUCTURED, "subject": None, "actor": None}
    found = parse({"content-type": envelope.STRUCTURED}, json.dumps(document).encode())
    assert (found.subject, found.actor) == (None, "unknown")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff", "no JSON"),
        (b"[1]", "no JSON object"),
        (json.dumps({**STRUCTURED, "data_base64": "AA=="}).encode(), "send JSON in data"),
    ],
)
def test_a_structured_message_that_cannot_be_read_says_why(body: bytes, says: str) -> None:
    """Neither noise, nor a list, nor bytes in base64 is a message of this project."""
    with pytest.raises(EnvelopeError, match=says):
        parse({"content-type": envelope.STRUCTURED}, body)


def test_a_time_without_a_zone_is_utc_and_no_time_is_the_epoch() -> None:
    """Time is optional in CloudEvents; it is never guessed from a clock."""
    headers = {**SENT.headers(), "ce-time": "2026-03-14T09:26:00"}
    assert parse(headers, b"{}").time == SENT.time
    del headers["ce-time"]
    assert parse(headers, b"{}").time == datetime(1970, 1, 1, tzinfo=UTC)
    berlin = timezone(timedelta(hours=1))
    headers["ce-time"] = datetime(2026, 3, 14, 10, 26, tzinfo=berlin).isoformat()
    assert parse(headers, b"{}").time == SENT.time
