"""`tracseq submit`: hand in a manifest through the edge and watch its saga."""

from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from contracts.transaction import GetTransaction, SubmissionView, SubmitManifest, TransactionView
from contracts.types import FileRef, TransactionId
from infra.clock import SYSTEM
from infra.http.body import UNSTORED
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import ActorOption, who
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

POLL_SECONDS = 0.2
FILE_BYTES_MAX = 32 * 1024 * 1024
"""What the edge takes at most; a larger file is not even read."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def submit(
        file: Annotated[Path, typer.Argument(help="The manifest: CSV, XLSX or ODS.")],
        *,
        partial: Annotated[
            bool, typer.Option("--partial", help="Take the valid rows, leave the others out.")
        ] = False,
        sheet: Annotated[
            str | None, typer.Option(help="The sheet, where there are several.")
        ] = None,
        email: Annotated[
            list[str] | None, typer.Option(help="Who is told at the end; may be repeated.")
        ] = None,
        wait: Annotated[
            bool, typer.Option("--wait/--no-wait", help="Watch until it has ended.")
        ] = True,
        timeout_seconds: Annotated[
            float, typer.Option(min=1, max=86_400, help="How long to watch.")
        ] = 300,
        actor: ActorOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Submit a manifest: every row becomes a stored sample, or nothing happens at all.

        Watches the transaction to its end and exits with 0 only if it completed. The same file
        twice is one submission, unless the first came to nothing.
        """
        content = read_manifest(file)
        async with EdgeClient(running.edge_url(data), actor=who(actor)) as edge:
            submission = await send(
                edge, file.name, content, sheet=sheet, partial=partial, emails=email or []
            )
            if not wait:
                _print_submission(submission, as_json=as_json)
                return
            if submission.repeated and not as_json:
                output.notice("This file was submitted before; this is what became of it.")
            view = await watch(
                edge, submission.transaction_id, timeout_seconds=timeout_seconds, quiet=as_json
            )
        if as_json:
            output.print_json(view)
        judge(view)


def read_manifest(file: Path) -> bytes:
    """Read the file.

    Raises:
        CliError: it cannot be read, or is larger than the edge takes.
    """
    if not file.is_file():
        raise usage_error("FILE", str(file), "is no file", "Give the path of a manifest.")
    size_bytes = file.stat().st_size
    if size_bytes > FILE_BYTES_MAX:
        remedy = f"At most {FILE_BYTES_MAX // 1024**2} MB are taken: split it."
        raise usage_error("FILE", str(file), f"has {size_bytes} bytes", remedy)
    return file.read_bytes()


async def send(
    edge: EdgeClient,
    name: str,
    content: bytes,
    *,
    sheet: str | None,
    partial: bool,
    emails: list[str],
) -> SubmissionView:
    """Hand in a manifest."""
    # Stands in for the file, which the edge keeps and names by its content.
    unsent = FileRef(sha256=UNSTORED, size_bytes=len(content), name=name)
    manifest = SubmitManifest(file=unsent, sheet=sheet, partial=partial, emails=emails)
    return await edge.ask(manifest, files={"file": (name, content)})


async def watch(
    edge: EdgeClient, transaction_id: TransactionId, *, timeout_seconds: float, quiet: bool
) -> TransactionView:
    """Follow a transaction to its end, showing its steps unless told to be quiet.

    Raises:
        CliError: it did not end in time; it goes on without us.
    """
    deadline = SYSTEM.monotonic() + timeout_seconds
    query = GetTransaction(transaction_id=transaction_id)
    with Live(console=output.stderr(), auto_refresh=False, transient=False) as live:
        while True:
            view = await edge.ask(query)
            if not quiet:
                live.update(steps_table(view), refresh=True)
            if view.status.ended:
                break
            if SYSTEM.monotonic() > deadline:
                remedy = f"It goes on; `tracseq saga show {transaction_id}` tells how."
                raise CliError(f"It has not ended within {timeout_seconds:g} s.", remedy=remedy)
            await SYSTEM.sleep(POLL_SECONDS)
    if not quiet and not output.stderr().is_terminal:
        # A live table that is no terminal's ends without a new line.
        output.stderr().print()
    return view


def steps_table(view: TransactionView) -> Table:
    """Show a transaction and its steps."""
    title = f"{view.saga_type} {view.transaction_id}: {output.cell(view.status.value)}"
    columns = ("Step", "Status", "Tries", "Ended", "Detail")
    rows = ((s.name, s.status.value, s.attempts or None, s.ended_at, s.detail) for s in view.steps)
    return output.make_table(title, columns, rows)


def judge(view: TransactionView) -> None:
    """Return where a transaction completed.

    Raises:
        CliError: it did not; the problem says why and what remains.
    """
    problem = view.to_problem()
    if problem is not None:
        raise CliError(
            f"{problem.detail} [{problem.code}] Transaction {view.status.value}.", problem=problem
        )


def _print_submission(submission: SubmissionView, *, as_json: bool) -> None:
    if as_json:
        output.print_json(submission)
        return
    again = " (submitted before)" if submission.repeated else ""
    output.stdout().print(f"Transaction {submission.transaction_id}{again}.")
