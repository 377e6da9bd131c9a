"""What can be read at one place of a definition, and whether it has the shape that is wanted.

Answers of signals and of other sagas have shapes too. Only shapes are compared: that a barcode is
longer than a limit is for the participant to refuse.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sagas.engine.conditions import Condition, Exceeds, Exists, IsIn, Joined
from sagas.engine.definition import Definition, Step
from sagas.engine.fields import answer_fields, entry_type, fits, members_of, plain, type_at
from sagas.engine.mapping import Const, Fill, FirstOf, Group, Origin, Ref, Text, references

SCALAR: Final = str | int | float | bool | UUID | Decimal | date | datetime
"""What fits into a sentence, and what a saga can be found by."""
Misfit = tuple[str, str]
"""What is wrong, and what to do."""


class _Senders(BaseModel):
    """What a signal's step answers besides the signal's own data."""

    by: list[str]


class UnreadableError(ValueError):
    """Nothing can be read where a reference points; both parts are for people."""

    def __init__(self, problem: str, remedy: str) -> None:
        """Say what is wrong and what to do."""
        super().__init__(problem)
        self.misfit: Misfit = (problem, remedy)


@dataclass(frozen=True, slots=True)
class Reader:
    """What can be read at one place of a definition."""

    definition: Definition
    available: Mapping[str, Step]
    """The steps that answered by then, or were skipped."""
    at_once: frozenset[str] = frozenset()
    """Steps that are asked at the same time."""
    when: Condition | None = None
    """What surely holds there."""

    def misfits(self, fill: Fill, target: Any) -> Iterator[Misfit]:  # noqa: ANN401 - a type
        """Say why what a fill gives does not have the shape of the target."""
        match fill:
            case Const():
                yield from _constant_misfits(fill.value, target)
            case Group():
                yield from self._group_misfits(fill, target)
            case Text():
                yield from self._text_misfits(fill)
            case FirstOf():
                for one in fill.fills:
                    yield from self.misfits(one, target)
            case Ref():
                yield from self._ref_misfits(fill, target)

    def type_of(self, ref: Ref) -> Any:  # noqa: ANN401 - a type
        """Give the type of what a reference reads.

        Raises:
            UnreadableError: there is nothing to read.
        """
        read = name_of(ref)
        if ref.origin is Origin.SAGA:
            return UUID
        if ref.origin is Origin.START:
            return _type_at(self.definition.starts_with.model_fields, ref.path, read)
        if ref.step not in self.available:
            remedy = f"Read from: {', '.join(['start', *self.available])}."
            raise UnreadableError(f"it reads {read}, and {self._why_not(ref.step)}", remedy)
        return _answer_at(self.available[ref.step], ref.path, read)

    def may_be_missing(self, fill: Fill) -> str | None:
        """Name what a fill reads that may not be there although all went well, if anything is."""
        match fill:
            case FirstOf():
                missing = [self.may_be_missing(one) for one in fill.fills]
                return None if None in missing else missing[-1]
            case Group() | Const():
                return None
            case _:
                return next(filter(None, map(self._skippable, references(fill))), None)

    def _skippable(self, ref: Ref) -> str | None:
        step = self.available.get(ref.step) if ref.origin is Origin.STEP else None
        if step is None or _assures(self.when, step):
            return None
        if step.optional or step.when is not None:
            return step.name
        inner = step.saga.by_name.get(ref.path[1]) if step.saga and len(ref.path) > 1 else None
        if inner is not None and (inner.optional or inner.when is not None):
            return f"{step.name}.steps.{inner.name}"
        return None

    def _why_not(self, name: str) -> str:
        if name in self.at_once:
            return "that step is asked at the same time."
        known = name in self.definition.by_name
        return "that step comes later." if known else "there is no such step."

    def _ref_misfits(self, ref: Ref, target: Any) -> Iterator[Misfit]:  # noqa: ANN401 - a type
        if ref.origin is Origin.SAGA:
            return
        try:
            source = self.type_of(ref)
        except UnreadableError as error:
            yield error.misfit
            return
        if not fits(source, target):
            types = f"may be {show(source)} where {show(target)} is wanted."
            yield f"it reads {name_of(ref)}, which {types}", "Name another source for it."

    def _text_misfits(self, sentence: Text) -> Iterator[Misfit]:
        if sentence.blanks != len(sentence.refs):
            counts = f"{sentence.blanks} blank(s) and {len(sentence.refs)} reference(s)."
            yield f"the text has {counts}", "Give one reference for every {}."
        for ref in sentence.refs:
            yield from self._ref_misfits(ref, SCALAR)

    def _group_misfits(self, group: Group, target: Any) -> Iterator[Misfit]:  # noqa: ANN401 - a type
        wanted = members_of(target)
        for name, member in group.members:
            if wanted and name not in wanted:
                yield f"it has no member {name!r}.", f"There is: {', '.join(wanted)}."
                continue
            yield from self.misfits(
                member, wanted[name].annotation if wanted else entry_type(target)
            )
            yield from self.missing(member)
        given = {name for name, _ in group.members}
        for name in sorted(wanted.keys() - given):
            if wanted[name].is_required():
                yield f"its member {name!r} is not filled.", "Say where it comes from."

    def missing(self, fill: Fill) -> Iterator[Misfit]:
        """Say why something that is needed may not be there."""
        name = self.may_be_missing(fill)
        if name is None:
            return
        skipped = self.available.get(name)
        why = "optional" if skipped is not None and skipped.optional else "not always needed"
        yield (
            f"it reads the answer of {name}, and that step is {why} and may have none.",
            "Give this step the same `when`, or read `first_of(...)` with what there is else.",
        )


def reader_of(definition: Definition, number: int, *, undo: bool = False) -> Reader:
    """Give what the step of that number can read; its undo may read its own answer too."""
    step = definition.steps[number]
    stages = definition.stages
    stage = next((n for n, steps in enumerate(stages) if step in steps), len(stages))
    earlier = [one for steps in stages[:stage] for one in steps]
    at_once = {one.name for steps in stages[stage : stage + 1] for one in steps} - {step.name}
    available = {one.name: one for one in ([*earlier, step] if undo else earlier)}
    when = Joined((step.when, Exists(Ref(Origin.STEP, step.name)))) if undo and step.when else None
    return Reader(definition, available, frozenset(at_once), when or step.when)


# Types


def _answer_at(step: Step, path: tuple[str, ...], read: str) -> Any:  # noqa: ANN401 - a type
    if step.saga is not None:
        return _child_at(step.saga, path, read)
    if step.awaited is not None:
        fields = {**step.awaited.data.model_fields, **_Senders.model_fields}
        return _type_at(fields, path, read)
    return _type_at(answer_fields(step.ask) if step.ask is not None else {}, path, read)


def _child_at(saga: Definition, path: tuple[str, ...], read: str) -> Any:  # noqa: ANN401 - a type
    match path:
        case ("transaction_id",):
            return UUID
        case ("steps",):
            return dict[str, Any]
        case ("steps", name, *rest):
            if name not in saga.by_name:
                raise _no_field(read, name, saga.by_name)
            step = saga.by_name[name]
            return _answer_at(step, tuple(rest), read) if rest else dict[str, Any]
        case _:
            raise _no_field(read, path[0], ("transaction_id", "steps"))


def _type_at(fields: Mapping[str, FieldInfo], path: tuple[str, ...], read: str) -> Any:  # noqa: ANN401 - a type
    try:
        return type_at(fields, path)
    except KeyError as missing:
        raise _no_field(read, str(missing.args[0]), fields) from None


def _no_field(read: str, name: str, there: Iterable[str]) -> UnreadableError:
    problem = f"it reads {read}, and there is no field {name!r}."
    return UnreadableError(problem, f"There is: {', '.join(there) or 'nothing'}.")


def _constant_misfits(value: object, target: Any) -> Iterator[Misfit]:  # noqa: ANN401 - a type
    try:
        TypeAdapter(target).validate_json(json.dumps(value))
    except ValidationError as error:
        found = error.errors()[0]
        yield (
            f"{value!r} does not fit, where {show(target)} is wanted: {found['msg']}.",
            "Give a value that fits; a reference within a list is not read.",
        )


def _assures(when: Condition | None, step: Step) -> bool:
    """Say whether a step surely answered wherever the condition holds."""
    if when is None:
        return False
    if when == step.when and not step.optional:
        return True
    match when:
        case Joined(conditions, enough):
            each = (_assures(one, step) for one in conditions)
            return bool(conditions) and (all(each) if enough else any(each))
        case IsIn(ref) | Exists(ref) | Exceeds(ref):
            return ref.origin is Origin.STEP and ref.step == step.name
        case _:
            return False


def name_of(ref: Ref) -> str:
    """Write a reference for people."""
    return ".".join((ref.step or ref.origin, *ref.path))


def show(annotation: Any) -> str:  # noqa: ANN401 - a type
    """Write a type for people."""
    annotation = plain(annotation)
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
