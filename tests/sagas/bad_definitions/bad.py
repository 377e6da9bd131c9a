"""What an entry of this corpus is, and the lines that its tables share."""

from dataclasses import dataclass
from functools import partial

from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition
from sagas.engine.writing import saga, seconds, step
from tests.sagas.commands import Begin, Do, Review, Undo


@dataclass(frozen=True, slots=True)
class Bad:
    """A definition that cannot work, and what is said of it."""

    definition: Definition
    fault: str
    """Part of the only fault that is found."""
    marked: str = ""
    """What stands in the line that the fault names; the step's name where nothing is said."""


line = partial(step, within=seconds(60))
"""A line with a deadline."""


def table(*steps: object) -> Definition:
    """Make a definition of these lines."""
    return saga("trial", version=1, starts_with=Begin)(*steps)


REVIEW = line("review", ask=Review, kind=QUERY)
DO = line("do", ask=Do, undo=Undo)
PASS = line("pass_", ask=Do, kind=PIVOT)
AFTER = line("after", ask=Do, kind=RETRIABLE)
