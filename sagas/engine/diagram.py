"""A definition, or one saga's way through it, as the text of a Mermaid flowchart."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from contracts.transaction import StepStatus, TransactionStatus
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.state import SagaState

_COLOURS: Final = {
    StepStatus.WAITING: "fill:#f3f4f6,stroke:#9ca3af,color:#374151",
    StepStatus.ASKED: "fill:#dbeafe,stroke:#2563eb,color:#1e3a8a",
    StepStatus.DONE: "fill:#dcfce7,stroke:#16a34a,color:#14532d",
    StepStatus.REFUSED: "fill:#fee2e2,stroke:#dc2626,color:#7f1d1d",
    StepStatus.UNKNOWN: "fill:#fef3c7,stroke:#d97706,color:#78350f",
    StepStatus.SKIPPED: "fill:#f3f4f6,stroke:#9ca3af,color:#374151,stroke-dasharray:4",
    StepStatus.UNDOING: "fill:#ffedd5,stroke:#ea580c,color:#7c2d12",
    StepStatus.UNDONE: "fill:#e5e7eb,stroke:#4b5563,color:#1f2937",
    StepStatus.STUCK: "fill:#7f1d1d,stroke:#450a0a,color:#ffffff",
}
_SHAPES: Final = {
    StepKind.QUERY: ("[/", "/]"),
    StepKind.COMPENSATABLE: ("[", "]"),
    StepKind.PIVOT: ("{{", "}}"),
    StepKind.RETRIABLE: ("([", "])"),
}


def draw_definition(definition: Definition) -> str:
    """Draw the table: the way forward in full lines, undos in dotted ones."""
    return "\n".join(_flowchart(definition)) + "\n"


def draw_saga(definition: Definition, state: SagaState) -> str:
    """Draw where one saga stands: every step coloured by its status."""
    lines = list(_flowchart(definition))
    lines += [f"    classDef {status} {style}" for status, style in _COLOURS.items()]
    lines += [f"    class {name} {step.status}" for name, step in state.steps.items()]
    if state.status is not TransactionStatus.RUNNING:
        lines.append(f"    status_[{state.status}]")
    return "\n".join(lines) + "\n"


def _flowchart(definition: Definition) -> Iterator[str]:
    yield f"---\ntitle: {definition.saga_type} version {definition.version}\n---"
    yield "flowchart LR"
    yield f"    start_(({definition.starts_with.contract.type}))"
    for step in definition.steps:
        yield _node(step)
    yield "    completed_((completed))"
    names = ["start_", *(step.name for step in definition.steps), "completed_"]
    for earlier, later in pairwise(names):
        yield f"    {earlier} --> {later}"
    for step in definition.steps:
        if step.undo is not None:
            yield f"    {step.name} -.-> {step.name}_undo[{step.undo.contract.type}]"


def _node(step: Step) -> str:
    opening, closing = _SHAPES[step.kind]
    remark = ", optional" if step.optional else ""
    asked = step.ask.contract.type if step.ask is not None else "signal"
    label = f'"{step.name}<br/>{asked}<br/>{step.kind}{remark}"'
    return f"    {step.name}{opening}{label}{closing}"
