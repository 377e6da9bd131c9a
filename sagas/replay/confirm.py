"""Whether a history comes out the same to the byte: a quick yes, or no answer at all.

What today's definitions decide is written down as an entry would be, and compared with the text
that is recorded. Where every byte is the same, there is nothing that could differ. Everything else
(a difference, a reworded title, an older version of an event, damage) is left to `replay.py`, which
compares with care and tells what it found; so nothing here can make a difference go unseen.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import orjson
from pydantic import BaseModel

from contracts.catalog import decode_data
from contracts.entry import GENESIS, hash_of
from contracts.message import Event
from sagas.engine.decision import Transition
from sagas.engine.record import effects_of
from sagas.replay.course import Course, Find

Json = dict[str, Any]

DECIDED: Final = frozenset({"definition", "input", "commands", "timers", "replies"})
"""The effects that a transition decides."""


def confirmed(history: Mapping[str, Any], find: Find) -> int | None:
    """Give how many transitions came out the same to the byte; None unless all of them did."""
    try:
        return _confirm(history["entries"], find)
    except (AttributeError, LookupError, TypeError, ValueError):
        # What damaged, foreign or newer JSON raises.
        return None


def _confirm(entries: list[Mapping[str, Any]], find: Find) -> int | None:
    course, head = Course(find), GENESIS
    for number, one in enumerate(entries, 1):
        body: bytes = one["body"].encode()
        entry = _Line(orjson.loads(body))
        if (entry.number, entry.prev_hash) != (number, head) or "seq" not in one:
            return None
        produced = course.decide_again(entry)
        if not isinstance(produced, Transition):
            return None
        if not body.endswith(_written(produced, entry)):
            return None
        head = hash_of(body)
    return len(entries) or None


class _Line:
    """An entry of which only those events are read that somebody asks for."""

    __slots__ = (
        "_events",
        "actor",
        "at",
        "cause",
        "correlation",
        "effects",
        "number",
        "prev_hash",
        "traceparent",
    )

    def __init__(self, document: Json) -> None:
        """Take what was parsed."""
        self.number: int = document["number"]
        self.prev_hash: str = document["prev_hash"]
        at = datetime.fromisoformat(document["at"])
        self.at = at if at.tzinfo else at.replace(tzinfo=UTC)
        self.actor: str = document["actor"]
        self.cause: str = document["cause"]
        self.correlation: str = document["correlation"]
        self.effects: Mapping[str, Any] = document["effects"]
        self.traceparent: str | None = document.get("traceparent")
        self._events: list[Json] = document["events"]

    @property
    def events(self) -> Iterator[Event]:
        """Read one event after the other."""
        for one in self._events:
            yield cast("Event", decode_data(one["type"], one["version"], one["data"]))


def _written(transition: Transition, entry: _Line) -> bytes:
    """Write the end of an entry, from its events on; the beginning was taken from the record."""
    events: list[Json] = []
    for event in transition.events:
        contract = event.contract
        events.append({"type": contract.type, "version": contract.version, "data": event.__dict__})
    effects = effects_of(transition)
    if len(entry.effects) != len(effects):
        # What the machine does not decide stays as it is, such as who had the saga's partition.
        effects |= {name: one for name, one in entry.effects.items() if name not in DECIDED}
    rest: Json = {"effects": effects}
    if entry.traceparent:
        rest["traceparent"] = entry.traceparent
    return b',"events":%b,%b' % (
        orjson.dumps(events, _members, orjson.OPT_UTC_Z),
        orjson.dumps(rest)[1:],
    )


def _members(model: object) -> Json:
    if isinstance(model, BaseModel):
        return dict(model)
    raise TypeError(f"{type(model).__name__} is no part of an event")
