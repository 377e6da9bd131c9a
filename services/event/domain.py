"""What stands in the timeline, and where: pure folds of messages into entries.

There is no aggregate here: what happened is decided by its owner, or by nobody.
"""

import json
from datetime import datetime, timedelta
from typing import Any, cast

from contracts.catalog import LAB_EVENTS
from contracts.envelope import Envelope
from contracts.event import TimelineEntry, UnknownLabEvent
from contracts.message import LabEvent

CLOCK_TRUST = timedelta(days=7)
"""How much earlier than it arrived a fact may say that it happened and be listed there."""
FAMILIES_MAX = 8
"""Dots of a type, from the left, at which a list may ask for all that begins so."""
TEXT_MAX = 1_000
"""Characters shown of a body that is no JSON."""


def lab_event(type_: str) -> type[LabEvent] | UnknownLabEvent:
    """Find the contract of a raw fact."""
    found = LAB_EVENTS.get(type_)
    return found or UnknownLabEvent(type=type_, known=", ".join(sorted(LAB_EVENTS)))


def entry_of(stream: str, seq: int, envelope: Envelope) -> TimelineEntry:
    """Show a message as the timeline does."""
    trace = (envelope.traceparent or "").split("-")
    return TimelineEntry(
        stream=stream,
        seq=seq,
        id=_plain(envelope.id),
        type=_plain(envelope.type),
        time=envelope.time,
        source=_plain(envelope.source),
        subject=None if envelope.subject is None else _plain(envelope.subject),
        actor=_plain(envelope.actor)[:128] or "unknown",
        correlation=_plain(envelope.correlation),
        trace_id=trace[1] if len(trace) > 1 else None,
        data=_data(envelope.data),
    )


def order_us(happened: datetime, arrived: datetime) -> int:
    """Say where in the timeline something stands, in microseconds since 1970.

    That is when it happened, as its source says, unless the source's clock is beyond belief: what
    has not happened yet stands where it arrived, and what is too long ago not further back than
    `CLOCK_TRUST`.
    """
    believed = min(max(happened, arrived - CLOCK_TRUST), arrived)
    return int(believed.timestamp() * 1_000_000)


def microseconds(time: datetime) -> int:
    """Write a time as `order_us` does."""
    return int(time.timestamp() * 1_000_000)


def families(type_: str) -> list[str]:
    """List every beginning of a type that ends with a dot: `a.b.c` is of `a.` and `a.b.`."""
    parts = type_.split(".")[:-1]
    return [".".join(parts[: n + 1]) + "." for n in range(min(len(parts), FAMILIES_MAX))]


def _data(body: bytes) -> dict[str, Any]:
    # Instruments put what they like on the bench's stream: it is shown as well as it can be.
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return {"text": body.decode(errors="replace")[:TEXT_MAX]}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"value": value}


def _plain(text: str) -> str:
    """Replace what no UTF-8 can hold: half of a surrogate pair, which JSON can smuggle in."""
    return text.encode(errors="replace").decode()
