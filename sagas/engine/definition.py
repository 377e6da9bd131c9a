"""What a saga is: a table of steps, one per line, and nothing that runs.

A definition is plain data, so that it can be hashed, drawn, checked and compared. How one is
written stands in `writing.py`, whether it can work in `validate.py`, and what a saga does next in
`machine.py`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel

from contracts.message import Command
from contracts.types import Text, Value
from sagas.engine.conditions import Condition
from sagas.engine.mapping import Fill, Known, data_reader, describe

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
    """How often a step is asked in all, how long the pauses are, and after which failures.

    Each pause is twice the one before, give or take `jitter`. A participant that is unwell or does
    not answer is asked again; one that refuses is not.
    """

    attempts: int
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 60.0
    jitter: float = 0.1
    """The share of a pause that chance adds or takes, 0 to 1: what failed together comes apart."""
    also: tuple[str, ...] = ()
    """Codes of refusals after which the step is asked again all the same."""
    never: tuple[str, ...] = ()
    """Codes of failures after which it is not asked again."""

    def pause(self, attempt: int, salt: str) -> timedelta:
        """Give the pause after attempt number `attempt` (from 1); the same salt, the same pause."""
        doubled = self.backoff_seconds * 2.0 ** min(attempt - 1, 30)
        chance = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:4]) / 2**32
        spread = 1 + self.jitter * (2 * chance - 1)
        return timedelta(seconds=min(doubled, self.backoff_seconds_max) * spread)


NO_DEADLINE: Final = timedelta(0)
"""What `within` is where the definition says nothing."""


class Approval(Value):
    """What an approval says."""

    approved: bool
    comment: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Awaited:
    """A signal that a step waits for."""

    signal: str
    data: type[BaseModel]
    """What a signal holds; `Approval` where people are asked."""
    needs: int
    """From how many different people."""
    allowed: Fill | None
    """Who may send it: a list of actors; None where whoever has the permission may."""
    not_starter: bool
    """Whether whoever began the saga may not."""
    denial_ends: bool
    """Whether a denied approval is a refusal; else the saga goes on and later steps look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the source something is defined."""

    file: str
    """Path within the repository."""
    line: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of a definition: it asks a participant, waits for a signal, or begins a saga."""

    name: str
    kind: StepKind
    ask: CommandType | None
    """What a participant is asked; None where a signal is awaited."""
    undo: CommandType | None
    within: timedelta
    """How long one attempt may stay unanswered, there and back."""
    retry: Retry
    undo_retry: Retry
    place: Place = field(compare=False)
    optional: bool = False
    """Whether the saga completes without it."""
    when: Condition | None = None
    """Whether it is needed at all; skipped where this does not hold when its turn comes."""
    idempotent: bool = True
    """Whether asking again is safe; else silence is never answered with the same order."""
    probe: CommandType | None = None
    """Asked what became of the step where nobody answered; it answers `done` and `result`."""
    awaited: Awaited | None = None
    saga: "Definition | None" = None
    """The saga that it begins and waits for."""
    given: Mapping[str, object] = field(default_factory=dict[str, object])
    undo_given: Mapping[str, object] = field(default_factory=dict[str, object])
    ask_fills: Mapping[str, Fill] = field(default_factory=dict[str, Fill])
    """What fills each field of the command; set by the saga that the step belongs to."""
    undo_fills: Mapping[str, Fill] = field(default_factory=dict[str, Fill])
    probe_fills: Mapping[str, Fill] = field(default_factory=dict[str, Fill])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made of the fields: it is code, and made anew by another process."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @cached_property
    def ask_data(self) -> Callable[[Known], dict[str, Any]]:
        """What makes the data of the command."""
        return data_reader(self.ask_fills)

    @cached_property
    def undo_data(self) -> Callable[[Known], dict[str, Any]]:
        """What makes the data of its undo."""
        return data_reader(self.undo_fills)

    @cached_property
    def probe_data(self) -> Callable[[Known], dict[str, Any]]:
        """What makes the data of the question what became of it."""
        return data_reader(self.probe_fills)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One version of one type of saga."""

    saga_type: str
    version: int
    starts_with: CommandType
    stages: tuple[tuple[Step, ...], ...]
    """One after the other; the steps of a stage are asked at once."""
    within: timedelta
    """How long it may take before it turns back; `NO_DEADLINE` where it may take any time."""
    attributes: Mapping[str, Fill]
    """What its sagas can be found by."""
    place: Place = field(compare=False)
    hash: str
    """Hexadecimal SHA-256 over everything that decides how its sagas go."""
    by_name: Mapping[str, Step] = field(compare=False)
    parallels: frozenset[int] = field(compare=False, default=frozenset())
    """Which stages were written as `parallel`, counted from 0."""

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in order."""
        return tuple(step for stage in self.stages for step in stage)

    @cached_property
    def pivot(self) -> Step | None:
        """The point of no return, where it has one."""
        return next((step for step in self.steps if step.kind is StepKind.PIVOT), None)

    def known_as(self, version: int, recorded_hash: str) -> "Definition":
        """Give this table under another name: replay compares what it does, not what it is."""
        if (version, recorded_hash) == (self.version, self.hash):
            return self
        return replace(self, version=version, hash=recorded_hash)


