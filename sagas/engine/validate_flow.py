"""Whether every course of a saga comes to an end, and every step is asked in one: model checking.

The machine itself is run: from the start on, every step is done, refused and left unanswered, every
signal is given, denied and missed, every condition holds and does not, every undo succeeds and gets
stuck. Courses that stand alike (the same step, equally far, on the way there or back) are walked on
from one of them, so the work grows with the number of steps and not with that of courses. The steps
of a parallel group do not look at one another, so they answer in the order in which they stand.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from contracts.errors import NotFound
from contracts.transaction import OrderKind, StepStatus, TransactionStatus
from sagas.engine.conditions import Condition, Joined
from sagas.engine.decision import (
    Due,
    Input,
    Ordered,
    Replied,
    Signalled,
    Start,
    Transition,
    failure_of,
)
from sagas.engine.definition import Approval, Definition, Step
from sagas.engine.faults import Fault, of_saga, of_step
from sagas.engine.machine import decide
from sagas.engine.mapping import Const
from sagas.engine.state import SagaState
from sagas.engine.step_state import StepState
from sagas.engine.validate_when import can_be_needed

ATTEMPTS: Final = 2
"""The third attempt is like the second."""
PEOPLE: Final = ("ada", "grace")
"""The third of those who sign is like the second."""
STANDS_MAX: Final = 20_000
"""Of a saga of a hundred steps there are fewer than 2,000."""
_SAGA: Final = UUID(int=7 << 76 | 2 << 62)
_START: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ALWAYS: Final = Joined(())
_NEVER: Final = Joined((), enough=True)

Stand = tuple[object, ...]
"""What makes two courses alike."""


class _Anything(BaseModel):
    """What a signal of the model holds."""


def flow_faults(definition: Definition) -> Iterator[Fault]:
    """Find steps that are never asked, and courses that come to no end."""
    unneeded = {step.name for step in definition.steps if not can_be_needed(definition, step)}
    walk = Walk(definition, models_of(definition, unneeded))
    walk.go(by_hand=False)
    asked, ends = walk.asked, {state.status for state in walk.reached.values()}
    for step in definition.steps:
        if step.name in unneeded:
            yield of_step(
                step,
                f"its `when` can never hold: {step.when}.",
                "Mend the condition, or leave the step out.",
            )
        elif step.name not in asked:
            yield of_step(
                step,
                "no course of the saga comes to it.",
                "See what stands before it, or leave it out.",
            )
    if TransactionStatus.COMPLETED not in ends:
        yield of_saga(
            definition, "no course of it is ever completed.", "See which of its steps cannot be."
        )
    walk.go(by_hand=True)
    for stand in walk.endless():
        yield of_saga(
            definition,
            f"from here on it never ends: {_say(walk.reached[stand])}.",
            "See what it waits for there.",
        )
        return


# The walk


@dataclass(slots=True)
class Walk:
    """Every stand that a saga can come to, and what leads where."""

    definition: Definition
    models: tuple[Definition, ...]
    reached: dict[Stand, SagaState] = field(default_factory=dict[Stand, SagaState])
    """One saga for each stand."""
    leads_to: dict[Stand, set[Stand]] = field(default_factory=dict[Stand, set[Stand]])
    asked: set[str] = field(default_factory=set[str])
    inputs: int = 0

    def go(self, *, by_hand: bool) -> None:
        """Walk every course by itself; or go on where a person must complete a stuck step."""
        waiting: list[Stand] = []
        if by_hand:
            waiting = [stand for stand, state in self.reached.items() if _is_failed(state)]
        else:
            begin = Start(
                saga_id=_SAGA, message={}, at=_START, actor="noether", correlation="", cause="start"
            )
            waiting = list(self._take(None, None, begin))
        while waiting:
            stand = waiting.pop()
            if len(self.reached) > STANDS_MAX:
                raise AssertionError(f"{self.definition.saga_type} has too many stands to walk")
            state = self.reached[stand]
            for given in self._inputs(state, by_hand=by_hand):
                waiting.extend(self._take(stand, state, given))

    def endless(self) -> Iterator[Stand]:
        """Give the stands from which no end is reached."""
        comes_from: dict[Stand, set[Stand]] = {stand: set() for stand in self.reached}
        for stand, following in self.leads_to.items():
            for other in following:
                comes_from[other].add(stand)
        waiting = [stand for stand, state in self.reached.items() if state.status.ended]
        ending = set(waiting)
        while waiting:
            earlier = comes_from[waiting.pop()] - ending
            ending |= earlier
            waiting.extend(earlier)
        return (stand for stand in self.reached if stand not in ending)

    def _take(self, stand: Stand | None, state: SagaState | None, given: Input) -> Iterator[Stand]:
        """Decide; give the stands that were not known before."""
        for model in self.models:
            outcome = decide(model, state, given)
            if not isinstance(outcome, Transition):
                continue
            following = _stand(model, outcome.state)
            if stand is not None:
                self.leads_to.setdefault(stand, set()).add(following)
            if following not in self.reached:
                self.reached[following] = outcome.state
                steps = outcome.state.steps.items()
                self.asked |= {name for name, one in steps if one.asked_at is not None}
                yield following
            if not self._depends(state, outcome.state):
                return

    def _depends(self, before: SagaState | None, after: SagaState) -> bool:
        """Say whether a condition was looked at: only then do the models differ."""
        return any(
            after.steps[step.name].status is not StepStatus.WAITING
            and (before is None or before.steps[step.name].status is StepStatus.WAITING)
            for step in self.definition.steps
            if step.when is not None
        )

    def _inputs(self, state: SagaState, *, by_hand: bool) -> Iterator[Input]:
        if state.status.ended and not (by_hand and _is_failed(state)):
            return
        if state.timer is not None and state.deadline is not None:
            yield Due(name=state.timer, at=state.deadline, cause=self._cause())
        for step in self.definition.steps:
            stands = state.steps[step.name]
            if stands.outstanding:
                yield from self._answers(step, stands, state)
                break
        for step in self.definition.steps if by_hand else ():
            if _is_stuck(state.steps[step.name]):
                yield Ordered(
                    order=OrderKind.COMPLETE,
                    step=step.name,
                    reason="walked",
                    by="ada",
                    at=state.changed_at,
                    cause=self._cause(),
                )
                break

    def _answers(self, step: Step, stands: StepState, state: SagaState) -> Iterator[Input]:
        at = state.changed_at
        if stands.timer is not None and stands.due_at is not None:
            yield Due(name=stands.timer, at=stands.due_at, cause=self._cause())
        if stands.status is StepStatus.AWAITING and step.awaited is not None:
            by = next(one for one in PEOPLE if one not in stands.given_by)
            for approved in (True, False):
                yield Signalled(
                    signal=step.awaited.signal,
                    data={"approved": approved},
                    by=by,
                    at=at,
                    cause=self._cause(),
                )
            return
        refused = failure_of(step.name, NotFound(what="step", key=step.name))
        results: tuple[Mapping[str, Any] | None, ...] = ({}, None)
        if stands.probe_id is not None:
            results = ({"done": True, "result": {}}, {"done": False}, None)
        command_id = stands.probe_id or stands.command_id
        for result in results if command_id is not None else ():
            yield Replied(
                step=step.name,
                command_id=command_id or _SAGA,
                at=at,
                cause=self._cause(),
                result=result,
                failure=refused if result is None else None,
            )

    def _cause(self) -> str:
        self.inputs += 1
        return str(self.inputs)


def _stand(definition: Definition, state: SagaState) -> Stand:
    """Say what decides how a saga goes on: where it is, and how far."""
    pivot = definition.pivot
    passed = None if pivot is None else state.steps[pivot.name].status
    near: tuple[object, ...] = ()
    for number, stage in enumerate(definition.stages):
        stands = {step.name: state.steps[step.name] for step in stage}
        turns = {name for name, one in stands.items() if one.outstanding or _is_stuck(one)}
        if turns and state.back:
            # One step is undone after the other, and none looks at those beside it.
            near = tuple((name, *_step_stand(stands[name])) for name in sorted(turns))
            break
        if turns:
            near = (number, *map(_step_stand, stands.values()))
            break
    return (state.status, state.back, state.overdue, passed, *near)


def _step_stand(step: StepState) -> Stand:
    if not step.outstanding:
        return (step.status,)
    return (
        step.status,
        step.attempts,
        step.postponed,
        step.probe_id is not None,
        len(step.given_by),
        # Whether an earlier attempt may have left something.
        len(step.asked) > 1,
    )


def _is_stuck(step: StepState) -> bool:
    return step.status is StepStatus.STUCK


def _is_failed(state: SagaState) -> bool:
    return state.status is TransactionStatus.FAILED


def _say(state: SagaState) -> str:
    steps = ", ".join(f"{name} {step.status}" for name, step in state.steps.items())
    return f"{state.status} ({steps})"


# The model


def models_of(definition: Definition, unneeded: set[str]) -> tuple[Definition, ...]:
    """Give the saga with every condition met, and with none; with short ways to give up."""
    conditional = any(step.when is not None for step in definition.steps)
    return tuple(
        replace(
            definition,
            stages=tuple(
                tuple(_modelled(s, needed=met and s.name not in unneeded) for s in stage)
                for stage in definition.stages
            ),
            by_name={
                s.name: _modelled(s, needed=met and s.name not in unneeded)
                for s in definition.steps
            },
        )
        for met in ((True, False) if conditional else (True,))
    )


def _modelled(step: Step, *, needed: bool) -> Step:
    when: Condition | None = None
    if step.when is not None:
        when = _ALWAYS if needed else _NEVER
    awaited = step.awaited
    if awaited is not None:
        people = awaited.allowed
        awaited = replace(
            awaited,
            data=Approval if issubclass(awaited.data, Approval) else _Anything,
            needs=min(awaited.needs, len(PEOPLE)),
            allowed=None if people is None else Const(list(PEOPLE)),
        )
    return replace(
        step,
        when=when,
        awaited=awaited,
        retry=replace(step.retry, attempts=min(step.retry.attempts, ATTEMPTS)),
        undo_retry=replace(step.undo_retry, attempts=min(step.undo_retry.attempts, ATTEMPTS)),
    )
