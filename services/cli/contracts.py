"""`tracseq contracts`: the language of the laboratory, in the words of other people's tools."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.outcome import CliError, command
from services.cli.running import JsonOption

OUT_DEFAULT = Path("contracts-export")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="The contracts: messages, HTTP, permissions.")
    app.add_typer(group, name="contracts")

    @command(group, "export")
    async def export_contracts(
        *,
        out: Annotated[Path, typer.Option(help="The folder to write to.")] = OUT_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Write the contracts as AsyncAPI 3, OpenAPI 3.1 and JSON Schemas.

        The same contracts give the same bytes. Files of the same names are replaced; nothing else
        in the folder is touched.
        """
        # Working all of it out is needed by no other command.
        from contracts.export import files  # noqa: PLC0415

        written: list[str] = []
        for name, text in files().items():
            path = out / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                remedy = "Choose another folder: --out DIR."
                raise CliError(
                    f"{path} cannot be written: {error.strerror}.", remedy=remedy
                ) from None
            written.append(str(path))
        if as_json:
            output.print_json({"out": str(out), "files": written})
            return
        output.stdout().print(f"{len(written)} files are in {output.cell(out)}.")
