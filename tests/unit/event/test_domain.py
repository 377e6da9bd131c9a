"""What stands in the timeline, and where, worked out without any server."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import LAB_EVENTS
from contracts.envelope import Envelope
from contracts.event import TimelineEntry, UnknownLabEvent
from contracts.lab import TemperatureRead
from services.event import domain

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def message(data: bytes = b"{}", **changes: str | None) -> Envelope:
    """Make a message as the broker would hand it out."""
    attributes = {"id": "E-1", "type": "sample.registered", "source": "tracseq/sample", **changes}
    return Envelope(time=NOON, data=data, **attributes)  # type: ignore[arg-type] # attributes are texts


def test_an_entry_shows_where_a_message_lies_and_what_it_says() -> None:
    """Stream, sequence, the attributes, the trace and the data of a message are shown."""
    envelope = Envelope(
        id="E-1",
        type="sample.registered",
        source="tracseq/sample",
        time=NOON,
        data=b'{"barcode": "LAB-1"}',
        subject="S-1",
        correlation="C-1",
        actor="ada",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )

    assert domain.entry_of("EVENTS", 7, envelope) == TimelineEntry(
        stream="EVENTS",
        seq=7,
        id="E-1",
        type="sample.registered",
        time=NOON,
        source="tracseq/sample",
        subject="S-1",
        actor="ada",
        correlation="C-1",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        data={"barcode": "LAB-1"},
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"[1, 2]", {"value": [1, 2]}),
        (b"21.5", {"value": 21.5}),
        (b"T=21.5", {"text": "T=21.5"}),
        (b"\xff\xfe", {"text": "\ufffd\ufffd"}),
        (b"", {"text": ""}),
        (b"[" * 100_000, {"text": "[" * domain.TEXT_MAX}),
    ],
)
def test_a_foreign_body_is_shown_as_well_as_it_can_be(body: bytes, shown: object) -> None:
    """What is no JSON object stands under a name of its own, and what is no JSON as text."""
    assert domain.entry_of("LAB", 1, message(body)).data == shown


@given(st.binary(max_size=200), st.text(max_size=300), st.text(max_size=300))
def test_any_message_makes_an_entry_that_can_be_sent(data: bytes, actor: str, subject: str) -> None:
    """Whatever an instrument sends, the timeline can show it and encode it."""
    entry = domain.entry_of("LAB", 1, message(data, actor=actor, subject=subject))

    assert TimelineEntry.model_validate_json(entry.model_dump_json()).seq == 1


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    """JSON can carry what no UTF-8 can; an entry holds no such text."""
    smuggled: str = json.loads('"\\ud800x"')

    assert domain.entry_of("LAB", 1, message(subject=smuggled)).subject == "?x"


def test_a_fact_stands_where_it_happened() -> None:
    """A time shortly before the arrival is believed, to the microsecond."""
    happened = NOON - timedelta(microseconds=1)

    assert domain.order_us(happened, NOON) == domain.microseconds(NOON) - 1


def test_a_clock_beyond_belief_does_not_tear_the_timeline_apart() -> None:
    """The future stands at the arrival, and 1970 no further back than a clock is trusted."""
    epoch = datetime.fromtimestamp(0, UTC)

    assert domain.order_us(NOON + timedelta(days=900), NOON) == domain.microseconds(NOON)
    assert domain.order_us(epoch, NOON) == domain.microseconds(NOON - domain.CLOCK_TRUST)


@pytest.mark.parametrize(
    ("type_", "families"),
    [
        ("sample.registered", ["sample."]),
        ("com.acme.freezer.opened", ["com.", "com.acme.", "com.acme.freezer."]),
        ("alarm", []),
    ],
)
def test_a_type_is_of_every_family_that_it_begins_with(type_: str, families: list[str]) -> None:
    """Each dot ends a beginning by which lists can ask."""
    assert domain.families(type_) == families


def test_the_families_of_an_endless_type_are_bounded() -> None:
    """A foreign type cannot make an index grow without end."""
    assert len(domain.families("a." * 1_000 + "z")) == domain.FAMILIES_MAX


def test_a_lab_event_is_found_by_its_type() -> None:
    """The contract of a raw fact is the one that the catalog lists."""
    assert domain.lab_event("sensor.temperature_read") is TemperatureRead


def test_an_unknown_lab_event_is_refused_with_all_that_are_known() -> None:
    """Neither a misspelt type nor a service's own event is a raw fact."""
    known = ", ".join(sorted(LAB_EVENTS))

    for type_ in ("sensor.temprature_read", "sample.registered"):
        assert domain.lab_event(type_) == UnknownLabEvent(type=type_, known=known)
