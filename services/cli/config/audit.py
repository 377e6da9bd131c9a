"""`tracseq config audit`: every log of a service's configuration as one sealed file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.config_queries import ReadAudit
from infra.http.client import EdgeClient
from services.cli import output, running
from services.cli.actor import who
from services.cli.config.given import AsOption, ServiceArgument, made
from services.cli.config.proof import audit_lines
from services.cli.outcome import command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.export import KEY_HELP, read_key


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "audit")
    async def audit(
        service: ServiceArgument,
        *,
        out: Annotated[
            Path | None, typer.Option(help="Write it there; standard output by default.")
        ] = None,
        sign: Annotated[
            Path | None,
            typer.Option(metavar="KEYFILE", help=f"Sign with HMAC-SHA-256. {KEY_HELP}"),
        ] = None,
        acting: AsOption = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Export who changed what, when and why, with the hash chains that prove it.

        `tracseq config verify` checks the file anywhere, without a system. Secrets are ciphertext
        in it. Example:

        `tracseq config audit auth-service --out auth-service.jsonl --sign audit.key`
        """
        key = read_key(sign)
        async with EdgeClient(running.edge_url(data), actor=who(acting)) as edge:
            logs = await edge.ask(made(ReadAudit, service=service))
        lines = audit_lines(service, logs, key)
        if out is None:
            sys.stdout.buffer.writelines(lines)
            sys.stdout.buffer.flush()
            return
        with out.open("wb") as file:
            file.writelines(lines)
        entries = sum(len(log.entries) for log in logs)
        if as_json:
            fingerprint = None if key is None else key.fingerprint
            document = {"file": str(out), "logs": len(logs), "entries": entries}
            output.print_json({**document, "signed_with": fingerprint})
        else:
            text = f"{entries} entries of {len(logs)} logs are in {output.cell(out)}."
            output.stdout().print(text, soft_wrap=True, highlight=False)
