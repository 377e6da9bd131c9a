"""`tracseq saga archive`: move the histories of what ended long ago to the archive."""

from typing import Annotated

import typer

from contracts.saga_archive import ARCHIVE_MAX, ArchiveTransactions, ArchiveView
from infra.clock import SYSTEM
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import ActorOption, who
from services.cli.events import parse_since
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

PORTION = 1_000
"""Transactions that one order moves: it is done well before the edge stops waiting."""
DAY_SECONDS = 86_400


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "archive")
    async def archive_sagas(
        *,
        older_than: Annotated[
            str, typer.Option(help="Since it ended: 30d, 12h, or a time such as 2026-01-31.")
        ] = "30d",
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
        actor: ActorOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Archive what completed, was undone or was cancelled long ago; what failed stays.

        Each transaction keeps its id and stays in lists; its history is read from the archive.
        """
        now = SYSTEM.now()
        days = (now - parse_since(older_than, now)).total_seconds() / DAY_SECONDS
        done: ArchiveView | None = None
        async with EdgeClient(running.edge_url(data), actor=who(actor)) as edge:
            while done is None or not done.complete:
                part = await edge.ask(
                    ArchiveTransactions(
                        older_than_days=max(0.0, days),
                        limit=ARCHIVE_MAX if dry_run else PORTION,
                        dry_run=dry_run,
                    )
                )
                done = part if done is None else _sum(done, part)
                if dry_run or not part.archived:
                    break
        if as_json:
            output.print_json(done)
            return
        would = "would be" if dry_run else "were"
        output.stdout().print(
            f"{done.archived:,} transactions with {done.entries:,} transitions {would} archived"
            + ("." if dry_run else f": {done.files} files, {done.size_bytes / 1e6:.1f} MB.")
        )
        if done.left:
            output.stdout().print(f"{done.left} stay as they are: the service's log says why.")


def _sum(one: ArchiveView, other: ArchiveView) -> ArchiveView:
    return ArchiveView(
        dry_run=other.dry_run,
        archived=one.archived + other.archived,
        entries=one.entries + other.entries,
        files=one.files + other.files,
        size_bytes=one.size_bytes + other.size_bytes,
        left=other.left,
        complete=other.complete,
    )
