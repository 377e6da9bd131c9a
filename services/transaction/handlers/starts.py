"""Commands that begin a transaction of their own: one for each saga that is asked for by name.

A repeated command finds the saga that it began. A manifest is not among them: its content may have
been submitted before, which `inputs.py` looks after. What a saga does first is decided in `sagas`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from contracts.errors import Refused
from contracts.message import Command, result_of
from contracts.saga_tools import ServicesMissing
from contracts.transaction import SubmissionView, SubmitManifest
from contracts.types import TransactionId
from infra.bus.context import Context
from infra.bus.handler import Handler, handle
from sagas.engine.decision import start_with
from sagas.engine.definition import Definition
from services.transaction import domain
from services.transaction.handlers.orchestrator import Orchestrator

OWNER: Final = "transaction"
"""Only what is sent to this service can begin a saga here; others begin as children alone."""


def starting(
    definitions: Iterable[Definition], standing: Collection[str], orchestrator: Orchestrator
) -> Sequence[Handler]:
    """Make a handler for every command that begins a saga, under its newest version.

    Raises:
        ValueError: two sagas begin with the same command, or one whose answer is another.
    """
    return [
        handle(
            command,
            partial(
                on_start,
                definition=definition,
                missing=domain.missing_services(definition, standing),
                orchestrator=orchestrator,
            ),
        )
        for command, definition in _newest(definitions).items()
    ]


async def on_start(
    command: Command[SubmissionView],
    context: Context,
    *,
    definition: Definition,
    missing: Sequence[str],
    orchestrator: Orchestrator,
) -> SubmissionView:
    """Begin a saga, or point to the one that the same command began before."""
    if missing:
        services = ", ".join(missing)
        raise Refused(ServicesMissing(saga_type=definition.saga_type, services=services))
    transaction_id = TransactionId(context.derive("transaction"))
    begin = start_with(
        command,
        saga_id=transaction_id,
        at=context.now,
        actor=context.actor,
        correlation=context.correlation,
        cause=context.message_id,
    )
    before = await orchestrator.load(transaction_id) if context.again else None
    await orchestrator.advance(transaction_id, begin, context, definition=definition)
    return SubmissionView(
        transaction_id=transaction_id, repeated=before is not None and before.state is not None
    )


def _newest(definitions: Iterable[Definition]) -> Mapping[type[Command[Any]], Definition]:
    found: dict[type[Command[Any]], Definition] = {}
    for definition in definitions:
        command = definition.starts_with
        if command is SubmitManifest or command.contract.owner != OWNER:
            continue
        if result_of(command) is not SubmissionView:
            raise ValueError(
                f"{command.contract.type} begins {definition.saga_type}, so its answer must be a "
                "SubmissionView: declare it as Command[SubmissionView]"
            )
        known = found.get(command)
        if known is not None and known.saga_type != definition.saga_type:
            raise ValueError(
                f"{command.contract.type} begins {known.saga_type} and {definition.saga_type}: "
                "give one of them a start command of its own"
            )
        if known is None or definition.version > known.version:
            found[command] = definition
    return found
