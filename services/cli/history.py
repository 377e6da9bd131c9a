"""`tracseq history`: everything that happened to one aggregate, from its log, its chain checked."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from contracts import subjects
from contracts.entry import BrokenChainError, Entry, read_entry, verify_chain
from infra.bus.streams import LOG_OWNERS
from infra.clock import SYSTEM
from infra.log.loading import Loader
from services.cli import output
from services.cli.broker import connection_to
from services.cli.events import parse_since
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

TRANSACTION = "transaction"
SHORT = {"container": "storage", "location": "storage", "barcode": "sample"}
"""Aggregates whose owner has another name; every other one is its owner's namesake."""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def history(
        aggregate: Annotated[
            str, typer.Argument(help="sample, transaction ..., or OWNER.AGGREGATE.")
        ],
        key: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
        *,
        at: Annotated[
            str | None, typer.Option(help="Only what was known then: a time, or 2h for ago.")
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Show everything that happened to one thing, oldest first, straight from its log.

        The hash chain is checked: an entry that was edited, dropped or moved is an error.
        """
        until = parse_since(at, SYSTEM.now()) if at is not None else None
        stream, subject = place(aggregate, key)
        entries = await _read(data, stream, subject)
        if not entries:
            raise CliError(
                f"There is no {aggregate} {key}.", remedy="Check the id; lists show what there is."
            )
        _show([e for e in entries if until is None or e.at <= until], as_json=as_json)


def place(aggregate: str, key: str) -> tuple[str, str]:
    """Give the stream and the subject of an aggregate's log.

    Raises:
        CliError: nobody keeps such a log.
    """
    if aggregate == TRANSACTION:
        try:
            saga_id = UUID(key)
        except ValueError:
            raise usage_error(
                "ID", key, "is no transaction id", "Give it as it was answered."
            ) from None
        return subjects.saga_stream(subjects.saga_partition(saga_id)), subjects.saga_log(saga_id)
    owner, _, kind = aggregate.rpartition(".")
    owner = owner or SHORT.get(kind, kind)
    if owner not in LOG_OWNERS:
        remedy = f"Write OWNER.AGGREGATE; owners are: {', '.join(LOG_OWNERS)}."
        raise usage_error("AGGREGATE", aggregate, "is not known", remedy)
    return subjects.log_stream(owner), subjects.log_of(owner, kind, key)


async def _read(data: Path, stream: str, subject: str) -> list[Entry]:
    async with connection_to(data) as connection:
        raws = await Loader(connection, stream).raws(subject)
    try:
        verify_chain(raw.body for raw in raws)
    except BrokenChainError as error:
        remedy = "The log was damaged or tampered with: restore it from a backup, and find out how."
        raise CliError(f"The log {subject} is broken: {error}.", remedy=remedy) from None
    return [read_entry(raw.body, subject=raw.subject, seq=raw.seq) for raw in raws]


def _show(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        output.print_json([_document(entry) for entry in entries])
        return
    columns = ("#", "At", "Who", "What", "Details")
    rows = (
        (e.number, e.at, e.actor, x.contract.type, _details(x.model_dump(mode="json")))
        for e in entries
        for x in e.events
    )
    output.stdout().print(output.make_table("", columns, rows))


def _details(data: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in data.items() if value is not None)


def _document(entry: Entry) -> dict[str, object]:
    at: datetime = entry.at
    return {
        "number": entry.number,
        "seq": entry.seq,
        "at": at,
        "actor": entry.actor,
        "cause": entry.cause,
        "correlation": entry.correlation,
        "hash": entry.hash,
        "prev_hash": entry.prev_hash,
        "events": [
            {"type": x.contract.type, "data": x.model_dump(mode="json")} for x in entry.events
        ],
    }
