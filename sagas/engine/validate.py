"""Whether a definition can work: every fault that can be seen without running it, with its remedy.

A fault here would strand a saga half-way, in a laboratory, at night; so a definition with one never
loads. What participants make of their commands is theirs and not looked at.

Here stand the rules of the saga as a whole and of what every step says. Those of particular kinds
of steps stand in `validate_steps.py`, what fills their commands in `validate_fills.py`, and whether
every course of the saga comes to an end in `validate_flow.py`.
"""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from contracts.catalog import COMMANDS, REFUSALS
from sagas.engine.definition import NO_DEADLINE, CommandType, Definition, Retry, Step, StepKind
from sagas.engine.faults import Fault, InvalidDefinitionError, of_saga, of_step
from sagas.engine.validate_fills import attribute_faults, condition_faults, fill_faults
from sagas.engine.validate_flow import flow_faults
from sagas.engine.validate_steps import child_faults, repetition_faults, signal_faults

__all__ = ["Fault", "InvalidDefinitionError", "checked", "validate"]

ATTEMPTS_MAX: Final = 1_000
"""More than this is no bound any more."""
STEPS_MAX: Final = 100
"""A saga of more is several, one a child of the other."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""As orders name steps, and subjects types of sagas."""
_SAGAS_OWN: Final = "saga"
"""The slot of the timer of the whole saga: no step may have it."""


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
    """Find every fault of a definition, in the order of its steps.

    Its courses are walked only where nothing else is wrong with it.
    """
    faults = list(_saga_faults(definition))
    for number, step in enumerate(definition.steps):
        for rule in _STEP_RULES:
            faults.extend(rule(definition, number, step))
        if step.saga is not None and not list(child_faults(definition, step)):
            faults.extend(validate(step.saga))
    return faults or list(flow_faults(definition))


# The saga as a whole


def _saga_faults(definition: Definition) -> Iterator[Fault]:
    if not _NAME.fullmatch(definition.saga_type):
        yield of_saga(
            definition,
            f"its type {definition.saga_type!r} is part of subjects.",
            "Use lower-case letters, digits and underscores.",
        )
    if definition.version < 1:
        yield of_saga(definition, f"its version is {definition.version}.", "Versions count from 1.")
    if not _is_listed(definition.starts_with):
        yield of_saga(definition, *_unlisted(definition.starts_with))
    else:
        yield from attribute_faults(definition)
    yield from _size_faults(definition)
    yield from _deadline_faults(definition)


def _size_faults(definition: Definition) -> Iterator[Fault]:
    if not definition.steps:
        yield of_saga(definition, "it has no steps.", "Give it one at least.")
    if len(definition.steps) > STEPS_MAX:
        yield of_saga(
            definition,
            f"it has {len(definition.steps)} steps, and {STEPS_MAX} are allowed.",
            "Move steps that belong together into a saga of their own, as a child.",
        )
    for number in sorted(definition.parallels):
        stage = definition.stages[number]
        if len(stage) > 1:
            continue
        problem = f"stage {number + 1} is parallel and has {len(stage) or 'no'} step(s)."
        remedy = "Name two at least, or write the step without `parallel`."
        yield of_step(stage[0], problem, remedy) if stage else of_saga(definition, problem, remedy)


def _deadline_faults(definition: Definition) -> Iterator[Fault]:
    if definition.within == NO_DEADLINE:
        return
    needed = sum(
        (max((step.within for step in stage), default=NO_DEADLINE) for stage in definition.stages),
        start=timedelta(0),
    )
    if definition.within < needed:
        yield of_saga(
            definition,
            f"it is to be done within {_seconds(definition.within)}, and its steps one after the "
            f"other may take {_seconds(needed)}.",
            f"Say `within=seconds({needed.total_seconds():g})` at least, or give its steps less.",
        )


# Every step


def _name_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    if any(step.name == other.name for other in definition.steps[:number]):
        yield of_step(step, "another step has this name.", "Give every step a name of its own.")
    if not _NAME.fullmatch(step.name):
        yield of_step(
            step,
            "the name is part of timers, references and orders.",
            "Use lower-case letters, digits and underscores.",
        )
    if step.name == _SAGAS_OWN:
        yield of_step(
            step,
            "the timer of the whole saga goes by this name.",
            "Name the step for what it does.",
        )


