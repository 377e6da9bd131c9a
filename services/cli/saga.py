"""`tracseq saga`: transactions that span services; list, look, export, replay."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from contracts.transaction import (
    ExportTransaction,
    GetTransaction,
    GetTransactionHistory,
    TransitionView,
)
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from services.cli import output, rebuild, replay, running, saga_archive, saga_list
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.submit import steps_table

IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="The transaction.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Transactions that span services (sagas).")
    app.add_typer(group, name="saga")
    saga_list.register(group)
    _register_show(group)
    _register_export(group)
    replay.register(group)
    rebuild.register_for_sagas(group)
    saga_archive.register(group)


def _register_show(group: typer.Typer) -> None:
    @command(group, "show")
    async def show_saga(
        saga_id: IdArgument, *, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False
    ) -> None:
        """Show a transaction: its steps, every transition, and why it failed where it did."""
        transaction_id = TransactionId(saga_id)
        async with EdgeClient(running.edge_url(data)) as edge:
            view = await edge.ask(GetTransaction(transaction_id=transaction_id))
            history = await edge.ask(GetTransactionHistory(transaction_id=transaction_id))
        if as_json:
            output.print_json({"transaction": view, "history": history})
            return
        out = output.stdout()
        out.print(steps_table(view))
        rows = (
            (t.number, t.at, t.status.value, _events(t), t.cause, t.trace_id)
            for t in history.transitions
        )
        out.print(
            output.make_table(
                "Transitions", ("#", "At", "Status", "Events", "Because of", "Trace"), rows
            )
        )
        problem = view.to_problem()
        if problem is not None:
            out.print(
                f"[bold]Why:[/] {output.cell(problem.detail)} [{problem.code}]", highlight=False
            )
            output.print_field_errors(problem.errors)


def _register_export(group: typer.Typer) -> None:
    @command(group, "export")
    async def export_saga(
        saga_id: IdArgument,
        *,
        out: Annotated[
            Path | None, typer.Option(help="Write it there; standard output by default.")
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Export a transaction's whole history as JSON, fit for replay and verification."""
        async with EdgeClient(running.edge_url(data)) as edge:
            history = await edge.ask(ExportTransaction(transaction_id=TransactionId(saga_id)))
        if out is None:
            output.print_json(history)
            return
        out.write_text(json.dumps(history, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        if as_json:
            output.print_json(
                {"transaction_id": saga_id, "file": str(out), "entries": _entries(history)}
            )
            return
        output.stdout().print(f"{_entries(history)} transitions are in {output.cell(out)}.")


def _events(transition: TransitionView) -> str:
    return ", ".join(str(event.get("type", event)) for event in transition.events)


def _entries(history: dict[str, Any]) -> int:
    return len(history.get("entries", []))
