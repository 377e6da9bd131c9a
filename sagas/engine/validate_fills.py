"""Whether what fills a saga's commands, conditions and attributes is there, and has their shape."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sagas.engine.conditions import Condition, Exceeds, Exists, IsIn, Joined, Not
from sagas.engine.definition import CommandType, Definition, Step
from sagas.engine.faults import Fault, of_saga, of_step
from sagas.engine.fields import fits, is_required
from sagas.engine.mapping import Fill, Group, Origin, references
from sagas.engine.validate_reading import (
    SCALAR,
    Misfit,
    Reader,
    UnreadableError,
    name_of,
    reader_of,
    show,
)

ATTRIBUTES_MAX: Final = 20
"""As many as a list can be filtered by."""
NUMBER: Final = int | float | Decimal


# Commands


def fill_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    """Find what is wrong with how a step's commands, or its child's start message, are filled."""
    reader = reader_of(definition, number)
    if step.saga is not None:
        message = next((f for n, f in step.ask_fills.items() if n == "message"), Group(()))
        fills = dict(message.members) if isinstance(message, Group) else {}
        yield from _command_faults(reader, step, step.saga.starts_with, fills, where="given")
        return
    if step.ask is not None:
        yield from _command_faults(reader, step, step.ask, step.ask_fills, where="given")
    if step.probe is not None:
        # It shares `given` with what it asks about, and takes what it has fields for.
        yield from _field_faults(reader, step, step.probe, step.probe_fills, where="given")
    if step.undo is not None:
        later = reader_of(definition, number, undo=True)
        yield from _command_faults(later, step, step.undo, step.undo_fills, where="undo_given")
        yield from _own_answer_faults(step, step.undo)


def _command_faults(
    reader: Reader, step: Step, command: CommandType, fills: Mapping[str, Fill], *, where: str
) -> Iterator[Fault]:
    given = step.undo_given if where == "undo_given" else step.given
    wanted = command.model_fields
    for name in sorted(given.keys() - wanted.keys()):
        yield of_step(
            step,
            f"{where} fills {name!r}, and {_type_name(command)} has no such field.",
            f"It has: {', '.join(wanted) or 'none'}.",
        )
    yield from _field_faults(reader, step, command, fills, where=where)


def _field_faults(
    reader: Reader, step: Step, command: CommandType, fills: Mapping[str, Fill], *, where: str
) -> Iterator[Fault]:
    type_name = _type_name(command)
    for name, wanted in command.model_fields.items():
        if name in fills:
            misfits = list(reader.misfits(fills[name], _with_metadata(wanted)))
            if not misfits and is_required(command, name):
                misfits = list(reader.missing(fills[name]))
            for problem, remedy in misfits:
                yield of_step(step, f"{type_name}.{name}: {problem}", remedy)
        elif is_required(command, name):
            yield of_step(
                step,
                f"{type_name} needs {name!r}, which nothing fills: no earlier answer, nor the "
                "start message, has a field of that name.",
                f"Say in {where} where it comes from.",
            )


def _own_answer_faults(step: Step, undo: CommandType) -> Iterator[Fault]:
    for name, fill in step.undo_fills.items():
        refs = list(references(fill))
        own = bool(refs) and all(ref.step == step.name for ref in refs)
        if own and is_required(undo, name):
            yield of_step(
                step,
                f"its undo needs {name!r}, which only its own answer gives; where nobody answers, "
                "it could not be undone.",
                "Let the undo go by something that is known before, such as `submission_id`.",
            )


# Conditions


def condition_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    """Find what is wrong with what a step's `when` compares."""
    if step.when is None:
        return
    reader = reader_of(definition, number)
    for leaf in leaves(step.when):
        (ref,) = leaf.refs()
        try:
            source = reader.type_of(ref)
        except UnreadableError as error:
            problem, remedy = error.misfit
            yield of_step(step, f"when: {problem}", remedy)
            continue
        for problem, remedy in _comparison_misfits(leaf, name_of(ref), source):
            yield of_step(step, f"when: {problem}", remedy)


def leaves(condition: Condition) -> Iterator[IsIn | Exists | Exceeds]:
    """Give every comparison within a condition, in order."""
    match condition:
        case Joined():
            for one in condition.conditions:
                yield from leaves(one)
        case Not():
            yield from leaves(condition.condition)
        case IsIn() | Exists() | Exceeds():
            yield condition
        case _:
            return


def _comparison_misfits(leaf: Condition, read: str, source: Any) -> Iterator[Misfit]:  # noqa: ANN401 - a type
    if isinstance(leaf, IsIn):
        for value in leaf.values:
            if not _may_equal(source, value):
                yield (
                    f"it compares {read} with {value!r}, and that is {show(source)}.",
                    "Compare it with a value that it can have.",
                )
    if isinstance(leaf, Exceeds) and not fits(source, NUMBER | None):
        yield (
            f"it asks whether {read} is above {leaf.bound:g}, and that is {show(source)}.",
            ("Compare a number."),
        )


def _may_equal(source: Any, value: object) -> bool:  # noqa: ANN401 - a type
    """Say whether a value of the type is written like this in JSON."""
    adapter: TypeAdapter[Any] = TypeAdapter(source)
    try:
        read = adapter.validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return bool(adapter.dump_python(read, mode="json") == value)


# Attributes


def attribute_faults(definition: Definition) -> Iterator[Fault]:
    """Find what is wrong with what a saga is to be found by."""
    reader = Reader(definition, {})
    if len(definition.attributes) > ATTRIBUTES_MAX:
        yield of_saga(
            definition,
            f"it has {len(definition.attributes)} attributes, and {ATTRIBUTES_MAX} are allowed.",
            "Keep those that somebody looks for.",
        )
    for name, fill in definition.attributes.items():
        if not (name.isidentifier() and name.islower()):
            yield of_saga(
                definition,
                f"the name of attribute {name!r} is part of addresses.",
                "Use lower-case letters, digits and underscores.",
            )
        for problem, remedy in _attribute_misfits(reader, fill):
            yield of_saga(definition, f"attribute {name}: {problem}", remedy)


def _attribute_misfits(reader: Reader, fill: Fill) -> Iterator[Misfit]:
    if any(ref.origin is Origin.STEP for ref in references(fill)):
        yield "it reads a step's answer, and no step has answered yet.", "Read the start message."
    else:
        yield from reader.misfits(fill, SCALAR | None)


def _with_metadata(field: FieldInfo) -> Any:  # noqa: ANN401 - a type
    if not field.metadata:
        return field.annotation
    return Annotated[(field.annotation, *field.metadata)]


def _type_name(command: CommandType) -> str:
    contract = getattr(command, "contract", None)
    return command.__name__ if contract is None else str(contract.type)