def _command_faults(_definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    for command in (step.ask, step.undo, step.probe):
        if command is not None and not _is_listed(command):
            yield of_step(step, *_unlisted(command))


def _order_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    pivoted = any(other.kind is StepKind.PIVOT for other in definition.steps[:number])
    match step.kind:
        case StepKind.COMPENSATABLE if pivoted:
            yield of_step(
                step,
                "it is compensatable and stands after the pivot, where nothing is undone any more.",
                "Move it before the pivot, or make it RETRIABLE without an undo.",
            )
        case StepKind.PIVOT if pivoted:
            yield of_step(
                step,
                "it is the second pivot; there is one point of no return.",
                "Make it RETRIABLE.",
            )
        case StepKind.QUERY if pivoted:
            yield of_step(
                step,
                "it is a query after the pivot, where its refusal could not stop anything.",
                "Move it before the pivot, or make it RETRIABLE.",
            )
        case StepKind.RETRIABLE if not pivoted:
            yield of_step(
                step,
                "it is retriable and stands before the pivot, so it could not be undone.",
                "Move it behind the pivot, or make it COMPENSATABLE with an undo.",
            )
        case _:
            return


def _pivot_faults(definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    at_once = next((stage for stage in definition.stages if step in stage), ())
    if step.kind is StepKind.PIVOT and len(at_once) > 1:
        others = ", ".join(other.name for other in at_once if other is not step)
        yield of_step(
            step,
            f"it is the pivot and asked at once with {others}, so nobody could say which of them "
            "comes before the point of no return.",
            "Give it a place of its own.",
        )


def _kind_faults(_definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    if step.kind is StepKind.COMPENSATABLE and step.undo is None and step.saga is None:
        yield of_step(
            step,
            "it is compensatable and has no undo.",
            "Name the command that undoes it, or say what it is: QUERY, PIVOT or RETRIABLE.",
        )
    if step.kind is not StepKind.COMPENSATABLE and step.undo is not None:
        yield of_step(
            step,
            f"it is a {step.kind} and has an undo, which would never be asked.",
            "Leave the undo out, or make it COMPENSATABLE.",
        )
    if step.optional and step.kind is not StepKind.RETRIABLE:
        yield of_step(
            step,
            f"it is optional and a {step.kind}; only what follows the pivot can be skipped.",
            "Leave `optional` out, or move it behind the pivot as RETRIABLE.",
        )


def _bound_faults(_definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    if step.within <= NO_DEADLINE:
        yield of_step(
            step,
            "it has no deadline, so a lost answer would hold the saga for ever.",
            "Say `within=seconds(60)`.",
        )
    for name, retry in (("retry", step.retry), ("undo_retry", step.undo_retry)):
        for problem, remedy in _retry_faults(retry):
            yield of_step(step, f"{name} {problem}", remedy)


def _retry_faults(retry: Retry) -> Iterator[tuple[str, str]]:
    pauses = (retry.backoff_seconds, retry.backoff_seconds_max)
    if not (1 <= retry.attempts <= ATTEMPTS_MAX and all(pause >= 0 for pause in pauses)):
        yield (
            f"has {retry.attempts} attempts with pauses from {pauses[0]} to {pauses[1]} s.",
            f"Take 1 to {ATTEMPTS_MAX} attempts, and pauses that are not negative.",
        )
    if not 0 <= retry.jitter <= 1:
        yield (
            f"has a jitter of {retry.jitter:g}.",
            "It is the share of a pause that chance adds or takes: 0 to 1.",
        )
    for code in sorted({*retry.also, *retry.never} - REFUSALS.keys()):
        yield f"names the code {code!r}, which no refusal has.", f"{_near(code)}."
    for code in sorted({*retry.also} & {*retry.never}):
        yield f"asks again after {code!r}, and never does.", "Name it in `also` or in `never`."


def _near(code: str) -> str:
    owner = code.partition(".")[0]
    found = sorted(one for one in REFUSALS if one.startswith(f"{owner}."))
    return f"There is: {', '.join(found)}" if found else "Take one of the contracts' refusals"


def _fill_faults(definition: Definition, number: int, step: Step) -> Iterator[Fault]:
    yield from fill_faults(definition, number, step)
    yield from condition_faults(definition, number, step)


def _special_faults(definition: Definition, _number: int, step: Step) -> Iterator[Fault]:
    yield from child_faults(definition, step)
    yield from signal_faults(definition, step)
    yield from repetition_faults(step)


_Rule = Callable[[Definition, int, Step], Iterator[Fault]]
_STEP_RULES: Final[tuple[_Rule, ...]] = (
    _name_faults,
    _command_faults,
    _order_faults,
    _pivot_faults,
    _kind_faults,
    _bound_faults,
    _special_faults,
    _fill_faults,
)


def _unlisted(command: CommandType) -> tuple[str, str]:
    return (
        f"no command of the catalog is {command.__name__}.",
        "Define it in contracts, in a module that contracts/catalog.py lists.",
    )


def _is_listed(command: CommandType) -> bool:
    contract = getattr(command, "contract", None)
    return contract is not None and COMMANDS.get(contract.type) is command


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():g} s"
