"""What a fork takes over: the steps before it, as the saga that it branches off had them.

What was taken over stays the other saga's to undo. Nothing is begun here.
"""

from collections.abc import Mapping
from typing import Final

from contracts.transaction import StepStatus
from sagas.engine.decision import Reused
from sagas.engine.definition import Definition
from sagas.engine.state import SagaState

SETTLED: Final = frozenset({StepStatus.DONE, StepStatus.SKIPPED})
"""How a step stands that can be taken over."""


class CannotForkError(ValueError):
    """The steps before the fork cannot be taken over; the text says which, and what to do."""


def taken_over(definition: Definition, state: SagaState, at: str) -> Mapping[str, Reused]:
    """Give the steps of every stage before the one of `at`, as they stand.

    Raises:
        CannotForkError: there is no such step, or one before it is not done.
    """
    if at not in definition.by_name:
        names = ", ".join(step.name for step in definition.steps)
        raise CannotForkError(f"there is no step {at!r}; there is: {names}.")
    reused: dict[str, Reused] = {}
    for stage in definition.stages:
        if any(step.name == at for step in stage):
            break
        for step in stage:
            stands = state.steps.get(step.name)
            status = StepStatus.WAITING if stands is None else stands.status
            if stands is None or status not in SETTLED:
                raise CannotForkError(
                    f"step {step.name}, which comes before it, is {status} and has no answer to "
                    f"take over. Fork at {step.name} or earlier."
                )
            reused[step.name] = Reused(status=status, output=stands.output)
    return reused
