"""`tracseq config export|import`: a layer as a file that is the same bytes for the same layer."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from contracts.config import ImportConfig
from contracts.config_queries import ExportConfig
from contracts.config_views import ConfigDocument
from infra.http.client import EdgeClient
from infra.http.invalid import invalid_input
from services.cli import output, running
from services.cli.actor import who
from services.cli.config import shown
from services.cli.config.given import (
    AsOption,
    DryRunOption,
    EnvOption,
    ExpectOption,
    ReasonOption,
    ServiceArgument,
    environment,
    made,
)
from services.cli.outcome import CliError, command, invalid, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

FILE_BYTES_MAX = 4 * 1024 * 1024
"""Of a document that is read: a layer of 512 KiB, however widely it is written."""
STANDARD_INPUT = Path("-")


def register(group: typer.Typer) -> None:
    """Add the commands."""
    _register_export(group)
    _register_import(group)


def _register_export(group: typer.Typer) -> None:
    @command(group, "export")
    async def export_config(
        service: ServiceArgument,
        *,
        env: EnvOption = "default",
        out: Annotated[
            Path | None, typer.Option(help="Write it there; standard output by default.")
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Write a layer as a document; the same layer is the same bytes, fit for version control.

        Secrets stay ciphertext, which this installation alone can read back. Example:
        `tracseq config export sample-service --env staging --out staging.json`
        """
        query = made(ExportConfig, service=service, environment=environment(env))
        async with EdgeClient(running.edge_url(data)) as edge:
            found = await edge.ask(query)
        text = written(found)
        if out is None:
            output.print_text(text)
            return
        out.write_text(text, encoding="utf-8")
        if as_json:
            output.print_json({"file": str(out), "keys": len(found.items)})
        else:
            output.stdout().print(f"{len(found.items)} keys are in {output.cell(out)}.")


def written(document: ConfigDocument) -> str:
    """Write a document in the one way that is written: keys sorted, two spaces, one line feed."""
    content = document.model_dump(mode="json")
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _register_import(group: typer.Typer) -> None:
    @command(group, "import")
    async def import_config(
        file: Annotated[
            Path, typer.Argument(metavar="FILE", help="An exported document, or - to pipe it in.")
        ],
        *,
        expect: ExpectOption = None,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Make a layer what a document says: keys that it does not name are deleted.

        Which layer it is stands in the document. Importing the same again changes nothing. Example:
        `tracseq config import staging.json --dry-run`
        """
        document = read(file)
        message = made(
            ImportConfig,
            service=document.service,
            environment=document.environment,
            document=document,
            expected_version=expect,
            reason=reason,
            dry_run=dry_run or None,
        )
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            shown.edited(await edge.ask(message), as_json=as_json)


def read(file: Path) -> ConfigDocument:
    """Read a document.

    Raises:
        CliError: it cannot be read, is too large, or is none.
    """
    if file == STANDARD_INPUT:
        raw = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    else:
        try:
            with file.open("rb") as opened:
                raw = opened.read(FILE_BYTES_MAX + 1)
        except OSError as error:
            why = f"cannot be read: {error.strerror}"
            raise usage_error("FILE", str(file), why, "Name an exported document.") from None
    if len(raw) > FILE_BYTES_MAX:
        raise CliError(f"{file} has more than {FILE_BYTES_MAX} bytes.", remedy="Split the service.")
    try:
        return ConfigDocument.model_validate_json(raw)
    except ValidationError as error:
        found = invalid_input(error, ConfigDocument)
        raise invalid(f"{file} is no configuration document.", found.errors) from None
