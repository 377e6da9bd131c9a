"""How a definition is written: `saga(...)(step(...), wait(...), parallel(...), child(...))`.

Writing one never fails, so that the validator can name every fault at once. What fills each field
of a command is worked out here, by name, once.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from pydantic import BaseModel

from contracts.saga_orders import StartChild, UndoChild
from sagas.engine.conditions import Condition
from sagas.engine.definition import (
    COMPENSATABLE,
    NO_DEADLINE,
    PIVOT,
    QUERY,
    RETRIABLE,
    Approval,
    Awaited,
    CommandType,
    Definition,
    Place,
    Retry,
    Step,
    StepKind,
    hash_of,
)
from sagas.engine.fields import answer_fields
from sagas.engine.mapping import (
    SAGA_ID,
    SAGA_ID_FIELDS,
    Const,
    Fill,
    FirstOf,
    Group,
    Origin,
    Ref,
    to_fill,
)


def seconds(number: float) -> timedelta:
    """Write a deadline: `within=seconds(60)`."""
    return timedelta(seconds=number)


def minutes(number: float) -> timedelta:
    """Write a deadline: `within=minutes(30)`."""
    return timedelta(minutes=number)


def days(number: float) -> timedelta:
    """Write a deadline: `within=days(7)`."""
    return timedelta(days=number)


RETRIABLE_WITHIN: Final = seconds(60)
"""How long one attempt of a retriable step may take unless the definition says otherwise."""
RETRIES: Final = {
    QUERY: Retry(3),
    COMPENSATABLE: Retry(3),
    PIVOT: Retry(20),
    RETRIABLE: Retry(50),
}
"""How a step of each kind is retried unless the definition says otherwise."""
UNDO_RETRY: Final = Retry(10)
ONCE: Final = Retry(1)
"""How a signal is awaited unless the definition says otherwise."""


@dataclass(frozen=True, slots=True)
class Parallel:
    """Steps that are asked at once; the saga goes on when all of them are done."""

    steps: tuple[Step, ...]


def step(  # noqa: PLR0913 - a line of a table names what it says
    name: str,
    *,
    ask: CommandType,
    kind: StepKind = COMPENSATABLE,
    undo: CommandType | None = None,
    within: timedelta | None = None,
    retry: Retry | None = None,
    undo_retry: Retry = UNDO_RETRY,
    optional: bool = False,
    when: Condition | None = None,
    idempotent: bool = True,
    probe: CommandType | None = None,
    given: Mapping[str, object] | None = None,
    undo_given: Mapping[str, object] | None = None,
) -> Step:
    """Write one line of a definition: ask a participant.

    `given` names what fills fields of the command: constants, `SAGA_ID`, `start("field")`,
    `out("step.field")`, `text("...", ...)`, and objects of these. Every other field is filled by
    its name: from the newest earlier answer that has such a field, else from the start message,
    else (`submission_id`, `transaction_id`) with the saga's id, else it keeps its default.
    """
    unsaid = RETRIABLE_WITHIN if kind is RETRIABLE else NO_DEADLINE
    return Step(
        name=name,
        kind=kind,
        ask=ask,
        undo=undo,
        within=unsaid if within is None else within,
        retry=retry or RETRIES[kind],
        undo_retry=undo_retry,
        optional=optional,
        when=when,
        idempotent=idempotent,
        probe=probe,
        given=given or {},
        undo_given=undo_given or {},
        place=_caller(),
    )


def wait(
    name: str,
    *,
    signal: str,
    data: type[BaseModel],
    within: timedelta = NO_DEADLINE,
    kind: StepKind = QUERY,
    retry: Retry = ONCE,
    allowed: object = None,
    when: Condition | None = None,
    optional: bool = False,
) -> Step:
    """Write one line of a definition: wait for a signal, which holds `data`.

    Later steps read it as the step's answer; `out("name.by")` is the list of who sent it.
    """
    return Step(
        name=name,
        kind=kind,
        ask=None,
        undo=None,
        within=within,
        retry=retry,
        undo_retry=UNDO_RETRY,
        optional=optional,
        when=when,
        awaited=Awaited(
            signal=signal,
            data=data,
            needs=1,
            allowed=None if allowed is None else to_fill(allowed),
            not_starter=False,
            denial_ends=False,
        ),
        place=_caller(),
    )


def approval(
    name: str,
    *,
    needs: int = 1,
    signal: str = "approval",
    within: timedelta = NO_DEADLINE,
    kind: StepKind = QUERY,
    retry: Retry = ONCE,
    allowed: object = None,
    not_starter: bool = False,
    denial_ends: bool = True,
    when: Condition | None = None,
) -> Step:
    """Write one line of a definition: `needs` different people must approve.

    `allowed` is a list of actors, or a reference to one: approvals of anybody else are refused.
    """
    return Step(
        name=name,
        kind=kind,
        ask=None,
        undo=None,
        within=within,
        retry=retry,
        undo_retry=UNDO_RETRY,
        when=when,
        awaited=Awaited(
            signal=signal,
            data=Approval,
            needs=needs,
            allowed=None if allowed is None else to_fill(allowed),
            not_starter=not_starter,
            denial_ends=denial_ends,
        ),
        place=_caller(),
    )


def child(
    name: str,
    *,
    saga: Definition,
    kind: StepKind | None = None,
    within: timedelta = NO_DEADLINE,
    retry: Retry = ONCE,
    undo_retry: Retry = UNDO_RETRY,
    optional: bool = False,
    when: Condition | None = None,
    given: Mapping[str, object] | None = None,
) -> Step:
    """Write one line of a definition: begin another saga, and wait for its end.

    A saga without a point of no return can be undone as a whole; one with such a point is the
    pivot itself, or comes after it. `out("name.transaction_id")` and
    `out("name.steps.register.samples")` are what later steps read.
    """
    undoable = saga.pivot is None
    return Step(
        name=name,
        kind=kind or (COMPENSATABLE if undoable else PIVOT),
        ask=StartChild,
        undo=UndoChild if undoable and kind in {None, COMPENSATABLE} else None,
        within=within,
        retry=retry,
        undo_retry=undo_retry,
        optional=optional,
        when=when,
        saga=saga,
        given=given or {},
        place=_caller(),
    )


def parallel(*steps: Step) -> Parallel:
    """Write steps that are asked at once."""
    return Parallel(steps)


def saga(
    saga_type: str,
    *,
    version: int,
    starts_with: CommandType,
    within: timedelta = NO_DEADLINE,
    attributes: Mapping[str, object] | None = None,
) -> Callable[..., Definition]:
    """Open a definition; the steps follow in a second pair of parentheses."""
    place = _caller()
    found_by = {name: to_fill(given) for name, given in (attributes or {}).items()}

    def of(*parts: Step | Parallel) -> Definition:
        stages: list[tuple[Step, ...]] = []
        for part in parts:
            earlier = [one for stage in stages for one in stage]
            written = part.steps if isinstance(part, Parallel) else (part,)
            stages.append(tuple(_filled(one, earlier, starts_with) for one in written))
        return Definition(
            saga_type=saga_type,
            version=version,
            starts_with=starts_with,
            stages=tuple(stages),
            within=within,
            attributes=found_by,
            place=place,
            hash=hash_of(
                saga_type,
                version=version,
                starts_with=starts_with,
                stages=stages,
                within=within,
                attributes=found_by,
            ),
            by_name={one.name: one for stage in stages for one in stage},
            parallels=frozenset(n for n, part in enumerate(parts) if isinstance(part, Parallel)),
        )

    return of


def _filled(one: Step, earlier: Sequence[Step], starts_with: CommandType) -> Step:
    if one.saga is not None:
        message = _fills(one.saga.starts_with, one.given, earlier, starts_with, own=None)
        named: dict[str, Fill] = {
            "saga_type": Const(one.saga.saga_type),
            "version": Const(one.saga.version),
            "message": Group(tuple(message.items())),
        }
        # Which saga is undone follows from the command that began it: the machine knows.
        return replace(one, ask_fills=named)
    return replace(
        one,
        ask_fills=_fills(one.ask, one.given, earlier, starts_with, own=None),
        undo_fills=_fills(one.undo, one.undo_given, earlier, starts_with, own=one),
        probe_fills=_fills(one.probe, one.given, earlier, starts_with, own=None),
    )


def _fills(
    command: CommandType | None,
    given: Mapping[str, object],
    earlier: Sequence[Step],
    starts_with: CommandType,
    *,
    own: Step | None,
) -> dict[str, Fill]:
    """Say what fills each field of a command; fields that keep their default are left out."""
    fills: dict[str, Fill] = {}
    for name in command.model_fields if command else ():
        if name in given:
            named = [to_fill(given[name])]
        else:
            named = list(_by_name(name, earlier, starts_with))
            if own is not None and name in answers_of(own):
                # An undo may run without its step's answer, so the next best stays behind it.
                named.insert(0, Ref(Origin.STEP, own.name, (name,)))
        if named:
            fills[name] = named[0] if len(named) == 1 else FirstOf(tuple(named))
    return fills


def _by_name(name: str, earlier: Sequence[Step], starts_with: CommandType) -> Iterator[Fill]:
    for one in reversed(earlier):
        # An optional step may have no answer, so nothing relies on it without saying so.
        if one.saga is None and not one.optional and name in answers_of(one):
            yield Ref(Origin.STEP, one.name, (name,))
            if one.when is None:
                return
    if name in starts_with.model_fields:
        yield Ref(Origin.START, path=(name,))
    elif name in SAGA_ID_FIELDS:
        yield SAGA_ID


def answers_of(one: Step) -> Mapping[str, Any]:
    """Give the fields of what a participant answers to a step; nothing of signals and sagas."""
    return answer_fields(one.ask) if one.ask is not None and one.saga is None else {}


def _caller() -> Place:
    """Say where the definition that is being written stands: two frames up."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    if frame is None:
        return Place(file="", line=0)
    module = str(frame.f_globals.get("__name__", ""))
    return Place(file=f"{module.replace('.', '/')}.py", line=frame.f_lineno)
