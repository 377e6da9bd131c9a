"""What a message looks like on the wire: CloudEvents 1.0 over NATS, in binary mode.

The body is the JSON of the model; everything about it stands in headers. Structured mode is read,
never written. Nothing here knows the catalog.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote, unquote

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
STRUCTURED = "application/cloudevents+json"

CORRELATION = "tracseq-correlation"
CAUSATION = "tracseq-causation"
ACTOR = "tracseq-actor"
REPLY = "tracseq-reply"
SAGA_ID = "tracseq-saga-id"
SAGA_TYPE = "tracseq-saga-type"
SAGA_STEP = "tracseq-saga-step"
DEADLINE = "tracseq-deadline"
SEQ = "tracseq-seq"
MESSAGE_ID = "Nats-Msg-Id"
TRACEPARENT = "traceparent"

# CloudEvents percent-encodes what is not printable ASCII, and the space, the quote and the percent.
_PRINTABLE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
_PLAIN = re.compile(r"[!#$&-~]*")
_OWN = {
    "correlation": CORRELATION,
    "causation": CAUSATION,
    "actor": ACTOR,
    "traceparent": TRACEPARENT,
}
"""Extension attribute of structured mode -> header of binary mode."""


class EnvelopeError(ValueError):
    """A message is no CloudEvent; the text says which attribute is missing or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The attributes of one message, and its body as it is on the wire."""

    id: str
    type: str
    source: str
    time: datetime
    data: bytes
    version: int = 1
    subject: str | None = None
    correlation: str = ""
    """The id of what set everything off; the message's own id where nothing did."""
    causation: str | None = None
    """The id of the message that directly led to this one."""
    actor: str = "system"
    traceparent: str | None = None

    def headers(self) -> dict[str, str]:
        """Give the headers of binary mode; `Nats-Msg-Id` is the event's id."""
        message_id = _encode(self.id)
        headers = {
            MESSAGE_ID: message_id,
            "content-type": CONTENT_TYPE,
            "ce-specversion": SPEC_VERSION,
            "ce-id": message_id,
            "ce-type": self.type,
            "ce-source": _encode(self.source),
            "ce-time": self.time.isoformat(),
            "ce-dataschema": f"urn:tracseq:{self.type}:{self.version}",
            CORRELATION: _encode(self.correlation) or message_id,
            ACTOR: _encode(self.actor),
        }
        if self.subject is not None:
            headers["ce-subject"] = _encode(self.subject)
        if self.causation is not None:
            headers[CAUSATION] = _encode(self.causation)
        if self.traceparent is not None:
            headers[TRACEPARENT] = self.traceparent
        return headers


def parse(headers: Mapping[str, str] | None, body: bytes) -> Envelope:
    """Read a message in binary or structured mode.

    Raises:
        EnvelopeError: a required attribute is missing or malformed.
    """
    found = {name.lower(): value for name, value in (headers or {}).items()}
    if found.get("content-type", "").startswith(STRUCTURED):
        return _parse_structured(found, body)
    attributes = {
        name[3:]: unquote(value) for name, value in found.items() if name.startswith("ce-")
    }
    return _build(attributes, found, body)


def _parse_structured(headers: Mapping[str, str], body: bytes) -> Envelope:
    try:
        document: object = json.loads(body)
    except ValueError as error:
        raise EnvelopeError(f"structured CloudEvent is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise EnvelopeError("structured CloudEvent is no JSON object")
    attributes = {k: v for k, v in cast("dict[str, Any]", document).items() if v is not None}
    if "data_base64" in attributes:
        raise EnvelopeError("structured CloudEvent carries data_base64: send JSON in data instead")
    data = json.dumps(attributes.pop("data", None)).encode()
    # What stands in headers is encoded, and read as such; in the document it stands plain.
    own = {name: _encode(str(attributes[key])) for key, name in _OWN.items() if key in attributes}
    return _build({k: str(v) for k, v in attributes.items()}, {**own, **headers}, data)


def _build(attributes: Mapping[str, str], headers: Mapping[str, str], data: bytes) -> Envelope:
    if attributes.get("specversion", SPEC_VERSION) != SPEC_VERSION:
        raise EnvelopeError(
            f"ce-specversion is {attributes['specversion']!r}; this project speaks {SPEC_VERSION}"
        )
    missing = [name for name in ("id", "type", "source") if not attributes.get(name)]
    if missing:
        raise EnvelopeError(f"no CloudEvent: ce-{missing[0]} is missing")
    try:
        time = (
            datetime.fromisoformat(attributes["time"])
            if "time" in attributes
            else datetime.fromtimestamp(0, UTC)
        )
        version = int(attributes.get("dataschema", ":1").rpartition(":")[2])
    except ValueError as error:
        raise EnvelopeError(f"ce-time or ce-dataschema cannot be read: {error}") from error
    causation = headers.get(CAUSATION)
    return Envelope(
        id=attributes["id"],
        type=attributes["type"],
        source=attributes["source"],
        time=time if time.tzinfo else time.replace(tzinfo=UTC),
        data=data,
        version=version,
        subject=attributes.get("subject"),
        correlation=unquote(headers.get(CORRELATION, "")) or attributes["id"],
        causation=unquote(causation) if causation else None,
        actor=unquote(headers.get(ACTOR, "unknown")),
        traceparent=headers.get(TRACEPARENT),
    )


def _encode(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_PRINTABLE)
