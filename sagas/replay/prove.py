"""Whether a saga would stand where it stands under another version of its definition.

Every entry is decided anew under the other version. What it asked, armed and told must be the same;
only the list of steps may differ, since steps that did not come yet are what versions differ in.
"""

from collections.abc import Iterable

from contracts.entry import Entry
from contracts.message import Event
from contracts.saga_events import SagaMigrated, SagaStarted
from sagas.engine.decision import Transition
from sagas.engine.definition import Definition
from sagas.engine.record import read_commands, read_replies, read_timers
from sagas.replay.difference import Divergence, wordless
from sagas.replay.replay import walk


def first_difference(entries: Iterable[Entry], definition: Definition) -> Divergence | None:
    """Give the first transition that the other version decides otherwise; None where none does."""

    def always(saga_type: str, version: int) -> Definition:
        del saga_type, version
        return definition

    found = (one for one in walk(entries, always, same=_is_alike) if one is not None)
    return next(found, None)


def _is_alike(entry: Entry, produced: Transition) -> bool:
    return (
        read_commands(entry.effects) == produced.commands
        and read_timers(entry.effects) == produced.timers
        and read_replies(entry.effects) == produced.replies
        and wordless(_without_lists(entry.events)) == wordless(_without_lists(produced.events))
    )


def _without_lists(events: Iterable[Event]) -> Iterable[Event]:
    for event in events:
        if isinstance(event, SagaStarted | SagaMigrated):
            yield event.model_copy(update={"steps": []})
        else:
            yield event
