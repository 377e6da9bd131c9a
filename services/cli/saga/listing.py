"""`tracseq saga list`: which transactions there are, found by what their definitions make known.

The options that select are declared here once, for every command that acts on many. What a filter
means is decided by the service.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from contracts.transaction import ListTransactions, TransactionStatus, TransactionView
from contracts.types import Page
from infra.clock import SYSTEM
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.events import parse_since
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

WHEN = "a time, or how long ago: 2026-01-31T12:00:00Z, 15m, 2h, 3d"

StatusOption = Annotated[
    list[TransactionStatus] | None,
    typer.Option("--status", help="Those that stand so; repeat it for any of several."),
]
TypeOption = Annotated[str | None, typer.Option("--type", help="Those of this type of saga.")]
StepOption = Annotated[
    str | None,
    typer.Option("--step", help="Those at this step: asked, awaited, being undone, or stuck."),
]
ActorOption = Annotated[str | None, typer.Option("--actor", help="Those that this actor began.")]
CorrelationOption = Annotated[
    str | None, typer.Option("--correlation", help="Those of this correlation.")
]
AttributeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        metavar="NAME:VALUE",
        help="Those with this attribute; repeat it for all of several.",
    ),
]
StartedAfterOption = Annotated[
    str | None, typer.Option("--started-after", help=f"Those that began then or later: {WHEN}.")
]
StartedBeforeOption = Annotated[
    str | None, typer.Option("--started-before", "--before", help="Those that began before.")
]
ChangedBeforeOption = Annotated[
    str | None, typer.Option("--changed-before", help="Those to which nothing happened since.")
]


def selection(
    *,
    status: Iterable[TransactionStatus] | None,
    saga_type: str | None,
    step: str | None,
    actor: str | None,
    correlation: str | None,
    attribute: Iterable[str] | None,
    started_after: str | None,
    started_before: str | None,
    changed_before: str | None,
) -> dict[str, Any]:
    """Give the fields of a `TransactionFilter` that were said; what was not said is left out.

    Raises:
        CliError: a time cannot be read.
    """
    said = {
        "status": list(status or ()),
        "saga_type": saga_type,
        "step": step,
        "actor": actor,
        "correlation": correlation,
        "attribute": list(attribute or ()),
        "started_after": _moment(started_after),
        "started_before": _moment(started_before),
        "changed_before": _moment(changed_before),
    }
    return {name: value for name, value in said.items() if value}


def register(group: typer.Typer) -> None:
    """Add the command to its group."""

    @command(group, "list")
    async def list_sagas(  # noqa: PLR0913 - each is an option
        *,
        status: StatusOption = None,
        saga_type: TypeOption = None,
        step: StepOption = None,
        actor: ActorOption = None,
        correlation: CorrelationOption = None,
        attribute: AttributeOption = None,
        started_after: StartedAfterOption = None,
        started_before: StartedBeforeOption = None,
        changed_before: ChangedBeforeOption = None,
        min_seq: Annotated[
            str | None,
            typer.Option(metavar="ID:SEQ", help="Wait until this transition is listed."),
        ] = None,
        page: Annotated[int, typer.Option(min=1, help="Which page.")] = 1,
        page_size: Annotated[int, typer.Option(min=1, max=1_000, help="How many on a page.")] = 50,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """List transactions, newest first: those of which all that is asked holds."""
        wanted = selection(
            status=status,
            saga_type=saga_type,
            step=step,
            actor=actor,
            correlation=correlation,
            attribute=attribute,
            started_after=started_after,
            started_before=started_before,
            changed_before=changed_before,
        )
        placed = {"page": page, "page_size": page_size} | ({"min_seq": min_seq} if min_seq else {})
        query = ListTransactions.model_validate(wanted | placed)
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        if as_json:
            output.print_json(found)
        else:
            _show(found)


def _show(found: Page[TransactionView]) -> None:
    columns = ("Transaction", "Type", "Status", "Started", "Ended", "Failed at", "Why")
    rows = (
        (
            t.transaction_id,
            t.saga_type,
            t.status.value,
            t.started_at,
            t.ended_at,
            t.failure.step if t.failure else None,
            t.failure.code if t.failure else None,
        )
        for t in found.items
    )
    title = f"{len(found.items)} of {found.total}"
    output.stdout().print(output.make_table(title, columns, rows))


def _moment(text: str | None) -> datetime | None:
    return parse_since(text, SYSTEM.now()) if text is not None else None
