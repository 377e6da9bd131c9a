"""`tracseq saga lint`: whether definitions can work, before anything runs under them."""

from typing import Annotated

import typer

from sagas.definitions import ALL
from sagas.engine.faults import Fault
from sagas.engine.validate import validate
from services.cli import output
from services.cli.outcome import CliError, command
from services.cli.running import JsonOption
from services.cli.saga.source import WRITTEN, definitions_in


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "lint")
    async def lint_definitions(
        place: Annotated[
            str | None,
            typer.Argument(
                metavar=f"[{WRITTEN}]",
                help="A definition, or a file with some; every released one where none is named. "
                "The file is run.",
            ),
        ] = None,
        *,
        as_json: JsonOption = False,
    ) -> None:
        """Check that definitions of sagas can work; needs no running system.

        Every fault is a line: FILE:LINE: step NAME: what is wrong, and what to do. Exits with 0
        only if there is none.
        """
        looked_at = list(ALL) if place is None else definitions_in(place)
        faults = [(one, fault) for one in looked_at for fault in validate(one)]
        if as_json:
            found = [{"saga_type": one.saga_type, **_document(fault)} for one, fault in faults]
            output.print_json({"definitions": len(looked_at), "faults": found})
        else:
            for _, fault in faults:
                output.print_text(str(fault))
            output.notice(f"{len(looked_at)} definitions, {len(faults)} faults.")
        if faults:
            raise CliError(f"{len(faults)} faults.", remedy="Each line says how to mend its own.")


def _document(fault: Fault) -> dict[str, object]:
    return {
        "file": fault.place.file,
        "line": fault.place.line,
        "step": fault.step,
        "problem": fault.problem,
        "remedy": fault.remedy,
    }
