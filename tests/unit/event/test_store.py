"""What the read model of the timeline holds of a message."""

import json
from datetime import UTC, datetime

import bson

from contracts.envelope import Envelope
from infra.runtime.stream_source import Told
from services.event.store import document

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


def told(seq: int, data: bytes = b"{}") -> Told:
    """Make a message of the bench, as the stream has it."""
    envelope = Envelope(id=f"E-{seq}", type="a.b.c", source="bench", time=NOON, data=data)
    return Told(seq, envelope, NOON)


def test_a_document_can_be_asked_for_by_type_family_subject_and_correlation() -> None:
    """The fields that lists filter by stand beside the view."""
    put = document("LAB", told(1))

    assert put is not None
    assert put.fields == {
        "type": "a.b.c",
        "families": ["a.", "a.b."],
        "subject": None,
        "correlation": "",
    }


def test_what_happened_at_the_same_moment_is_told_apart_by_its_sequence() -> None:
    """Identifiers of documents sort as the stream does, beyond ten as well."""
    ids = [put.id for put in (document("LAB", told(seq)) for seq in (2, 9, 10, 100)) if put]

    assert ids == sorted(ids)
    assert len(ids) == 4


def test_names_and_numbers_that_no_document_store_takes_are_kept() -> None:
    """A body may hold dollars, dots, null bytes in names and numbers beyond 64 bits."""
    body = {"$where": 1, "a.b": 2, "c\x00d": 3, "big": 2**80, "half": "\ud800"}
    put = document("LAB", told(1, json.dumps(body).encode()))

    assert put is not None
    kept = bson.decode(bson.encode(put.document()))
    assert json.loads(kept["view"]["data"]) == body


def test_what_is_no_cloud_event_has_no_document() -> None:
    """It has a place in its stream and says nothing."""
    assert document("LAB", Told(1, None, NOON)) is None
