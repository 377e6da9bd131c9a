"""What a saga is: a table of steps, one per line, and nothing that runs.

A definition is plain data, so that it can be hashed, drawn, checked and compared. Making one never
fails; whether it can work is for `validate.py` to say, and what a saga does next for `machine.py`.
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from contracts.message import Command
from sagas.engine.fields import answer_fields
from sagas.engine.mapping import (
    SAGA_ID,
    SAGA_ID_FIELDS,
    Fill,
    FirstOf,
    Origin,
    Ref,
    describe,
    to_fill,
)

CommandType = type[Command[Any]]


class StepKind(StrEnum):
    """What a step means for the way back."""

    QUERY = "query"
    """Changes nothing: there is nothing to undo."""
    COMPENSATABLE = "compensatable"
    """Has an undo, which is fine where nothing was done."""
    PIVOT = "pivot"
    """The point of no return: from its answer on, the saga goes forward only."""
    RETRIABLE = "retriable"
    """After the pivot: asked until it is done."""


QUERY: Final = StepKind.QUERY
COMPENSATABLE: Final = StepKind.COMPENSATABLE
PIVOT: Final = StepKind.PIVOT
RETRIABLE: Final = StepKind.RETRIABLE


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a step is asked in all, and how long the pauses are: each twice the one before."""

    attempts: int
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 60.0

    def pause(self, attempt: int) -> timedelta:
        """Give the pause after attempt number `attempt` (from 1)."""
        doubled = self.backoff_seconds * 2.0 ** min(attempt - 1, 30)
        return timedelta(seconds=min(doubled, self.backoff_seconds_max))


def seconds(number: float) -> timedelta:
    """Write a deadline: `within=seconds(60)`."""
    return timedelta(seconds=number)


NO_DEADLINE: Final = timedelta(0)
"""What `within` is where the definition says nothing."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the source something is defined."""

    file: str
    """Path within the repository."""
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a definition."""

    name: str
    kind: StepKind
    ask: CommandType
    undo: CommandType | None
    within: timedelta
    """How long one attempt may stay unanswered, there and back."""
    retry: Retry
    undo_retry: Retry
    optional: bool
    """Whether the saga completes without it."""
    given: Mapping[str, object]
    undo_given: Mapping[str, object]
    place: Place = field(compare=False)
    ask_fills: Mapping[str, Fill] = field(default_factory=dict[str, Fill])
    """What fills each field of the command; set by the saga that the step belongs to."""
    undo_fills: Mapping[str, Fill] = field(default_factory=dict[str, Fill])


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One version of one type of saga."""

    saga_type: str
    version: int
    starts_with: CommandType
    steps: tuple[Step, ...]
    place: Place = field(compare=False)
    hash: str
    """Hexadecimal SHA-256 over everything that decides how its sagas go."""
    by_name: Mapping[str, Step] = field(compare=False)

    def under(self, recorded_hash: str) -> "Definition":
        """Give this table under another hash: replay compares what it does, not what it is."""
        return replace(self, hash=recorded_hash)


def step(
    name: str,
    *,
    ask: CommandType,
    kind: StepKind = COMPENSATABLE,
    undo: CommandType | None = None,
    within: timedelta | None = None,
    retry: Retry | None = None,
    undo_retry: Retry = UNDO_RETRY,
    optional: bool = False,
    given: Mapping[str, object] | None = None,
    undo_given: Mapping[str, object] | None = None,
) -> Step:
    """Write one line of a definition.

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
        given=given or {},
        undo_given=undo_given or {},
        place=_caller(),
    )


def saga(saga_type: str, *, version: int, starts_with: CommandType) -> Callable[..., Definition]:
    """Open a definition; the steps follow in a second pair of parentheses."""
    place = _caller()

    def of(*steps: Step) -> Definition:
        filled = tuple(
            replace(
                one,
                ask_fills=_fills(one.ask, one.given, steps[:number], starts_with, own=None),
                undo_fills=_fills(one.undo, one.undo_given, steps[:number], starts_with, own=one),
            )
            for number, one in enumerate(steps)
        )
        return Definition(
            saga_type=saga_type,
            version=version,
            starts_with=starts_with,
            steps=filled,
            place=place,
            hash=_hash(saga_type, version, starts_with, filled),
            by_name={one.name: one for one in filled},
        )

    return of


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
        named = [to_fill(given[name])] if name in given else _by_name(name, earlier, starts_with)
        if name not in given and own is not None and name in answer_fields(own.ask):
            # An undo may run without its step's answer, so the next best stays behind it.
            named.insert(0, Ref(Origin.STEP, own.name, (name,)))
        if named:
            fills[name] = named[0] if len(named) == 1 else FirstOf(tuple(named))
    return fills


def _by_name(name: str, earlier: Sequence[Step], starts_with: CommandType) -> list[Fill]:
    for one in reversed(earlier):
        # An optional step may have no answer, so nothing relies on it without saying so.
        if not one.optional and name in answer_fields(one.ask):
            return [Ref(Origin.STEP, one.name, (name,))]
    if name in starts_with.model_fields:
        return [Ref(Origin.START, path=(name,))]
    return [SAGA_ID] if name in SAGA_ID_FIELDS else []


def _hash(saga_type: str, version: int, starts_with: CommandType, steps: Sequence[Step]) -> str:
    description = {
        "type": saga_type,
        "version": version,
        "starts_with": _describe_command(starts_with),
        "steps": [_describe_step(one) for one in steps],
    }
    canonical = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _describe_step(one: Step) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "optional": one.optional,
        "within_seconds": one.within.total_seconds(),
        "ask": _describe_command(one.ask),
        "ask_fills": {name: describe(fill) for name, fill in one.ask_fills.items()},
        "retry": _describe_retry(one.retry),
        "undo": None if one.undo is None else _describe_command(one.undo),
        "undo_fills": {name: describe(fill) for name, fill in one.undo_fills.items()},
        "undo_retry": _describe_retry(one.undo_retry),
    }


def _describe_command(command: CommandType) -> list[object]:
    contract = getattr(command, "contract", None)
    # A class that states no contract is a fault; the validator says so.
    return [command.__name__] if contract is None else [contract.type, contract.version]


def _describe_retry(retry: Retry) -> list[float]:
    return [retry.attempts, retry.backoff_seconds, retry.backoff_seconds_max]


def _caller() -> Place:
    """Say where the definition that is being written stands: two frames up."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    if frame is None:
        return Place(file="", line=0)
    module = str(frame.f_globals.get("__name__", ""))
    return Place(file=f"{module.replace('.', '/')}.py", line=frame.f_lineno)
