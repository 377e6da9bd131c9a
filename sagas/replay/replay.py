"""Whether today's definitions would still decide as recorded histories say they did.

Every entry tells what it was decided on. Replay hands that to the machine again and compares what
comes out with what is recorded; the first difference of a history is reported, and the rest of that
history is left, since it follows from another state. Words for people (`title`, `detail`) are not
compared: rewording is no change of behaviour. Nothing is sent, stored or measured here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from contracts.entry import Entry, entry_of, read_chain
from sagas.definitions import find
from sagas.engine.decision import Ignored, Transition
from sagas.engine.record import UnreadableInputError, read_commands, read_replies, read_timers
from sagas.replay.confirm import confirmed
from sagas.replay.course import Course, Find
from sagas.replay.difference import Divergence, difference, wordless

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreplayable:
    """A history that could not be replayed to its end."""

    saga: str
    problem: str


@dataclass(slots=True)
class Report:
    """What a replay found."""

    histories: int = 0
    transitions: int = 0
    """Replayed, diverging ones included."""
    diverged: list[Divergence] = field(default_factory=list[Divergence])
    unreplayable: list[Unreplayable] = field(default_factory=list[Unreplayable])
    """Histories whose chain is broken or that today's code cannot read."""

    @property
    def ok(self) -> bool:
        """Whether every history came out as recorded."""
        return not self.diverged and not self.unreplayable

    def to_json(self, *, elapsed_seconds: float | None = None) -> Json:
        """Write it as JSON; `per_second` counts histories and needs the caller's measurement."""
        return {
            "histories": self.histories,
            "transitions": self.transitions,
            "diverged": [one.to_json() for one in self.diverged],
            "unreplayable": [
                {"saga": one.saga, "problem": one.problem} for one in self.unreplayable
            ],
            "per_second": self.histories / elapsed_seconds if elapsed_seconds else None,
        }


def replay(histories: Iterable[Mapping[str, Any]], *, find: Find = find) -> Report:
    """Replay exported histories: `{"transaction_id": ..., "entries": [{"seq", "body"}, ...]}`.

    `body` is an entry exactly as it was appended, as text: the hash chain is over these bytes.
    """
    report = Report()
    for history in histories:
        report.histories += 1
        turns = confirmed(history, find)
        if turns is not None:
            report.transitions += turns
            continue
        saga = str(history.get("transaction_id", ""))
        try:
            _replay_one(read_history(history), find, report)
        except KeyError as error:
            problem = f"a part of the export is missing: {error}"
            report.unreplayable.append(Unreplayable(saga=saga, problem=problem))
        except (TypeError, ValueError) as error:
            # What damaged, foreign or newer JSON raises; every error of contracts is a ValueError.
            report.unreplayable.append(Unreplayable(saga=saga, problem=str(error)))
    return report


def read_history(history: Mapping[str, Any]) -> list[Entry]:
    """Read the entries of an exported history, its chain checked.

    Raises:
        KeyError: a part is missing.
        TypeError: a part is of another kind.
        ValueError: the chain is broken, or an entry is foreign, damaged or newer.
    """
    recorded = cast("list[Mapping[str, Any]]", history["entries"])
    bodies = [str(one["body"]).encode() for one in recorded]
    chain = list(read_chain(bodies))
    if not chain:
        raise UnreadableInputError("the history has no entries: export it again")
    return [
        entry_of(document, subject="", seq=one["seq"], hash=digest)
        for (document, digest), one in zip(chain, recorded, strict=True)
    ]


def _replay_one(entries: Sequence[Entry], find: Find, report: Report) -> None:
    for divergence in walk(entries, find):
        report.transitions += 1
        if divergence is not None:
            report.diverged.append(divergence)


def walk(
    entries: Iterable[Entry], find: Find, *, same: "Same | None" = None
) -> Iterator[Divergence | None]:
    """Decide anew on what each entry was decided on; None where it comes out as recorded.

    The first difference is the last thing told: what follows it follows from another state.
    """
    course = Course(find)
    for entry in entries:
        before = course.state
        produced = course.decide_again(entry)
        if isinstance(produced, Ignored) or not (same or is_same)(entry, produced):
            yield difference(course.definition, before, entry, produced)
            return
        yield None


Same = Callable[[Entry, Transition], bool]


def is_same(entry: Entry, produced: Transition) -> bool:
    """Say whether a transition came out as recorded, words for people apart."""
    return (
        read_commands(entry.effects) == produced.commands
        and read_timers(entry.effects) == produced.timers
        and read_replies(entry.effects) == produced.replies
        and (entry.events == produced.events or wordless(entry.events) == wordless(produced.events))
    )
