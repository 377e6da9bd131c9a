"""What can be wrong with a definition, said so that whoever wrote it can mend it.

Which faults there are is found in `validate.py` and its companions; nothing is looked for here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sagas.engine.definition import Definition, Place, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that cannot work."""

    place: Place
    """Where it is written."""
    step: str
    """The step at fault; empty where it is the saga itself."""
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"step {self.step}: " if self.step else ""
        return f"{self.place.file}:{self.place.line}: {where}{self.problem} {self.remedy}"


class InvalidDefinitionError(ValueError):
    """A definition cannot work; the text names every fault."""

    def __init__(self, definition: Definition, faults: Sequence[Fault]) -> None:
        """Name the definition and list its faults."""
        name = f"{definition.saga_type} version {definition.version}"
        place = f"{definition.place.file}:{definition.place.line}"
        listed = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"saga {name} ({place}) cannot work:{listed}")
        self.faults = tuple(faults)


def of_step(step: Step, problem: str, remedy: str) -> Fault:
    """Report a fault of one step."""
    return Fault(place=step.place, step=step.name, problem=problem, remedy=remedy)


def of_saga(definition: Definition, problem: str, remedy: str) -> Fault:
    """Report a fault of the saga as a whole."""
    return Fault(place=definition.place, step="", problem=problem, remedy=remedy)
