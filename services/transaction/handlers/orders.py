"""What people tell a transaction: orders, and the signals that it waits for.

What each leads to is decided by the engine; with `dry_run` it is decided on the state that there
is, shown, and forgotten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts import saga_orders as contract
from contracts.entry import Entry
from contracts.errors import Refused
from contracts.saga_orders import OrderRefused, OrderView, StepChange
from contracts.saga_tools import NotReplayable, SagaTypeUnknown
from contracts.transaction import OrderKind, TransactionNotFound
from contracts.types import TransactionId
from infra.bus.context import Context
from sagas.definitions import UnknownDefinitionError, find
from sagas.engine.decision import (
    Ignored,
    Ordered,
    Signalled,
    StepCommand,
    Target,
    Transition,
)
from sagas.engine.definition import Definition
from sagas.engine.machine import DefinitionChangedError, decide
from sagas.engine.record import read_commands
from sagas.engine.state import SagaState, fold
from sagas.engine.view import shown_status
from sagas.replay.prove import first_difference
from services.transaction.handlers.orchestrator import Orchestrator

Order = (
    contract.PauseTransaction
    | contract.ResumeTransaction
    | contract.CancelTransaction
    | contract.CompensateTransaction
    | contract.RetryStep
    | contract.SkipStep
    | contract.CompleteStep
    | contract.MigrateTransaction
)

ORDERS: Final[Mapping[type[Order], OrderKind]] = {
    contract.PauseTransaction: OrderKind.PAUSE,
    contract.ResumeTransaction: OrderKind.RESUME,
    contract.CancelTransaction: OrderKind.CANCEL,
    contract.CompensateTransaction: OrderKind.COMPENSATE,
    contract.RetryStep: OrderKind.RETRY,
    contract.SkipStep: OrderKind.SKIP,
    contract.CompleteStep: OrderKind.COMPLETE,
    contract.MigrateTransaction: OrderKind.MIGRATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An order, whoever it is given to."""

    order: OrderKind
    reason: str
    step: str | None = None
    output: Mapping[str, Any] | None = None
    version: int | None = None
    """For migrate."""


async def on_order(command: Order, context: Context, *, orchestrator: Orchestrator) -> OrderView:
    """Carry out an order, or show what it would lead to."""
    return await give(
        _said(command), command.transaction_id, context, orchestrator, dry_run=command.dry_run
    )


async def on_signal(
    command: contract.SignalTransaction, context: Context, *, orchestrator: Orchestrator
) -> OrderView:
    """Hand a signal to the transaction that waits for it."""
    given = Signalled(
        signal=command.signal,
        data=command.data,
        by=context.actor,
        at=context.now,
        cause=context.message_id,
    )
    told = _Told(command.transaction_id, None, command.dry_run)
    return await _take(told, given, context, orchestrator)


async def give(
    said: Said,
    transaction_id: TransactionId,
    context: Context,
    orchestrator: Orchestrator,
    *,
    dry_run: bool,
) -> OrderView:
    """Give one order to one transaction.

    Raises:
        Refused: the transaction stands where the order makes no sense, or is not there.
    """
    target: Target | None = None
    if said.version is not None:
        target = await _target(transaction_id, said.version, orchestrator)
    given = Ordered(
        order=said.order,
        reason=said.reason,
        by=context.actor,
        at=context.now,
        cause=context.message_id,
        step=said.step,
        output=said.output,
        target=target,
    )
    return await _take(_Told(transaction_id, said.order, dry_run), given, context, orchestrator)


@dataclass(frozen=True, slots=True)
class _Told:
    """Who was told something, and whether only to see what it would lead to."""

    transaction_id: TransactionId
    order: OrderKind | None
    dry_run: bool


