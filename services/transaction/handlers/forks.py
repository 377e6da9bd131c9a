"""Begin a transaction anew from one of its steps; what was done before is taken over as it is."""

from pydantic import ValidationError

from contracts.errors import Refused
from contracts.saga_events import ForkPoint
from contracts.saga_orders import ForkTransaction, ForkView
from contracts.saga_tools import CannotFork, SagaTypeUnknown
from contracts.transaction import TransactionNotFound
from contracts.types import TransactionId
from infra.bus.context import Context
from sagas.definitions import UnknownDefinitionError, find
from sagas.engine.decision import Start, Transition
from sagas.engine.machine import decide
from sagas.replay.fork import CannotForkError, taken_over
from services.transaction.handlers.orchestrator import Orchestrator


async def on_fork(
    command: ForkTransaction, context: Context, *, orchestrator: Orchestrator
) -> ForkView:
    """Begin a fork, or show what it would take over and ask."""
    original = await orchestrator.load(command.transaction_id)
    state = original.state
    if state is None:
        raise Refused(TransactionNotFound(transaction_id=command.transaction_id))
    try:
        definition = find(state.saga_type, command.version or state.version)
    except UnknownDefinitionError as error:
        raise Refused(SagaTypeUnknown(because=str(error))) from None
    if not state.status.ended:
        because = f"it is {state.status}, so what comes after would be done twice: let it end."
        raise Refused(_cannot(command, because))
    try:
        definition.starts_with.model_validate(state.message)
        reused = taken_over(definition, state, command.at)
    except ValidationError as error:
        because = f"version {definition.version} cannot begin with its start message: {error}."
        raise Refused(_cannot(command, because)) from None
    except CannotForkError as error:
        raise Refused(_cannot(command, str(error))) from None
    fork_id = TransactionId(context.derive("fork"))
    begin = Start(
        saga_id=fork_id,
        message=state.message,
        at=context.now,
        actor=context.actor,
        correlation=state.correlation,
        cause=context.message_id,
        forked_from=ForkPoint(
            transaction_id=command.transaction_id, seq=original.seq, step=command.at
        ),
        reused=reused,
    )
    first = decide(definition, None, begin)
    if not command.dry_run:
        await orchestrator.advance(fork_id, begin, context, definition=definition)
    return ForkView(
        transaction_id=fork_id,
        forked_from=command.transaction_id,
        dry_run=command.dry_run,
        reused=list(reused),
        asks=[one.type for one in first.commands] if isinstance(first, Transition) else [],
    )


def _cannot(command: ForkTransaction, because: str) -> CannotFork:
    return CannotFork(transaction_id=command.transaction_id, step=command.at, because=because)
