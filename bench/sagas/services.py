"""The processes of the saga with real messages: `... services transaction|bench_left|bench_right`.

The transaction service is the laboratory's own, which here knows one more saga and the command that
begins it. The participants are services like any other, whose work is to answer.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from bench.sagas.contracts import COMMANDS, FIVE_STEPS, TRANSACTION, Begin, Done
from contracts.message import Command
from contracts.transaction import SubmissionView
from contracts.types import TransactionId
from infra.bus.context import Context
from infra.runtime import Platform, Service, handle, run
from infra.settings import ServiceSettings
from sagas import definitions
from sagas.engine.decision import start_with
from services.transaction import service as transaction
from services.transaction.handlers.orchestrator import Orchestrator
from services.transaction.settings import Settings as TransactionSettings


class ParticipantSettings(ServiceSettings):
    """Read from `TRACSEQ_BENCH_...`; each participant is a process and has its own."""

    model_config = SettingsConfigDict(env_prefix="TRACSEQ_BENCH_", frozen=True, extra="ignore")

    http_port: Annotated[int, Field(ge=0, le=65_535)]


async def on_step(command: Any, context: Context) -> Done:  # noqa: ANN401 - any of the steps
    """Do nothing, and say so in a small document."""
    del context
    return Done(saga=command.saga, step=len(command.contract.verb))


async def on_begin(
    command: Begin, context: Context, *, orchestrator: Orchestrator
) -> SubmissionView:
    """Begin a saga."""
    transaction_id = TransactionId(context.derive("transaction"))
    begin = start_with(
        command,
        saga_id=transaction_id,
        at=context.now,
        actor=context.actor,
        correlation=context.correlation,
        cause=context.message_id,
    )
    await orchestrator.advance(transaction_id, begin, context, definition=FIVE_STEPS)
    return SubmissionView(transaction_id=transaction_id, repeated=False)


def build_participant(name: str) -> Callable[[ParticipantSettings, Platform], Service]:
    """Put a participant together."""
    own: list[type[Command[Any]]] = [c for c in COMMANDS if c.contract.owner == name]

    def build(settings: ParticipantSettings, platform: Platform) -> Service:
        handlers = tuple(handle(command, on_step) for command in own)
        return Service(name=name, settings=settings, platform=platform, handlers=handlers)

    return build


def build_transaction(settings: TransactionSettings, platform: Platform) -> Service:
    """Put the transaction service together, with one command more."""
    # The registry is the laboratory's own; in this process it holds one saga more.
    definitions.__dict__["ALL"] = (*definitions.ALL, FIVE_STEPS)
    service = transaction.build(settings, platform)
    begin = handle(Begin, partial(on_begin, orchestrator=_orchestrator(service)))
    return replace(service, handlers=(*service.handlers, begin))


def _orchestrator(service: Service) -> Orchestrator:
    """Give the one that the service's own handlers use, so that sagas are remembered once."""
    for handler in service.handlers:
        if isinstance(handler.call, partial):
            given = handler.call.keywords.get("orchestrator")
            if isinstance(given, Orchestrator):
                return given
    raise LookupError("no handler of the transaction service is given an orchestrator")


if __name__ == "__main__":
    wanted = sys.argv[1]
    if wanted == TRANSACTION:
        run(wanted, build_transaction, TransactionSettings)
    else:
        run(wanted, build_participant(wanted), ParticipantSettings)
