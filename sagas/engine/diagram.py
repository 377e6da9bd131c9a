"""A definition, or one saga's way through it, as the text of a Mermaid flowchart or as SVG."""

from collections.abc import Iterator, Sequence
from typing import Final

from contracts.transaction import TransactionStatus
from sagas.engine.definition import Definition, Step, StepKind
from sagas.engine.drawing import (
    BY_KIND,
    BY_STATUS,
    MEANINGS,
    UNDO,
    remark_of,
    subject_of,
    times_of,
    title_of,
    undo_of,
)
from sagas.engine.state import SagaState
from sagas.engine.svg import svg_definition, svg_saga

__all__ = ["draw_definition", "draw_saga", "svg_definition", "svg_saga"]

_SHAPES: Final = {
    StepKind.QUERY: ("[/", "/]"),
    StepKind.COMPENSATABLE: ("[", "]"),
    StepKind.PIVOT: ("{{", "}}"),
    StepKind.RETRIABLE: ("([", "])"),
}
_CHILD: Final = ("[[", "]]")
_AWAITED: Final = (">", "]")


def draw_definition(definition: Definition) -> str:
    """Draw the table: the way forward in full lines, undos in dotted ones, and what shapes mean."""
    lines = [*_flowchart(definition, None), *_legend(definition)]
    lines += [f"    classDef {kind} {colours.to_mermaid()}" for kind, colours in BY_KIND.items()]
    lines += [f"    class step_{step.name} {step.kind}" for step in definition.steps]
    lines += [f"    class legend_{kind} {kind}" for kind in _kinds(definition)]
    return "\n".join([*lines, *_undo_classes(definition)]) + "\n"


def draw_saga(definition: Definition, state: SagaState) -> str:
    """Draw where one saga stands: every step coloured by its status, with its times."""
    lines = list(_flowchart(definition, state))
    lines += [
        f"    classDef {status} {colours.to_mermaid()}" for status, colours in BY_STATUS.items()
    ]
    lines += [
        f"    class step_{step.name} {state.steps[step.name].status}" for step in definition.steps
    ]
    if state.status is not TransactionStatus.RUNNING:
        lines.append(f"    status[{_quoted(state.status)}]")
    return "\n".join([*lines, *_undo_classes(definition)]) + "\n"


def _flowchart(definition: Definition, state: SagaState | None) -> Iterator[str]:
    yield f"---\ntitle: {title_of(definition)}\n---"
    yield "flowchart LR"
    yield f"    start(({_quoted(definition.starts_with.contract.type)}))"
    before = "start"
    for number, stage in enumerate(definition.stages):
        yield from _stage(number, stage, state)
        yield from (f"    {before} --{_condition(step)} step_{step.name}" for step in stage)
        before = f"joined_{number}" if len(stage) > 1 else f"step_{next(iter(stage)).name}"
    yield '    completed(("completed"))'
    yield f"    {before} --> completed"
    for step in definition.steps:
        undone = undo_of(step)
        if undone is not None:
            yield f"    step_{step.name} -.-> undo_{step.name}[{_quoted(undone)}]"


def _stage(number: int, stage: Sequence[Step], state: SagaState | None) -> Iterator[str]:
    if len(stage) == 1:
        yield from (_node(step, state) for step in stage)
        return
    yield f'    subgraph group_{number} ["at once"]'
    yield from (f"    {_node(step, state)}" for step in stage)
    yield "    end"
    yield f'    joined_{number}((" "))'
    yield from (f"    step_{step.name} --> joined_{number}" for step in stage)


def _node(step: Step, state: SagaState | None) -> str:
    opening, closing = _SHAPES[step.kind]
    if step.saga is not None:
        opening, closing = _CHILD
    elif step.awaited is not None:
        opening, closing = _AWAITED
    words = [step.name, subject_of(step), remark_of(step)]
    if state is not None:
        stands = state.steps[step.name]
        words += [f"{stands.status} {times_of(stands)}".strip()]
    label = "<br/>".join(map(_escaped, words))
    return f'    step_{step.name}{opening}"{label}"{closing}'


def _condition(step: Step) -> str:
    return ">" if step.when is None else f">|{_quoted(f'when {step.when}')}|"


def _legend(definition: Definition) -> Iterator[str]:
    yield '    subgraph legend ["legend"]'
    for kind in _kinds(definition):
        opening, closing = _SHAPES[kind]
        yield f"        legend_{kind}{opening}{_quoted(MEANINGS[kind])}{closing}"
    yield '        legend_done["step"] -.-> legend_undo["what undoes it"]'
    yield "    end"


def _undo_classes(definition: Definition) -> Iterator[str]:
    undone = [f"undo_{step.name}" for step in definition.steps if step.undo is not None]
    if undone:
        yield f"    classDef undo {UNDO.to_mermaid()}"
        yield f"    class {','.join(undone)} undo"


def _kinds(definition: Definition) -> list[StepKind]:
    return [kind for kind in StepKind if any(step.kind is kind for step in definition.steps)]


def _quoted(words: str) -> str:
    return f'"{_escaped(words)}"'


def _escaped(words: str) -> str:
    # Mermaid writes entities with `#`; what looks like markup would be taken as such.
    for sign, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        words = words.replace(sign, entity)
    return words
