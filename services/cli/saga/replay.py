"""`tracseq saga replay`: would today's definitions decide as recorded histories say they did?"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from infra.clock import SYSTEM
from sagas.replay.difference import Divergence
from sagas.replay.replay import Report, Unreplayable, replay
from services.cli import output
from services.cli.outcome import CliError, command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.targets import Broken, Found, histories

NEWEST = 1_000
"""How many histories are replayed where none are named and no other number is given."""


class Replaying:
    """A replay of one history after the other, and what it found so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.report = Report()
        self.elapsed_seconds = 0.0
        """Spent deciding; reading is not counted."""

    def take(self, found: Found) -> None:
        """Replay one more."""
        report = self.report
        report.histories += 1
        if isinstance(found, Broken):
            report.unreplayable.append(Unreplayable(saga=found.saga, problem=found.problem))
            return
        started_at = SYSTEM.monotonic()
        one = replay([found])
        self.elapsed_seconds += SYSTEM.monotonic() - started_at
        report.transitions += one.transitions
        report.diverged += one.diverged
        report.unreplayable += one.unreplayable


def progress() -> Progress:
    """Give a line on standard error that counts; nothing where that is no terminal."""
    console = output.stderr()
    columns = (TextColumn("{task.description}: {task.completed:,}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def register(group: typer.Typer) -> None:
    """Add the command to the group `saga`."""

    @command(group, "replay")
    async def replay_sagas(
        targets: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[DIR|FILE|ID]...",
                help="Folders and files of exported histories, or transactions; the newest "
                "transactions where none are named.",
            ),
        ] = None,
        *,
        file: Annotated[
            list[Path] | None,
            typer.Option(help="An exported history; the same as to name it without --file."),
        ] = None,
        newest: Annotated[
            int, typer.Option(min=1, max=100_000, help="How many where none are named.")
        ] = NEWEST,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Replay recorded histories through today's definitions; nothing is sent or changed.

        Exits with 0 only if every history comes out as it was recorded. Of one that does not, the
        first difference is shown, with the place in the definition. Files need no running system.
        """
        replaying = Replaying()
        with progress() as shown:
            task = shown.add_task("Histories", total=None)
            async for found in histories(targets or [], data=data, newest=newest, files=file or []):
                replaying.take(found)
                shown.advance(task)
        report = replaying.report
        if as_json:
            output.print_json(report.to_json(elapsed_seconds=replaying.elapsed_seconds))
        else:
            _show(report, replaying.elapsed_seconds)
        if not report.ok:
            count = len(report.diverged) + len(report.unreplayable)
            raise CliError(
                f"{count} of {report.histories} histories do not replay.", remedy=_remedy(report)
            )


def _remedy(report: Report) -> str:
    if report.diverged:
        return "Give the changed definition a new version; old ones stay for what is under way."
    return "Export them again; `tracseq saga verify` says what is wrong with a file."


def _show(report: Report, elapsed_seconds: float) -> None:
    out = output.stdout()
    same = report.histories - len(report.diverged) - len(report.unreplayable)
    out.print(
        f"{same} of {report.histories} histories come out as recorded "
        f"({report.transitions} transitions, {elapsed_seconds:.2f} s)."
    )
    for line in _differences(report.diverged):
        out.print(line)
    for broken in report.unreplayable:
        out.print(f"[red]{output.cell(broken.saga)}[/]: {output.cell(broken.problem)}")


def _differences(diverged: Iterable[Divergence]) -> Iterable[str]:
    for one in diverged:
        yield f"[red]{one.saga}[/] differs at sequence {one.seq}; see {one.file}:{one.line}"
        for d in one.state_diff:
            said = f"  {d['path']}: recorded {d['expected']!r}, today {d['produced']!r}"
            yield output.cell(said)
