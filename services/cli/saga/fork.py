"""`tracseq saga fork`: begin a process anew from one of its steps."""

from typing import Annotated

import typer

from contracts.saga_orders import ForkTransaction
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import who
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.given import AsOption, DryRunOption, ReasonOption
from services.cli.saga.targets import IdArgument


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "fork")
    async def fork_saga(
        saga_id: IdArgument,
        *,
        at: Annotated[str, typer.Option(metavar="STEP", help="The first step that is done anew.")],
        reason: ReasonOption,
        version: Annotated[
            int | None, typer.Option(min=1, help="Of the definition; the same by default.")
        ] = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Begin a transaction anew from a step; the steps before it keep their answers.

        The fork is a transaction of its own, which names the one that it branched off.
        """
        said = {"transaction_id": saga_id, "at": at, "reason": reason, "dry_run": dry_run}
        order = ForkTransaction.model_validate(said | ({"version": version} if version else {}))
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            view = await edge.ask(order)
        if as_json:
            output.print_json(view)
            return
        out = output.stdout()
        would = "would be" if view.dry_run else "is"
        fork = "A fork" if view.dry_run else str(view.transaction_id)
        out.print(f"{fork} {would} forked from {view.forked_from} at {output.cell(at)}.")
        out.print(f"Takes over: {', '.join(view.reused) or 'nothing'}")
        out.print(f"Asks: {', '.join(view.asks) or 'nothing at once'}")
