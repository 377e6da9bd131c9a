"""The rules of particular steps: those that begin a saga, await a signal, or cannot be repeated.

Every command carries an id, and participants answer a repeated id with the outcome that they
recorded. That is the key by which they tell a repetition; a step with `idempotent=False` says that
its participant has no such record, so that it must not be asked again in the dark.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from sagas.engine.definition import Approval, Awaited, Definition, Step, StepKind
from sagas.engine.faults import Fault, of_step
from sagas.engine.fields import answer_fields, fits
from sagas.engine.mapping import Const, Fill, FirstOf, Ref
from sagas.engine.validate_reading import reader_of

NEEDS_MAX: Final = 100
"""People from whom a signal can be wanted."""
_SIGNAL: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


# Steps that begin a saga


def child_faults(definition: Definition, step: Step) -> Iterator[Fault]:
    """Find what is wrong with the saga that a step begins, seen from outside."""
    inner = step.saga
    if inner is None:
        return
    if (definition.saga_type, definition.version) in set(_names_within(inner)):
        yield of_step(
            step,
            f"it begins {inner.saga_type} version {inner.version}, within which "
            f"{definition.saga_type} begins again, and so for ever.",
            "Let it begin another saga.",
        )
    yield from _child_kind_faults(step, inner)


def _names_within(definition: Definition) -> Iterator[tuple[str, int]]:
    yield definition.saga_type, definition.version
    for step in definition.steps:
        if step.saga is not None:
            yield from _names_within(step.saga)


def _child_kind_faults(step: Step, inner: Definition) -> Iterator[Fault]:
    has_pivot = inner.pivot is not None
    if has_pivot and step.kind not in {StepKind.PIVOT, StepKind.RETRIABLE}:
        yield of_step(
            step,
            f"it is a {step.kind}, and the saga that it begins has a point of no return.",
            "Make it the PIVOT, or RETRIABLE after it.",
        )
    elif has_pivot and step.undo is not None:
        yield of_step(
            step,
            "it has an undo, and the saga that it begins has a point of no return.",
            "Leave the undo out.",
        )
    elif step.kind is StepKind.COMPENSATABLE and step.undo is None:
        yield of_step(
            step, "it is compensatable and has no undo.", "Write it with `child(...)`, which has."
        )
    elif step.kind is StepKind.QUERY and any(one.undo is not None for one in inner.steps):
        yield of_step(
            step,
            "it is a query, and the saga that it begins changes something.",
            "Make it COMPENSATABLE.",
        )


# Steps that await a signal


def signal_faults(definition: Definition, step: Step) -> Iterator[Fault]:
    """Find what is wrong with the signal that a step awaits."""
    awaited = step.awaited
    if awaited is None:
        return
    if step.kind in {StepKind.COMPENSATABLE, StepKind.PIVOT}:
        yield of_step(
            step,
            f"it awaits a signal and is a {step.kind}; nothing is done that could be undone.",
            "Make it a QUERY before the pivot, or RETRIABLE after it.",
        )
    if not _SIGNAL.fullmatch(awaited.signal):
        yield of_step(
            step,
            f"its signal {awaited.signal!r} is part of addresses.",
            "Use lower-case letters, digits and underscores.",
        )
    yield from _rival_faults(definition, step, awaited)
    yield from _denial_faults(step, awaited)
    yield from _people_faults(definition, step, awaited)


def _rival_faults(definition: Definition, step: Step, awaited: Awaited) -> Iterator[Fault]:
    at_once = next(stage for stage in definition.stages if step in stage)
    for other in at_once[: at_once.index(step)]:
        if other.awaited is not None and other.awaited.signal == awaited.signal:
            yield of_step(
                step,
                f"step {other.name} awaits the signal {awaited.signal!r} at the same time, and "
                "nobody could say which of them is meant.",
                "Give it a signal of its own.",
            )


def _denial_faults(step: Step, awaited: Awaited) -> Iterator[Fault]:
    if step.kind is StepKind.RETRIABLE and awaited.denial_ends:
        yield of_step(
            step,
            "a denial ends it, and it stands after the pivot, where nothing is undone any more.",
            "Say `denial_ends=False` and let later steps look at `approved`.",
        )
    if awaited.denial_ends and not issubclass(awaited.data, Approval):
        yield of_step(
            step,
            f"a denial ends it, and {awaited.data.__name__} says nothing of approval.",
            "Write it with `approval(...)`.",
        )


def _people_faults(definition: Definition, step: Step, awaited: Awaited) -> Iterator[Fault]:
    if not 1 <= awaited.needs <= NEEDS_MAX:
        yield of_step(
            step,
            f"it needs {awaited.needs} people.",
            f"Take 1 to {NEEDS_MAX}.",
        )
    if awaited.allowed is None:
        return
    for problem, remedy in _allowed_misfits(definition, step, awaited, awaited.allowed):
        yield of_step(step, f"allowed: {problem}", remedy)


def _allowed_misfits(
    definition: Definition, step: Step, awaited: Awaited, allowed: Fill
) -> Iterator[tuple[str, str]]:
    if isinstance(allowed, Const):
        yield from _named_misfits(awaited, allowed.value)
        return
    if not isinstance(allowed, Ref | FirstOf):
        yield "it is no list of actors.", 'Name them, or refer to a list: `start("reviewers")`.'
        return
    reader = reader_of(definition, definition.steps.index(step))
    misfits = list(reader.misfits(allowed, list[str]))
    yield from misfits or reader.missing(allowed)


def _named_misfits(awaited: Awaited, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, list):
        yield f"{value!r} is no list of actors.", 'Name them: `allowed=["ada", "grace"]`.'
        return
    named = {str(one) for one in value}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON value
    if len(named) < awaited.needs:
        yield (
            f"it names {len(named)} people and needs {awaited.needs}, so it could never be given.",
            "Name more people, or need fewer.",
        )


# Steps that cannot be repeated


def repetition_faults(step: Step) -> Iterator[Fault]:
    """Find what is wrong with how a step learns what became of it."""
    if step.probe is not None:
        yield from _probe_faults(step)
    elif not step.idempotent and step.kind is StepKind.RETRIABLE:
        yield of_step(
            step,
            "it is retriable, and its participant cannot tell a repetition by the command's id: "
            "the key by which asking again is safe is missing.",
            "Let the participant record outcomes by that id and leave `idempotent=False` out, or "
            "name a `probe`.",
        )
    elif not step.idempotent and step.retry.attempts > 1:
        yield of_step(
            step,
            f"it may be asked {step.retry.attempts} times, and asking again is not safe.",
            "Say `retry=Retry(1)`, or name a `probe` that says what became of it.",
        )


def _probe_faults(step: Step) -> Iterator[Fault]:
    if step.probe is None or step.ask is None or step.saga is not None:
        yield of_step(
            step, "it has a probe, and no participant is asked for it.", "Leave the probe out."
        )
        return
    answer = answer_fields(step.probe)
    for name in ("done", "result"):
        if name not in answer:
            yield of_step(
                step,
                f"its probe {step.probe.__name__} does not answer {name!r}.",
                "A probe answers `done: bool` and `result`, what the step would have answered.",
            )
    if "done" in answer and not fits(answer["done"].annotation, bool):
        yield of_step(
            step,
            f"its probe {step.probe.__name__} answers 'done' as {answer['done'].annotation}.",
            "Let it be a bool.",
        )
