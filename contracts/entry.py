"""One entry of a log: the events of one decision, and what ties it to the entry before.

The hash is SHA-256 over the entry's bytes, which hold the hash of the entry before: whoever edits,
drops or reorders one breaks the chain. Where entries are kept is not decided here.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from contracts.catalog import decode_data
from contracts.message import Event

GENESIS = ""
"""The `prev_hash` of the first entry."""
HASH_HEADER = "tracseq-hash"


class BrokenChainError(ValueError):
    """A log was tampered with or damaged; the text says at which entry and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one decision appended to one log."""

    events: tuple[Event, ...]
    at: datetime
    actor: str
    cause: str
    """The id of the message that was decided on."""
    correlation: str
    number: int
    """1 for the first entry of the log, then without gaps."""
    prev_hash: str
    effects: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else the decision asked for: a saga's commands and timers."""
    traceparent: str | None = None
    subject: str = ""
    """Where the entry is kept; empty until it is."""
    seq: int = 0
    """Its stream sequence; 0 until it is appended."""
    hash: str = ""
    again: bool = False
    """Whether it was moved to where it lies when its log was archived: it is no news."""

    def to_bytes(self) -> bytes:
        """Write the entry as it is kept; the hash is over these bytes."""
        head = {
            "number": self.number,
            "at": self.at.isoformat(),
            "actor": self.actor,
            "cause": self.cause,
            "correlation": self.correlation,
            "prev_hash": self.prev_hash,
        }
        rest: dict[str, Any] = {}
        if self.effects:
            rest["effects"] = self.effects
        if self.traceparent:
            rest["traceparent"] = self.traceparent
        events = b",".join(
            b'{"type":"%b","version":%d,"data":%b}'
            % (
                e.contract.type.encode(),
                e.contract.version,
                e.__pydantic_serializer__.to_json(e),
            )
            for e in self.events
        )
        after = b"," + write_json(rest)[1:] if rest else b"}"
        return write_json(head)[:-1] + b',"events":[' + events + b"]" + after

    def kept(self, *, subject: str, seq: int, hash: str) -> "Entry":  # noqa: A002 - the field's name
        """Give the entry as it is after the append."""
        return replace(self, subject=subject, seq=seq, hash=hash)


def write_json(document: Mapping[str, Any]) -> bytes:
    """Write JSON in the one way in which it is hashed: nothing between, and no character escaped.

    Raises:
        ValueError: a text in it is no Unicode.
    """
    try:
        return orjson.dumps(document)
    except TypeError:
        # It knows no number beyond 64 bits and no half of a character; the text is the same.
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def parse_json(text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON; a number of more than 64 bits is but an estimate.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # It takes less than the standard library does, which also says better what is wrong.
        return json.loads(text)


def hash_of(body: bytes) -> str:
    """Hash an entry's bytes, as hexadecimal SHA-256."""
    return hashlib.sha256(body).hexdigest()


def read_entry(body: bytes, *, subject: str, seq: int, again: bool = False) -> Entry:
    """Read an entry of any version ever written.

    Raises:
        UnknownTypeError: an event in it has a type that no contract has.
        UnknownVersionError: an event in it has a version that no upcaster leads from.
        pydantic.ValidationError: an event in it does not fit its contract.
    """
    return entry_of(json.loads(body), subject=subject, seq=seq, hash=hash_of(body), again=again)


def entry_of(
    document: Mapping[str, Any],
    *,
    subject: str,
    seq: int,
    hash: str,  # noqa: A002 - the field's name
    again: bool = False,
) -> Entry:
    """As `read_entry`, for bytes that are parsed and hashed already."""
    events = tuple(
        cast("Event", decode_data(e["type"], e["version"], e["data"])) for e in document["events"]
    )
    at = datetime.fromisoformat(document["at"])
    return Entry(
        events=events,
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        actor=document["actor"],
        cause=document["cause"],
        correlation=document["correlation"],
        number=document["number"],
        prev_hash=document["prev_hash"],
        effects=document.get("effects", {}),
        traceparent=document.get("traceparent"),
        subject=subject,
        seq=seq,
        hash=hash,
        again=again,
    )


def verify_chain(bodies: Iterable[bytes]) -> int:
    """Check that these bytes are one unbroken log, oldest first, and count its entries.

    Raises:
        BrokenChainError: an entry was edited, dropped, inserted or moved.
    """
    return sum(1 for _ in _linked(bodies, parse_json))


def read_chain(bodies: Iterable[bytes]) -> Iterator[tuple[dict[str, Any], str]]:
    """Give the document and the hash of each entry of one unbroken log, oldest first.

    Raises:
        BrokenChainError: an entry was edited, dropped, inserted or moved.
    """
    return _linked(bodies, json.loads)


def _linked(
    bodies: Iterable[bytes], parse: Callable[[bytes], Any]
) -> Iterator[tuple[dict[str, Any], str]]:
    expected = GENESIS
    for count, body in enumerate(bodies, start=1):
        try:
            document = parse(body)
            number, prev_hash = document["number"], document["prev_hash"]
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenChainError(f"entry {count} cannot be read: {error}") from error
        if number != count:
            raise BrokenChainError(f"entry {count} says that it is number {number}")
        if prev_hash != expected:
            raise BrokenChainError(f"entry {count} does not follow the entry before it")
        expected = hash_of(body)
        yield document, expected
