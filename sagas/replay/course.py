"""One recorded saga, decided anew entry by entry.

What came out is compared with what is recorded elsewhere.
"""

from collections.abc import Callable

from sagas.engine.decision import Ignored, Transition
from sagas.engine.definition import Definition
from sagas.engine.machine import decide
from sagas.engine.record import Recorded, read_input
from sagas.engine.state import SagaState

Find = Callable[[str, int], Definition]
"""What gives a version of a definition, by type and version."""


class Course:
    """How a saga would go today, told what it was told."""

    def __init__(self, find: Find) -> None:
        """Begin before the first entry."""
        self._find = find
        self._definition: Definition | None = None
        self.state: SagaState | None = None
        """Where it stands after what was decided anew so far."""

    @property
    def definition(self) -> Definition:
        """What the newest entry was decided under, by the name that is recorded.

        Raises:
            LookupError: nothing was decided yet.
        """
        if self._definition is None:
            raise LookupError("nothing was decided yet")
        return self._definition

    def decide_again(self, entry: Recorded) -> Transition | Ignored:
        """Decide on what the next entry was decided on.

        Raises:
            KeyError: the entry does not name its definition.
            ValueError: there is no such definition, or the entry does not tell its input.
        """
        state, definition = self.state, self._definition
        if state is None:
            named = entry.effects["definition"]
            version, recorded_hash = named["version"], named["hash"]
        else:
            # A saga may have been migrated.
            version, recorded_hash = state.version, state.definition_hash
        if definition is None or (definition.version, definition.hash) != (version, recorded_hash):
            found = self._find(entry.effects["definition"]["type"], version)
            # Under the recorded name, so that only a change of behaviour counts as one.
            self._definition = definition = found.known_as(version, recorded_hash)
        produced = decide(definition, state, read_input(entry))
        if isinstance(produced, Transition):
            self.state = produced.state
        return produced
