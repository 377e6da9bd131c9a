"""Whether a definition can work: every fault that can be seen without running it, with its remedy.

A fault here would strand a saga half-way, in a laboratory, at night; so a definition with one never
loads. What participants make of their commands is theirs and not looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic.fields import FieldInfo

from contracts.catalog import COMMANDS
from sagas.engine.definition import NO_DEADLINE, CommandType, Definition, Retry, Step, StepKind
from sagas.engine.fields import answer_fields, entry_type, fits, is_required, type_at
from sagas.engine.mapping import (
    Const,
    Fill,
    Group,
    Origin,
    Ref,
    Text,
    references,
)

ATTEMPTS_MAX: Final = 1_000
"""More than this is no bound any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that cannot work."""

    step: str
    """The step at fault; empty where it is the saga itself."""
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"step {self.step}: " if self.step else ""
        return f"{where}{self.problem} {self.remedy}"


class InvalidDefinitionError(ValueError):
    """A definition cannot work; the text names every fault."""

    def __init__(self, definition: Definition, faults: Sequence[Fault]) -> None:
        """Name the definition and list its faults."""
        name = f"{definition.saga_type} version {definition.version}"
        place = f"{definition.place.file}:{definition.place.line}"
        listed = "".join(f"\n  {fault}" for fault in faults)
        super().__init__(f"saga {name} ({place}) cannot work:{listed}")
        self.faults = tuple(faults)


def checked(definition: Definition) -> Definition:
    """Give the definition back if it can work.

    Raises:
        InvalidDefinitionError: it cannot.
    """
    faults = validate(definition)
    if faults:
        raise InvalidDefinitionError(definition, faults)
    return definition


def validate(definition: Definition) -> list[Fault]:
    """Find every fault of a definition, in the order of its steps."""
    faults = list(_saga_faults(definition))
    for number, step in enumerate(definition.steps):
        for rule in _STEP_RULES:
            faults.extend(rule(definition, number, step))
    return faults


def _saga_faults(definition: Definition) -> Iterator[Fault]:
    if not definition.steps:
        yield _fault("", "it has no steps.", "Give it one at least.")
    if not _is_listed(definition.starts_with):
        yield _unlisted("", definition.starts_with)


def _name_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    if any(step.name == other.name for other in definition.steps[:number]):
        yield _fault(step, "another step has this name.", "Give every step a name of its own.")
    if not step.name.isidentifier():
        yield _fault(
            step,
            "the name is part of timers and references.",
            "Use letters, digits and underscores.",
        )


def _command_faults(_definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    for command in (step.ask, step.undo):
        if command is not None and not _is_listed(command):
            yield _unlisted(step, command)


def _order_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    pivoted = any(other.kind is StepKind.PIVOT for other in definition.steps[:number])
    match step.kind:
        case StepKind.COMPENSATABLE if pivoted:
            yield _fault(
                step,
                "it is compensatable and stands after the pivot, where nothing is undone any more.",
                "Move it before the pivot, or make it RETRIABLE without an undo.",
            )
        case StepKind.PIVOT if pivoted:
            yield _fault(
                step,
                "it is the second pivot; there is one point of no return.",
                "Make it RETRIABLE.",
            )
        case StepKind.QUERY if pivoted:
            yield _fault(
                step,
                "it is a query after the pivot, where its refusal could not stop anything.",
                "Move it before the pivot, or make it RETRIABLE.",
            )
        case StepKind.RETRIABLE if not pivoted:
            yield _fault(
                step,
                "it is retriable and stands before the pivot, so it could not be undone.",
                "Move it behind the pivot, or make it COMPENSATABLE with an undo.",
            )
        case _:
            return


def _kind_faults(_definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    if step.kind is StepKind.COMPENSATABLE and step.undo is None:
        yield _fault(
            step,
            "it is compensatable and has no undo.",
            "Name the command that undoes it, or say what it is: QUERY, PIVOT or RETRIABLE.",
        )
    if step.kind is not StepKind.COMPENSATABLE and step.undo is not None:
        yield _fault(
            step,
            f"it is a {step.kind} and has an undo, which would never be asked.",
            "Leave the undo out, or make it COMPENSATABLE.",
        )
    if step.optional and step.kind is not StepKind.RETRIABLE:
        yield _fault(
            step,
            f"it is optional and a {step.kind}; only what follows the pivot can be skipped.",
            "Leave `optional` out, or move it behind the pivot as RETRIABLE.",
        )


def _bound_faults(_definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    if step.within <= NO_DEADLINE:
        yield _fault(
            step,
            "it has no deadline, so a lost answer would hold the saga for ever.",
            "Say `within=seconds(60)`.",
        )
    for name, retry in (("retry", step.retry), ("undo_retry", step.undo_retry)):
        if not _is_bounded(retry):
            yield _fault(
                step,
                f"{name} has {retry.attempts} attempts with pauses from {retry.backoff_seconds} to "
                f"{retry.backoff_seconds_max} s.",
                f"Take 1 to {ATTEMPTS_MAX} attempts, and pauses that are not negative.",
            )


def _ask_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    available = {one.name: one for one in definition.steps[:number]}
    if step.ask is None or step.saga is not None:
        return
    sources = _Sources(definition, available)
    yield from sources.faults(step, step.ask, step.given, step.ask_fills, where="given")


def _undo_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    if step.undo is None or step.saga is not None:
        return
    available = {one.name: one for one in definition.steps[: number + 1]}
    sources = _Sources(definition, available)
    yield from sources.faults(step, step.undo, step.undo_given, step.undo_fills, where="undo_given")
    for name, fill in step.undo_fills.items():
        refs = [fill] if isinstance(fill, Ref) else list(references(fill))
        own = bool(refs) and all(ref.step == step.name for ref in refs)
        if own and is_required(step.undo, name):
            yield _fault(
                step,
                f"its undo needs {name!r}, which only its own answer gives; where nobody answers, "
                "it could not be undone.",
                "Let the undo go by something that is known before, such as `submission_id`.",
            )


_Rule = Callable[[Definition, int, Step], Iterator[Fault]]
_STEP_RULES: Final[tuple[_Rule, ...]] = (
    _name_faults,
    _command_faults,
    _order_faults,
    _kind_faults,
    _bound_faults,
    _ask_faults,
    _undo_faults,
)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What a command can be filled from at one place of a definition."""

    definition: Definition
    available: Mapping[str, Step]

    def faults(
        self,
        step: Step,
        command: CommandType,
        given: Mapping[str, object],
        fills: Mapping[str, Fill],
        *,
        where: str,
    ) -> Iterator[Fault]:
        wanted = command.model_fields
        type_name = command.contract.type if _is_listed(command) else command.__name__
        for name in given.keys() - wanted.keys():
            yield _fault(
                step,
                f"{where} fills {name!r}, and {type_name} has no such field.",
                f"It has: {', '.join(wanted) or 'none'}.",
            )
        for name in wanted:
            if name in fills:
                target = wanted[name].annotation
                for problem, remedy in self._misfits(fills[name], target):
                    yield _fault(step, f"{type_name}.{name}: {problem}", remedy)
            elif is_required(command, name):
                yield _fault(
                    step,
                    f"{type_name} needs {name!r}, which nothing fills: no earlier answer, nor the "
                    "start message, has a field of that name.",
                    f"Say in {where} where it comes from.",
                )

    def _misfits(self, fill: Fill, target: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a type
        match fill:
            case Const():
                return
            case Group():
                for _, member in fill.members:
                    yield from self._misfits(member, entry_type(target))
            case Text():
                if fill.blanks != len(fill.refs):
                    counts = f"{fill.blanks} blank(s) and {len(fill.refs)} reference(s)."
                    yield f"the text has {counts}", "Give one reference for every {}."
                for ref in fill.refs:
                    yield from self._misfits(ref, str | int | float | bool)
            case _:
                for ref in references(fill):
                    yield from self._ref_misfits(ref, target)

    def _ref_misfits(self, ref: Ref, target: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a type
        if ref.origin is Origin.SAGA:
            return
        read = f"{ref.step or 'start'}.{'.'.join(ref.path)}"
        fields = self._fields(ref)
        if isinstance(fields, str):
            yield f"it reads {read}, and {fields}", f"Read from: {', '.join(self._readable())}."
            return
        try:
            source = type_at(fields, ref.path)
        except KeyError as missing:
            remedy = f"There is: {', '.join(fields) or 'nothing'}."
            yield f"it reads {read}, and there is no field {missing}.", remedy
            return
        if not fits(source, target):
            yield (
                f"it reads {read}, which may be {_name(source)} where {_name(target)} is wanted.",
                "Name another source for it.",
            )

    def _fields(self, ref: Ref) -> Mapping[str, FieldInfo] | str:
        """Give what can be read where the reference points, or why nothing can."""
        if ref.origin is Origin.START:
            return self.definition.starts_with.model_fields
        if ref.step not in self.available:
            known = ref.step in self.definition.by_name
            return "that step comes later." if known else "there is no such step."
        step = self.available[ref.step]
        if step.optional:
            return "that step is optional and may have no answer."
        return answer_fields(step.ask) if step.ask is not None else {}

    def _readable(self) -> list[str]:
        return ["start", *(name for name, step in self.available.items() if not step.optional)]


def _fault(step: Step | str, problem: str, remedy: str) -> Fault:
    return Fault(step=step if isinstance(step, str) else step.name, problem=problem, remedy=remedy)


def _unlisted(step: Step | str, command: CommandType) -> Fault:
    return _fault(
        step,
        f"no command of the catalog is {command.__name__}.",
        "Define it in contracts, in a module that contracts/catalog.py lists.",
    )


def _is_listed(command: CommandType) -> bool:
    contract = getattr(command, "contract", None)
    return contract is not None and COMMANDS.get(contract.type) is command


def _is_bounded(retry: Retry) -> bool:
    pauses = (retry.backoff_seconds, retry.backoff_seconds_max)
    return 1 <= retry.attempts <= ATTEMPTS_MAX and all(pause >= 0 for pause in pauses)


def _name(annotation: Any) -> str:  # noqa: ANN401 - a type
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
