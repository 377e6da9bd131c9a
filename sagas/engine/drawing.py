"""What the drawings of a saga have in common: the words in a box, its colour, how time is written.

Nothing is laid out here; `diagram.py` writes Mermaid and `svg.py` draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from contracts.transaction import StepStatus
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.step_state import StepState

MINUTE: Final = 60.0
HOUR: Final = 3_600.0
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Colours:
    """How a box is coloured: dark writing on a light ground."""

    fill: str
    stroke: str
    text: str
    dashed: bool = False

    def to_mermaid(self) -> str:
        """Write them as the style of a Mermaid class."""
        dashes = ",stroke-dasharray:4" if self.dashed else ""
        return f"fill:{self.fill},stroke:{self.stroke},color:{self.text}{dashes}"


BY_STATUS: Final[Mapping[StepStatus, Colours]] = {
    StepStatus.WAITING: Colours("#ffffff", "#94a3b8", "#475569"),
    StepStatus.ASKED: Colours("#dbeafe", "#2563eb", "#1e3a8a"),
    StepStatus.AWAITING: Colours("#ede9fe", "#7c3aed", "#4c1d95"),
    StepStatus.DONE: Colours("#dcfce7", "#16a34a", "#14532d"),
    StepStatus.REFUSED: Colours("#fee2e2", "#dc2626", "#7f1d1d"),
    StepStatus.UNKNOWN: Colours("#fef3c7", "#d97706", "#78350f"),
    StepStatus.SKIPPED: Colours("#ffffff", "#94a3b8", "#475569", dashed=True),
    StepStatus.UNDOING: Colours("#ffedd5", "#ea580c", "#7c2d12"),
    StepStatus.UNDONE: Colours("#e2e8f0", "#475569", "#1e293b"),
    StepStatus.LEFT: Colours("#fce7f3", "#db2777", "#831843", dashed=True),
    StepStatus.STUCK: Colours("#fecaca", "#7f1d1d", "#450a0a"),
}
BY_KIND: Final[Mapping[StepKind, Colours]] = {
    StepKind.QUERY: Colours("#f1f5f9", "#64748b", "#1e293b"),
    StepKind.COMPENSATABLE: Colours("#dbeafe", "#2563eb", "#1e3a8a"),
    StepKind.PIVOT: Colours("#fef3c7", "#d97706", "#78350f"),
    StepKind.RETRIABLE: Colours("#dcfce7", "#16a34a", "#14532d"),
}
UNDO: Final = Colours("#ffffff", "#94a3b8", "#475569", dashed=True)
END: Final = Colours("#ffffff", "#475569", "#1e293b")
MEANINGS: Final[Mapping[StepKind, str]] = {
    StepKind.QUERY: "query: changes nothing",
    StepKind.COMPENSATABLE: "compensatable: has an undo",
    StepKind.PIVOT: "pivot: the point of no return",
    StepKind.RETRIABLE: "retriable: asked until it is done",
}


def title_of(definition: Definition) -> str:
    """Name a definition."""
    return f"{definition.saga_type} version {definition.version}"


def subject_of(step: Step) -> str:
    """Say what a step asks for, awaits or begins."""
    if step.saga is not None:
        return f"saga {title_of(step.saga)}"
    if step.awaited is not None:
        needs = step.awaited.needs
        return f"awaits {step.awaited.signal}" + (f" from {needs} people" if needs > 1 else "")
    return step.ask.contract.type if step.ask is not None else ""


def undo_of(step: Step) -> str | None:
    """Say what undoes a step, where something does."""
    return None if step.undo is None else step.undo.contract.type


def remark_of(step: Step) -> str:
    """Say what kind a step is, and how long one attempt may take."""
    words: list[str] = [step.kind, f"{duration(step.within)}"]
    if step.optional:
        words.append("optional")
    if step.probe is not None:
        words.append("probed")
    return " · ".join(words)


def times_of(stands: StepState) -> str:
    """Say when a step was asked, how long it took and how often it was asked."""
    if stands.asked_at is None:
        return ""
    words = [clock(stands.asked_at)]
    if stands.ended_at is not None:
        words.append(duration(stands.ended_at - stands.asked_at))
    if stands.attempts > 1:
        words.append(f"{stands.attempts} attempts")
    return " · ".join(words)


def clock(at: datetime) -> str:
    """Write a time of the day, in UTC."""
    return f"{at:%H:%M:%S}.{at.microsecond // 1_000:03d}"


def duration(time: timedelta) -> str:
    """Write how long something takes: `5 ms`, `1.2 s`, `30 min`, `2 h`, `7 d`."""
    number = time.total_seconds()
    if number < 1:
        return f"{number * 1_000:.0f} ms"
    for unit, length in (("d", DAY), ("h", HOUR), ("min", MINUTE)):
        if number >= 2 * length or number == length:
            return f"{number / length:.3g} {unit}"
    return f"{number:.3g} s"
