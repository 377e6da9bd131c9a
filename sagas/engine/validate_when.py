"""Whether there are values for which the condition of a step holds.

Every value that a condition compares with is tried, one that is like none of them, and none at all,
together with what the conditions of the steps say whose answers it reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product
from typing import Any, Final
from uuid import UUID

from sagas.engine.conditions import Condition, Exceeds, Exists, IsIn
from sagas.engine.definition import Definition, Step
from sagas.engine.mapping import MISSING, Origin, Ref
from sagas.engine.validate_fills import leaves

VALUATIONS_MAX: Final = 4_096
"""Combinations of values for which a condition is tried; with more it is taken to hold."""
_NOBODY: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class _Supposed:
    """What would be known of a saga in which references had these values."""

    definition: Definition
    values: Mapping[Ref, Any]
    saga_id: UUID = _NOBODY

    @property
    def message(self) -> Mapping[str, Any]:
        """Give the start message, as far as conditions read it."""
        return self._tree(Ref(Origin.START))

    def output(self, step: str) -> Mapping[str, Any] | None:
        """Give what a step answered, as far as conditions read it; None where it was skipped."""
        when = self.definition.by_name[step].when
        if when is not None and not when.holds(self):
            return None
        return self._tree(Ref(Origin.STEP, step))

    def _tree(self, root: Ref) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for ref, value in self.values.items():
            if (ref.origin, ref.step) != (root.origin, root.step) or value is MISSING:
                continue
            branch = tree
            for name in ref.path[:-1]:
                branch = branch.setdefault(name, {})
            branch[ref.path[-1]] = value
        return tree


def can_be_needed(definition: Definition, step: Step) -> bool:
    """Say whether there are values for which a step's condition holds."""
    if step.when is None:
        return True
    conditions = list(_conditions_behind(definition, step.when))
    candidates: dict[Ref, list[Any]] = {}
    for leaf in chain.from_iterable(leaves(condition) for condition in conditions):
        candidates.setdefault(leaf.ref, [MISSING, "\0other"]).extend(_values(leaf))
    combinations = 1
    for values in candidates.values():
        combinations *= len(values)
    if combinations > VALUATIONS_MAX or _overlap(candidates):
        return True
    return any(
        step.when.holds(_Supposed(definition, dict(zip(candidates, values, strict=True))))
        for values in product(*candidates.values())
    )


def _conditions_behind(definition: Definition, when: Condition) -> Iterator[Condition]:
    """Give a condition, and those on which the steps depend whose answers it reads."""
    yield when
    for ref in when.refs():
        read = definition.by_name[ref.step].when if ref.origin is Origin.STEP else None
        if read is not None:
            yield from _conditions_behind(definition, read)


def _values(leaf: IsIn | Exists | Exceeds) -> Iterator[Any]:
    match leaf:
        case IsIn():
            yield from leaf.values
        case Exceeds():
            yield from (leaf.bound - 1, leaf.bound + 1)
        case Exists():
            yield ""


def _overlap(candidates: Mapping[Ref, object]) -> bool:
    """Say whether one reference leads through another: their values depend on each other."""
    return any(
        one is not other
        and (one.origin, one.step) == (other.origin, other.step)
        and other.path[: len(one.path)] == one.path
        for one in candidates
        for other in candidates
    )