def hash_of(
    saga_type: str,
    *,
    version: int,
    starts_with: CommandType,
    stages: Sequence[Sequence[Step]],
    within: timedelta,
    attributes: Mapping[str, Fill],
) -> str:
    """Hash everything that decides how sagas go; places and the order of writing do not count."""
    description = {
        "type": saga_type,
        "version": version,
        "starts_with": _describe_command(starts_with),
        "within_seconds": within.total_seconds(),
        "attributes": {name: describe(fill) for name, fill in attributes.items()},
        "stages": [[dict(_describe_step(step)) for step in stage] for stage in stages],
    }
    canonical = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _describe_step(one: Step) -> Iterator[tuple[str, Any]]:
    yield "name", one.name
    yield "kind", one.kind
    yield "within_seconds", one.within.total_seconds()
    yield "retry", _describe_retry(one.retry)
    # What a step does not have is left out, so that a new ability changes no older hash.
    for word, command, fills in (
        ("ask", one.ask, one.ask_fills),
        ("undo", one.undo, one.undo_fills),
        ("probe", one.probe, one.probe_fills),
    ):
        if command is not None:
            filled = {name: describe(fill) for name, fill in fills.items()}
            yield word, {"command": _describe_command(command), "fills": filled}
    if one.undo is not None:
        yield "undo_retry", _describe_retry(one.undo_retry)
    yield from _describe_specialities(one)


def _describe_specialities(one: Step) -> Iterator[tuple[str, Any]]:
    if one.optional:
        yield "optional", True
    if not one.idempotent:
        yield "idempotent", False
    if one.when is not None:
        yield "when", one.when.describe()
    if one.saga is not None:
        yield "saga", [one.saga.saga_type, one.saga.version, one.saga.hash]
    if one.awaited is not None:
        yield "awaited", _describe_awaited(one.awaited)


def _describe_awaited(awaited: Awaited) -> dict[str, Any]:
    return {
        "signal": awaited.signal,
        "data": awaited.data.__name__,
        "needs": awaited.needs,
        "allowed": None if awaited.allowed is None else describe(awaited.allowed),
        "not_starter": awaited.not_starter,
        "denial_ends": awaited.denial_ends,
    }


def _describe_command(command: CommandType) -> list[object]:
    contract = getattr(command, "contract", None)
    # A class that states no contract is a fault; the validator says so.
    return [command.__name__] if contract is None else [contract.type, contract.version]


def _describe_retry(retry: Retry) -> dict[str, Any]:
    return {
        "attempts": retry.attempts,
        # 1 and 1.0 are the same pause.
        "backoff_seconds": [float(retry.backoff_seconds), float(retry.backoff_seconds_max)],
        "jitter": float(retry.jitter),
        "also": sorted(retry.also),
        "never": sorted(retry.never),
    }
