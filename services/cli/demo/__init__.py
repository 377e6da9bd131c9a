"""`tracseq demo`: a laboratory on free ports, carried through what it is for, all of it checked."""

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from infra.supervisor import ChildFailedError, DataInUseError, MissingProgramError, PortsTakenError
from infra.telemetry import logs
from services.cli import output
from services.cli.demo.story import Story, Surprise
from services.cli.outcome import CliError, command
from services.cli.plan import ANY_BASE, Plan
from services.cli.running import DATA_DEFAULT
from services.cli.system import System


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def demo(
        *,
        keep: Annotated[
            bool, typer.Option("--keep", help="Leave the laboratory up afterwards, until Ctrl-C.")
        ] = False,
        isolated: Annotated[
            bool, typer.Option("--isolated", help="Run every service as a process of its own.")
        ] = False,
        examples: Annotated[Path, typer.Option(help="Where the example manifests are.")] = Path(
            "examples"
        ),
    ) -> None:
        """Carry manifests through a laboratory of your own, from HTTP to the boxes.

        Starts everything on free ports, stores 40 samples, shows what a bad manifest and one
        without room lead to, takes an instrument's event, exports and replays the sagas. Exits
        with 0 only if all of that came out as it should; nothing stays behind but with --keep.
        """
        logs.configure(level="error", fmt="console" if sys.stderr.isatty() else "json")
        with _data(keep=keep) as data:
            plan = Plan(
                data=data, port_base=ANY_BASE, isolated=isolated, profile="dev", log_level="error"
            )
            try:
                await _tell(System(plan), examples, keep=keep)
            except (DataInUseError, PortsTakenError) as error:
                raise CliError(f"{error}", remedy="Stop that one first.") from None
            except (ChildFailedError, MissingProgramError) as error:
                raise CliError(f"{error}") from None
            except Surprise as surprise:
                remedy = "This is a fault of the project: nothing of it depends on your machine."
                raise CliError(f"Not as it should be: {surprise}", remedy=remedy) from None


async def _tell(system: System, examples: Path, *, keep: bool) -> None:
    out = output.stdout()
    with out.status("Starting broker, document store and seven services"):
        await system.__aenter__()
    try:
        await Story(system.info, examples).tell()
        if keep:
            out.print(f"\nIt stays up at {system.info.edge_url}; Ctrl-C stops it.")
            raise await system.lost()
    finally:
        await system.__aexit__(None, None, None)


@contextmanager
def _data(*, keep: bool) -> Generator[Path]:
    """Give a folder for the data: the usual one to keep, else one that is gone afterwards."""
    if keep:
        yield DATA_DEFAULT
        return
    with tempfile.TemporaryDirectory(prefix="tracseq-demo-") as folder:
        yield Path(folder)
