"""`tracseq saga pause`, `retry`, ...: orders to one transaction, or to all that a filter selects.

What an order means where a transaction stands is decided by the service.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from contracts import saga_orders as contract
from contracts.message import Command
from contracts.saga_orders import OrderView
from contracts.transaction import OrderKind
from infra.http.client import EdgeClient
from services.cli import running
from services.cli.actor import who
from services.cli.outcome import command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga import bulk, listing
from services.cli.saga.given import (
    AsOption,
    DryRunOption,
    ReasonOption,
    check_named,
    read_object,
    show_order,
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One order, as the command line offers it."""

    message: type[Command[OrderView]]
    says: str
    steps: bool = False
    """Whether it is about a step."""


KINDS: Final[Mapping[OrderKind, _Kind]] = {
    OrderKind.PAUSE: _Kind(
        contract.PauseTransaction,
        "Let transactions stand still: nothing more is asked, and their clocks stop.",
    ),
    OrderKind.RESUME: _Kind(
        contract.ResumeTransaction,
        "Let paused transactions go on, with the time that their clocks had left.",
    ),
    OrderKind.CANCEL: _Kind(
        contract.CancelTransaction,
        "Undo what transactions did and end them; refused past the point of no return.",
    ),
    OrderKind.COMPENSATE: _Kind(
        contract.CompensateTransaction,
        "Undo what failed transactions did, or completed ones without a point of no return.",
    ),
    OrderKind.RETRY: _Kind(
        contract.RetryStep, "Ask a stuck step, or a stuck undo, again.", steps=True
    ),
    OrderKind.SKIP: _Kind(
        contract.SkipStep,
        "Go on without a stuck step, or leave undone what a stuck undo would undo.",
        steps=True,
    ),
    OrderKind.COMPLETE: _Kind(
        contract.CompleteStep,
        "Take a stuck step, or a stuck undo, as done by hand, with the answer given.",
        steps=True,
    ),
    OrderKind.MIGRATE: _Kind(
        contract.MigrateTransaction,
        "Go on under another version, where replay proves that all would stand alike.",
    ),
}
MANY: Final = (
    "Instead of an ID, options say which transactions: they are given the order together, as one "
    "recorded bulk order, after they were shown and confirmed (or with --yes)."
)


def register(group: typer.Typer) -> None:
    """Add a command for every order."""
    for order, kind in KINDS.items():
        _register(group, order, kind)


def _register(group: typer.Typer, order: OrderKind, kind: _Kind) -> None:
    async def give(  # noqa: PLR0913 - each is an option
        saga_id: Annotated[
            UUID | None, typer.Argument(metavar="[ID]", help="The transaction.")
        ] = None,
        *,
        reason: ReasonOption,
        step: Annotated[
            str | None,
            typer.Option(
                "--step",
                help=("Those at this step; with an ID, the step, where several are stuck.")
                if kind.steps
                else "Those at this step.",
            ),
        ] = None,
        answer: Annotated[
            str | None,
            typer.Option(
                "--output",
                metavar="JSON",
                hidden=order is not OrderKind.COMPLETE,
                help="What the step would have answered; later steps read it. JSON, or @FILE.",
            ),
        ] = None,
        version: Annotated[
            int | None,
            typer.Option(
                "--version",
                min=1,
                hidden=order is not OrderKind.MIGRATE,
                help="Of the definition to go on under.",
            ),
        ] = None,
        saga_type: listing.TypeOption = None,
        status: listing.StatusOption = None,
        actor: listing.ActorOption = None,
        correlation: listing.CorrelationOption = None,
        attribute: listing.AttributeOption = None,
        started_after: listing.StartedAfterOption = None,
        started_before: listing.StartedBeforeOption = None,
        changed_before: listing.ChangedBeforeOption = None,
        limit: bulk.LimitOption = contract.BULK_MAX,
        yes: bulk.YesOption = False,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        said = _said(order, answer, version) | {"reason": reason, "dry_run": dry_run}
        wanted = listing.selection(
            status=status,
            saga_type=saga_type,
            step=None if saga_id is not None and kind.steps else step,
            actor=actor,
            correlation=correlation,
            attribute=attribute,
            started_after=started_after,
            started_before=started_before,
            changed_before=changed_before,
        )
        check_named(saga_id, wanted)
        if kind.steps and step:
            said["step"] = step
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            if saga_id is not None:
                message = kind.message.model_validate({**said, "transaction_id": saga_id})
                show_order(await edge.ask(message), as_json=as_json)
                return
            many = {**said, "order": order, "filter": wanted, "limit": limit}
            given = contract.OrderTransactions.model_validate(many)
            await bulk.give(edge, given, yes=yes, as_json=as_json)

    give.__doc__ = f"{kind.says}\n\n{MANY}"
    command(group, order.value)(give)


def _said(order: OrderKind, answer: str | None, version: int | None) -> dict[str, Any]:
    if (version is not None) != (order is OrderKind.MIGRATE):
        migrates = order is OrderKind.MIGRATE
        remedy = "Say --version N." if migrates else "Leave it out."
        problem = "is needed to migrate" if migrates else f"means nothing to {order}"
        raise usage_error("--version", version or "", problem, remedy)
    if answer is not None and order is not OrderKind.COMPLETE:
        raise usage_error("--output", answer, f"means nothing to {order}", "Leave it out.")
    said: dict[str, Any] = {} if version is None else {"version": version}
    return said | ({} if answer is None else {"output": read_object("--output", answer)})
