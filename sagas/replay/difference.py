"""How a transition that came out otherwise differs from the recorded one, and where that stands.

It describes a difference that was found; whether histories differ is for `replay.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, cast

from contracts.entry import Entry
from contracts.message import Event
from sagas.engine.decision import Ignored, Transition
from sagas.engine.definition import Definition
from sagas.engine.record import to_entry_parts
from sagas.engine.state import SagaState, describe_state, evolve

Json = dict[str, Any]

WORDS: Final = frozenset({"title", "detail"})
"""Keys of events whose values are for people: rewording them is no change of behaviour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """The first transition of a history that today's definition decides otherwise."""

    saga: str
    seq: int
    expected: Json
    """What is recorded: `{"events": [...], "commands": [...], "timers": [...]}`."""
    produced: Json
    """What comes out today; `{"ignored": ...}` where nothing does."""
    state_diff: list[Json]
    """`{"path", "expected", "produced"}` for every value of the states that differs."""
    file: str
    """Where the step that differs is defined."""
    line: int

    def to_json(self) -> Json:
        """Write it as JSON."""
        return {
            "saga": self.saga,
            "seq": self.seq,
            "expected": self.expected,
            "produced": self.produced,
            "state_diff": self.state_diff,
            "definition": {"file": self.file, "line": self.line},
        }


def difference(
    definition: Definition,
    before: SagaState | None,
    entry: Entry,
    produced: Transition | Ignored,
) -> Divergence:
    """Describe the first transition that came out otherwise; `before` is the state it met."""
    expected = _describe(entry.events, entry.effects)
    recorded_state = before
    for event in entry.events:
        recorded_state = evolve(recorded_state, event, entry)
    if isinstance(produced, Ignored):
        outcome, after = {"ignored": f"{produced.why}: {produced.detail}"}, before
    else:
        outcome, after = _describe(*to_entry_parts(produced)), produced.state
    suspects = (definition.by_name.get(name) for name in _suspects(expected, outcome))
    place = next((step.place for step in suspects if step is not None), definition.place)
    return Divergence(
        saga="" if recorded_state is None else str(recorded_state.saga_id),
        seq=entry.seq,
        expected=expected,
        produced=outcome,
        state_diff=_diff(describe_state(recorded_state), describe_state(after)),
        file=place.file,
        line=place.line,
    )


def wordless(events: Iterable[Event]) -> list[object]:
    """Give events as JSON without the words that are for people."""
    return [_without_words(_describe_event(event)) for event in events]


def _describe(events: Iterable[Event], effects: Mapping[str, Any]) -> Json:
    return {
        "events": [_describe_event(event) for event in events],
        "commands": list(effects.get("commands", ())),
        "timers": list(effects.get("timers", ())),
    }


def _describe_event(event: Event) -> Json:
    return {"type": event.contract.type, "data": event.model_dump(mode="json")}


def _without_words(value: object) -> object:
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return {k: _without_words(v) for k, v in members.items() if k not in WORDS}
    if isinstance(value, list):
        return [_without_words(one) for one in cast("list[object]", value)]
    return value


def _suspects(expected: Json, produced: Json) -> Iterator[str]:
    """Name the steps of the first parts that differ; what is new today comes first."""
    for part in ("events", "commands", "timers"):
        recorded: list[Json] = expected[part]
        today: list[Json] = produced.get(part, [])
        nothing: Json = {}
        for one, other in zip_longest(recorded, today, fillvalue=nothing):
            if _without_words(one) != _without_words(other):
                yield from _steps_of(other)
                yield from _steps_of(one)


def _steps_of(part: Json) -> Iterator[str]:
    for name in (part.get("data", {}).get("step"), part.get("step")):
        if name is not None:
            yield name
    if "due_at" in part:
        yield part["name"].rpartition(".")[0]


def _diff(expected: object, produced: object, path: str = "") -> list[Json]:
    if isinstance(expected, dict) and isinstance(produced, dict):
        one, other = cast("Json", expected), cast("Json", produced)
        return [
            found
            for name in sorted(one.keys() | other.keys())
            for found in _diff(one.get(name), other.get(name), f"{path}.{name}" if path else name)
        ]
    if expected == produced:
        return []
    return [{"path": path, "expected": expected, "produced": produced}]
