"""The first transition of a saga, in the making: begun, and nothing asked yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.message import Event
from contracts.saga_events import SagaStarted, StepReused
from contracts.transaction import TransactionStarted
from contracts.types import TransactionId
from sagas.engine.decision import Start, Timer
from sagas.engine.definition import NO_DEADLINE, Definition
from sagas.engine.draft import SAGA_TIMER, Draft
from sagas.engine.mapping import MISSING, evaluate
from sagas.engine.state import SagaState, evolve


def begin(definition: Definition, given: Start) -> Draft:
    """Draft the first transition of a saga: begun, and nothing asked yet."""
    saga_id = TransactionId(given.saga_id)
    contract = definition.starts_with.contract
    started = TransactionStarted(
        transaction_id=saga_id,
        saga_type=definition.saga_type,
        definition_version=definition.version,
    )
    timer: Timer | None = None
    if definition.within != NO_DEADLINE:
        timer = Timer(name=f"{SAGA_TIMER}.1", due_at=given.at + definition.within)
    opened = SagaStarted(
        transaction_id=saga_id,
        definition_hash=definition.hash,
        steps=[step.name for step in definition.steps],
        message_type=contract.type,
        message_version=contract.version,
        message=dict(given.message),
        attributes=_attributes(definition, given),
        parent=given.parent,
        forked_from=given.forked_from,
        timer=timer.name if timer else None,
        deadline=timer.due_at if timer else None,
    )
    events: list[Event] = [started, opened]
    events += [
        StepReused(transaction_id=saga_id, step=name, status=one.status, output=_dict(one.output))
        for name, one in given.reused.items()
    ]
    state: SagaState | None = None
    for event in events:
        state = evolve(state, event, given)
    if state is None:
        raise AssertionError("a saga that has started has a state")
    draft = Draft(definition, given, state)
    draft.events += events
    draft.timers += [timer] if timer else []
    return draft


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What attributes are taken from: the start message, before there is a state."""

    saga_id: UUID
    message: Mapping[str, Any]

    def output(self, step: str) -> None:
        """No step has answered yet."""


def _attributes(definition: Definition, given: Start) -> dict[str, str]:
    known = _Beginning(given.saga_id, dict(given.message))
    found = ((name, evaluate(fill, known)) for name, fill in definition.attributes.items())
    return {name: str(value) for name, value in found if value is not MISSING and value is not None}


def _dict(output: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if output is None else dict(output)
