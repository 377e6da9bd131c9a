"""`tracseq saga export`: histories as sealed files, which can be replayed and verified anywhere."""

import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from contracts.transaction import ExportTransaction, ListTransactions
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from sagas.replay.export import KEY_BYTES_MIN, Key, export_lines
from services.cli import output, running
from services.cli.outcome import command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga import listing
from services.cli.saga.given import check_named
from services.cli.saga.replay import progress
from services.cli.saga.targets import selected

EXPORT_MAX = 100_000
"""Transactions that one filter exports."""
KEY_HELP = (
    f"A file of at least {KEY_BYTES_MIN} secret bytes (`openssl rand -out audit.key 32` makes "
    "one), shared by whoever signs and whoever checks."
)


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "export")
    async def export_sagas(  # noqa: PLR0913 - each is an option
        saga_ids: Annotated[
            list[UUID] | None, typer.Argument(metavar="[ID]...", help="The transactions.")
        ] = None,
        *,
        out: Annotated[
            Path | None,
            typer.Option(
                help="Write it there; standard output by default. For several it is a folder, and "
                "each has a file of its own in it, named by its id."
            ),
        ] = None,
        sign: Annotated[
            Path | None,
            typer.Option(metavar="KEYFILE", help=f"Sign with HMAC-SHA-256. {KEY_HELP}"),
        ] = None,
        status: listing.StatusOption = None,
        saga_type: listing.TypeOption = None,
        step: listing.StepOption = None,
        actor: listing.ActorOption = None,
        correlation: listing.CorrelationOption = None,
        attribute: listing.AttributeOption = None,
        started_after: listing.StartedAfterOption = None,
        started_before: listing.StartedBeforeOption = None,
        changed_before: listing.ChangedBeforeOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Export whole histories: those of the transactions named, or all that a filter selects.

        An export is JSON lines: a header, one line per entry, and a seal, by which
        `tracseq saga verify` finds whatever was edited since. A seal alone does not stop somebody
        who edits the file and computes the seal anew; a signature (--sign) does.
        """
        key = read_key(sign)
        wanted = listing.selection(
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
        check_named(saga_ids, wanted)
        several = bool(wanted) or len(saga_ids or ()) > 1
        if out is not None and several:
            _make_folder(out)
        written: list[dict[str, Any]] = []
        async with EdgeClient(running.edge_url(data)) as edge:
            with progress() as shown:
                task = shown.add_task("Exported", total=None)
                async for one in _wanted(edge, saga_ids or [], wanted):
                    history = await edge.ask(ExportTransaction(transaction_id=one))
                    written.append(_write(history, out, key))
                    shown.advance(task)
        if out is None:
            return
        if as_json:
            output.print_json(written if several else written[0])
            return
        count = sum(one["entries"] for one in written)
        whose = f" of {len(written)} transactions" if several else ""
        output.stdout().print(f"{count} transitions{whose} are in {output.cell(out)}.")


async def _wanted(
    edge: EdgeClient, ids: Sequence[UUID], wanted: dict[str, Any]
) -> AsyncGenerator[TransactionId]:
    for one in ids:
        yield TransactionId(one)
    if not ids:
        async for one in selected(edge, ListTransactions.model_validate(wanted), EXPORT_MAX):
            yield one


def _write(history: dict[str, Any], out: Path | None, key: Key | None) -> dict[str, Any]:
    transaction_id = history["transaction_id"]
    lines = export_lines(history, key)
    if out is None:
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return {}
    file = out / f"{transaction_id}.jsonl" if out.is_dir() else out
    with file.open("wb") as written:
        written.writelines(lines)
    return {
        "transaction_id": transaction_id,
        "file": str(file),
        "entries": len(history["entries"]),
        "signed_with": None if key is None else key.fingerprint,
    }


def read_key(file: Path | None) -> Key | None:
    """Read a key; None where no file is named.

    Raises:
        CliError: it cannot be read, or could be guessed.
    """
    if file is None:
        return None
    with suppress(FileNotFoundError, IsADirectoryError):
        try:
            return Key(file.read_bytes())
        except ValueError as error:
            raise usage_error("KEYFILE", str(file), f"is no key: {error}", KEY_HELP) from None
    raise usage_error("KEYFILE", str(file), "is no file", KEY_HELP)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        remedy = "Name a folder: each transaction has a file of its own."
        raise usage_error("--out", str(out), "is no folder", remedy) from None