async def _take(
    told: _Told, given: Ordered | Signalled, context: Context, orchestrator: Orchestrator
) -> OrderView:
    before = await orchestrator.load(told.transaction_id)
    if before.state is None:
        raise Refused(TransactionNotFound(transaction_id=told.transaction_id))
    foreseen = _decide(told, before.state, given)
    if told.dry_run:
        return _foreseen(told, before.state, foreseen)
    after = await orchestrator.advance(told.transaction_id, given, context)
    if isinstance(foreseen, Transition) and after.state == foreseen.state:
        return _foreseen(told, before.state, foreseen)
    # It had been carried out before, or something else happened in between: the log knows what.
    entries = await orchestrator.of(told.transaction_id).history(told.transaction_id)
    return _recorded(told, entries, context.message_id, repeated=isinstance(foreseen, Ignored))


def _decide(told: _Told, state: SagaState, given: Ordered | Signalled) -> Transition | Ignored:
    try:
        return decide(_definition_of(state), state, given)
    except DefinitionChangedError as error:
        # Nothing can be said to it until its own table is back.
        order = told.order or "take a signal"
        refusal = OrderRefused(transaction_id=told.transaction_id, order=order, because=str(error))
        raise Refused(refusal) from None


def _foreseen(told: _Told, before: SagaState, answer: Transition | Ignored) -> OrderView:
    """Show what an order leads to.

    Raises:
        Refused: it makes no sense where the transaction stands.
    """
    if isinstance(answer, Transition):
        return _view(told, before, answer.state, answer.commands)
    if answer.refusal is not None:
        raise Refused(answer.refusal)
    return _view(told, before, before, (), repeated=True)


def _recorded(told: _Told, entries: Sequence[Entry], cause: str, *, repeated: bool) -> OrderView:
    """Show what an order led to, as its entry has it; nothing where it led to none."""
    number = next((n for n, entry in enumerate(entries) if entry.cause == cause), len(entries))
    before, after = fold(entries[:number]), fold(entries[: number + 1])
    if before is None or after is None:
        raise Refused(TransactionNotFound(transaction_id=told.transaction_id))
    asked = read_commands(entries[number].effects) if number < len(entries) else ()
    return _view(told, before, after, asked, repeated=repeated)


def _view(
    told: _Told,
    before: SagaState,
    after: SagaState,
    asked: Sequence[StepCommand],
    *,
    repeated: bool = False,
) -> OrderView:
    return OrderView(
        transaction_id=told.transaction_id,
        order=told.order,
        dry_run=told.dry_run,
        before=shown_status(before),
        after=shown_status(after),
        steps=_changes(before, after),
        asks=[one.type for one in asked],
        repeated=repeated,
    )


def _definition_of(state: SagaState, version: int | None = None) -> Definition:
    try:
        return find(state.saga_type, version or state.version)
    except UnknownDefinitionError as error:
        raise Refused(SagaTypeUnknown(because=str(error))) from None


async def _target(
    transaction_id: TransactionId, version: int, orchestrator: Orchestrator
) -> Target:
    """Prove that a transaction would stand alike under another version, and name that."""
    entries = await orchestrator.of(transaction_id).history(transaction_id)
    state = fold(entries)
    if state is None:
        raise Refused(TransactionNotFound(transaction_id=transaction_id))
    definition = _definition_of(state, version)
    divergence = first_difference(entries, definition)
    if divergence is not None:
        raise Refused(
            NotReplayable(
                transaction_id=transaction_id,
                version=version,
                seq=divergence.seq,
                place=f"{divergence.file}:{divergence.line}",
            )
        )
    steps = tuple(step.name for step in definition.steps)
    return Target(version=version, hash=definition.hash, steps=steps)


def _said(command: Order) -> Said:
    order = ORDERS[type(command)]
    match command:
        case contract.CompleteStep():
            return Said(
                order=order, reason=command.reason, step=command.step, output=command.output
            )
        case contract.RetryStep() | contract.SkipStep():
            return Said(order=order, reason=command.reason, step=command.step)
        case contract.MigrateTransaction():
            return Said(order=order, reason=command.reason, version=command.version)
        case _:
            return Said(order=order, reason=command.reason)


def _changes(before: SagaState, after: SagaState) -> list[StepChange]:
    return [
        StepChange(step=name, before=before.steps[name].status, after=step.status)
        for name, step in after.steps.items()
        if name in before.steps and before.steps[name].status is not step.status
    ]
