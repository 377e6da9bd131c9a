"""`tracseq saga replay`: would today's definitions decide as recorded histories say they did?"""

import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import typer

from contracts.transaction import ExportTransaction, ListTransactions
from contracts.types import TransactionId
from infra.clock import SYSTEM
from infra.http.client import EdgeClient
from sagas.replay.difference import Divergence
from sagas.replay.replay import Report, replay
from services.cli import output, running
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

PAGE_SIZE = 200
NEWEST = 1_000
"""How many histories are replayed where none are named and no other number is given."""


def register(group: typer.Typer) -> None:
    """Add the command to the group `saga`."""

    @command(group, "replay")
    async def replay_sagas(
        saga_ids: Annotated[
            list[UUID] | None,
            typer.Argument(metavar="[ID]...", help="Transactions; the newest where none."),
        ] = None,
        *,
        file: Annotated[
            list[Path] | None,
            typer.Option(help="An exported history, or JSON lines of them; may be repeated."),
        ] = None,
        newest: Annotated[
            int, typer.Option(min=1, max=100_000, help="How many where none are named.")
        ] = NEWEST,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Replay recorded histories through today's definitions; nothing is sent or changed.

        Exits with 0 only if every history comes out as it was recorded. Of one that does not, the
        first difference is shown, with the place in the definition.
        """
        if file:
            histories = [history for path in file for history in read_histories(path)]
        else:
            async with EdgeClient(running.edge_url(data)) as edge:
                ids = _given(saga_ids) if saga_ids else _newest(edge, newest)
                histories = [await edge.ask(ExportTransaction(transaction_id=i)) async for i in ids]
        started_at = SYSTEM.monotonic()
        report = replay(histories)
        elapsed_seconds = SYSTEM.monotonic() - started_at
        if as_json:
            output.print_json(report.to_json(elapsed_seconds=elapsed_seconds))
        else:
            _show(report, elapsed_seconds)
        if not report.ok:
            count = len(report.diverged) + len(report.unreplayable)
            remedy = (
                "Give the changed definition a new version; old ones stay for what is under way."
            )
            raise CliError(f"{count} of {report.histories} histories do not replay.", remedy=remedy)


async def _given(ids: list[UUID]) -> AsyncGenerator[TransactionId]:
    for saga_id in ids:
        yield TransactionId(saga_id)


async def _newest(edge: EdgeClient, count: int) -> AsyncGenerator[TransactionId]:
    for number in range(1, -(-count // PAGE_SIZE) + 1):
        page = await edge.ask(ListTransactions(page=number, page_size=min(PAGE_SIZE, count)))
        for view in page.items[: count - (number - 1) * PAGE_SIZE]:
            yield view.transaction_id
        if number * PAGE_SIZE >= page.total:
            return


def read_histories(path: Path) -> Iterator[dict[str, Any]]:
    """Read one exported history, a list of them, or one on each line.

    Raises:
        CliError: the file cannot be read so.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise usage_error("--file", str(path), f"cannot be read: {error.strerror}", "") from None
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        document = [
            _line(path, number, line)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip()
        ]
    for history in cast("list[object]", document) if isinstance(document, list) else [document]:
        if not isinstance(history, dict):
            remedy = "`tracseq saga export ID --out FILE` writes one."
            raise usage_error("--file", str(path), "holds no exported history", remedy)
        yield cast("dict[str, Any]", history)


def _line(path: Path, number: int, line: str) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"is no JSON in line {number}, column {error.colno}: {error.msg}"
        raise usage_error("--file", str(path), problem, "Export it again.") from None


def _show(report: Report, elapsed_seconds: float) -> None:
    out = output.stdout()
    same = report.histories - len(report.diverged) - len(report.unreplayable)
    out.print(
        f"{same} of {report.histories} histories come out as recorded "
        f"({report.transitions} transitions, {elapsed_seconds:.2f} s)."
    )
    for divergence in report.diverged:
        out.print(_difference(divergence))
    for broken in report.unreplayable:
        out.print(f"[red]{output.cell(broken.saga)}[/]: {output.cell(broken.problem)}")


def _difference(found: Divergence) -> str:
    lines = [f"[red]{found.saga}[/] differs at sequence {found.seq}; see {found.file}:{found.line}"]
    lines += [
        f"  {d['path']}: recorded {d['expected']!r}, today {d['produced']!r}"
        for d in found.state_diff
    ]
    return "\n".join([lines[0], *(output.cell(line) for line in lines[1:])])
