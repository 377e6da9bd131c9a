"""What the broker says of deliveries that never ended, read as the envelope it amounts to."""

import json
from datetime import UTC, datetime

import pytest

from contracts.envelope import EnvelopeError
from infra.bus.advisories import Exhausted, read_advisory

# As nats-server 2.15 writes it.
ADVISORY = {
    "type": "io.nats.jetstream.advisory.v1.max_deliver",
    "id": "6hJfp2wYZUG8gqmGb1rKqz",
    "timestamp": "2026-03-14T09:26:53.589793123Z",
    "stream": "COMMANDS",
    "consumer": "sample-commands",
    "stream_seq": 7,
    "deliveries": 1000,
}


def test_an_advisory_is_read_as_an_envelope() -> None:
    """Its id, type and time are the envelope's; the body stays as the broker wrote it."""
    body = json.dumps(ADVISORY).encode()

    envelope = read_advisory(body)

    assert (envelope.id, envelope.type) == (ADVISORY["id"], ADVISORY["type"])
    assert envelope.time == datetime(2026, 3, 14, 9, 26, 53, 589793, UTC)
    assert Exhausted.model_validate_json(envelope.data) == Exhausted(
        stream="COMMANDS", consumer="sample-commands", stream_seq=7, deliveries=1000
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        json.dumps(ADVISORY | {"timestamp": "noon"}).encode(),
        json.dumps(ADVISORY | {"timestamp": 12}).encode(),
    ],
)
def test_what_is_no_advisory_is_refused_as_unreadable(body: bytes) -> None:
    """It becomes a dead letter at once: no retry makes it readable."""
    with pytest.raises(EnvelopeError, match="no advisory of the broker"):
        read_advisory(body)
