"""`tracseq saga signal` and `approve`: tell a transaction what it waits for."""

from typing import Annotated, Any

import typer

from contracts.saga_orders import SignalTransaction
from contracts.transaction import GetTransaction
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from services.cli import running
from services.cli.actor import who
from services.cli.outcome import CliError, command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.given import AsOption, DryRunOption, read_object, show_order
from services.cli.saga.targets import IdArgument

APPROVAL = "approval"
"""What approvals are called where a definition says nothing else."""


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_signal(group)
    _register_approve(group)


def _register_signal(group: typer.Typer) -> None:
    @command(group, "signal")
    async def send_signal(
        saga_id: IdArgument,
        name: Annotated[str, typer.Argument(help="The signal, as `show` lists what is awaited.")],
        content: Annotated[
            str | None,
            typer.Argument(metavar="[JSON]", help="What it says: a JSON object, or @FILE."),
        ] = None,
        *,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Send a transaction a signal that it waits for."""
        said = {"signal": name, "data": read_object("JSON", content), "dry_run": dry_run}
        order = SignalTransaction.model_validate({"transaction_id": saga_id, **said})
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            show_order(await edge.ask(order), as_json=as_json)


def _register_approve(group: typer.Typer) -> None:
    @command(group, "approve")
    async def approve(
        saga_id: IdArgument,
        *,
        deny: Annotated[bool, typer.Option("--deny", help="Say no instead.")] = False,
        comment: Annotated[str, typer.Option(help="What is said with it.")] = "",
        signal: Annotated[
            str | None, typer.Option(help="Which approval, where it waits for several.")
        ] = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Approve what a transaction waits to be approved, or deny it."""
        transaction_id = TransactionId(saga_id)
        said: dict[str, Any] = {"approved": not deny} | ({"comment": comment} if comment else {})
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            name = signal or await _awaited(edge, transaction_id)
            fields = {"signal": name, "data": said, "dry_run": dry_run}
            order = SignalTransaction.model_validate({"transaction_id": transaction_id, **fields})
            show_order(await edge.ask(order), as_json=as_json)


async def _awaited(edge: EdgeClient, transaction_id: TransactionId) -> str:
    """Name the approval that is awaited; the usual name where none is, and the edge says why not.

    Raises:
        CliError: several signals are, and none of them by the usual name.
    """
    view = await edge.ask(GetTransaction(transaction_id=transaction_id))
    names = list(dict.fromkeys(one.signal for one in view.awaits))
    if APPROVAL in names or not names:
        return APPROVAL
    if len(names) > 1:
        listed = ", ".join(names)
        raise CliError(
            f"{transaction_id} waits for several signals: {listed}.", remedy="Name one: --signal."
        )
    return names[0]
