"""One order to many transactions: shown first, confirmed, given once, and watched to its end.

The service selects, records and carries out; whoever stops watching stops nothing.
"""

import sys
from typing import Annotated
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from contracts.saga_orders import BULK_MAX, BulkOrderView, OrderTransactions
from contracts.saga_tools import CancelBulkOrder, GetBulkOrder
from contracts.transaction import ListTransactions
from infra.clock import SYSTEM
from infra.http.client import EdgeClient, EdgePendingError, EdgeRefusedError
from services.cli import output, running
from services.cli.actor import who
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.given import AsOption, ReasonOption

POLL_SECONDS = 0.5
QUIET_SECONDS_MAX = 300.0
"""A bulk order that comes no further for this long is no longer watched; it may go on."""
SHOWN_MAX = 20
"""Transactions of a selection, or reasons of refusals, that are listed."""

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask whether to go on.")]
LimitOption = Annotated[
    int, typer.Option(min=1, max=BULK_MAX, help="How many one bulk order selects at most.")
]
BulkArgument = Annotated[UUID, typer.Argument(metavar="BULK_ID", help="The bulk order.")]


async def give(edge: EdgeClient, order: OrderTransactions, *, yes: bool, as_json: bool) -> None:
    """Show whom an order would reach, have it confirmed, give it and watch it.

    Raises:
        CliError: nobody confirmed it, or some could not follow it.
    """
    if not order.dry_run and not yes:
        await _confirm(edge, order)
    try:
        view = await edge.ask(order)
    except EdgePendingError as pending:
        if order.dry_run:
            raise
        view = await _watch(edge, UUID(pending.location.rpartition("/")[2]))
    _show(view, as_json=as_json)
    if view.refused and not view.dry_run:
        raise CliError(
            f"{len(view.refused)} of {view.selected} transactions did not follow.",
            remedy=f"`tracseq saga orders show {view.bulk_id}` says why.",
        )


async def _confirm(edge: EdgeClient, order: OrderTransactions) -> None:
    if not sys.stdin.isatty():
        remedy = "Say --yes, or --dry-run to see whom it would reach."
        raise usage_error("--yes", "", "is needed where nobody can be asked", remedy)
    wanted = order.filter.model_dump(exclude_unset=True)
    found = await edge.ask(ListTransactions.model_validate({**wanted, "page_size": SHOWN_MAX}))
    rows = ((t.transaction_id, t.saga_type, t.status.value, t.started_at) for t in found.items)
    columns = ("Transaction", "Type", "Status", "Started")
    output.stderr().print(output.make_table(f"{found.total} selected", columns, rows))
    if found.total > SHOWN_MAX:
        output.notice(f"... and {found.total - SHOWN_MAX} more.")
    if not found.total:
        raise CliError("No transaction is selected.", remedy="`tracseq saga list` shows them.")
    if not typer.confirm(f"{order.order} {min(found.total, order.limit)} transactions?", err=True):
        raise CliError("Nothing was done.")


async def _watch(edge: EdgeClient, bulk_id: UUID) -> BulkOrderView:
    """Follow a bulk order to its end.

    Raises:
        CliError: it comes no further; it may go on without us.
    """
    console = output.stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    reached, moved_at = -1, SYSTEM.monotonic()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task("Transactions", total=None)
        while SYSTEM.monotonic() - moved_at < QUIET_SECONDS_MAX:
            view = await _look(edge, bulk_id)
            if view is not None:
                if view.finished:
                    return view
                now = view.done + len(view.refused)
                shown.update(task, completed=now, total=view.selected)
                if now > reached:
                    reached, moved_at = now, SYSTEM.monotonic()
            await SYSTEM.sleep(POLL_SECONDS)
    raise CliError(
        f"The bulk order {bulk_id} comes no further.",
        remedy=f"`tracseq saga orders show {bulk_id}` tells how far it is.",
    )


async def _look(edge: EdgeClient, bulk_id: UUID) -> BulkOrderView | None:
    """Give how far an order is; None where it was stored and not begun."""
    try:
        return await edge.ask(GetBulkOrder(bulk_id=bulk_id))
    except EdgeRefusedError as error:
        if error.problem.code != "transaction.bulk_order_not_found":
            raise
        return None


def register(group: typer.Typer) -> None:
    """Add the group that looks at bulk orders."""
    orders = typer.Typer(no_args_is_help=True, help="Bulk orders: how far they are; stop one.")
    group.add_typer(orders, name="orders")

    @command(orders, "show")
    async def show_order(
        bulk_id: BulkArgument, *, data: DataOption = DATA_DEFAULT, as_json: JsonOption = False
    ) -> None:
        """Show how far a bulk order is, and why some transactions could not follow it."""
        async with EdgeClient(running.edge_url(data)) as edge:
            _show(await edge.ask(GetBulkOrder(bulk_id=bulk_id)), as_json=as_json)

    @command(orders, "cancel")
    async def cancel_order(
        bulk_id: BulkArgument,
        *,
        reason: ReasonOption,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Stop a bulk order where it is; what was done stays done."""
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            view = await edge.ask(CancelBulkOrder(bulk_id=bulk_id, reason=reason))
        _show(view, as_json=as_json)


def _show(view: BulkOrderView, *, as_json: bool) -> None:
    if as_json:
        output.print_json(view)
        return
    out = output.stdout()
    would = "would follow" if view.dry_run else "followed"
    out.print(f"{view.order}: {view.done} of {view.selected} transactions {would}.")
    for transaction_id, why in list(view.refused.items())[:SHOWN_MAX]:
        out.print(f"{transaction_id}: {output.cell(why)}", soft_wrap=True, highlight=False)
    if len(view.refused) > SHOWN_MAX:
        out.print(f"... and {len(view.refused) - SHOWN_MAX} more; --json lists all.")
    if not view.dry_run:
        state = "cancelled" if view.cancelled else "finished" if view.finished else "under way"
        out.print(f"Bulk order {view.bulk_id}: {state}.")
