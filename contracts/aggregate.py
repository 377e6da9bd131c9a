"""What an aggregate is: a name, a state, and a pure fold over the entries of its log.

Nothing is loaded here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from uuid import UUID

from contracts import subjects
from contracts.entry import GENESIS, Entry
from contracts.errors import Refusal
from contracts.message import Event

StateT = TypeVar("StateT")
"""Anything that pydantic can write and read: a model, a dataclass, a named tuple."""

Decision = Sequence[Event] | Refusal
Decide = Callable[[StateT | None], Decision]

CAUSES_MAX = 32
"""Commands remembered per loaded aggregate; older ones are looked up in its log."""


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[StateT]):
    """One kind of aggregate."""

    service: str
    name: str
    state: type[StateT]
    evolve: Callable[[StateT | None, Event, Entry], StateT | None]
    """State before (None: there is none), event, the entry that holds it -> state after; pure."""
    meaning: int = 1
    """Raised whenever `evolve` comes to read old events otherwise: older snapshots are not used."""

    def subject(self, key: UUID | str) -> str:
        """Give the subject of one aggregate's log."""
        return subjects.log_of(self.service, self.name, key)

    def key_of(self, subject: str) -> str | None:
        """Give the key that a log subject names; None where it is another kind's."""
        prefix = subjects.log_of(self.service, self.name, "")
        return subjects.key_in(subject[len(prefix) :]) if subject.startswith(prefix) else None


@dataclass(frozen=True, slots=True)
class Loaded(Generic[StateT]):
    """An aggregate as its log has it."""

    key: str
    state: StateT | None
    seq: int = 0
    """Stream sequence of its newest entry; 0 where it has none."""
    number: int = 0
    hash: str = GENESIS
    causes: tuple[str, ...] = ()
    """The newest causes, at most `CAUSES_MAX`."""
    seqs: tuple[int, ...] = ()
    """Where the newest entries lie: the last one has the last cause, and so on."""

    def seq_of(self, cause: str) -> int | None:
        """Give the sequence of the newest entry of a cause; None where it is not remembered."""
        for seq, known in zip(reversed(self.seqs), reversed(self.causes), strict=False):
            if known == cause:
                return seq
        return None


def fold(kind: Aggregate[StateT], loaded: Loaded[StateT], entry: Entry) -> Loaded[StateT]:
    """Apply one more entry."""
    state = loaded.state
    for event in entry.events:
        state = kind.evolve(state, event, entry)
    return replace(
        loaded,
        state=state,
        seq=entry.seq,
        number=entry.number,
        hash=entry.hash,
        causes=(*loaded.causes[-(CAUSES_MAX - 1) :], entry.cause),
        seqs=(*loaded.seqs[-(CAUSES_MAX - 1) :], entry.seq),
    )
