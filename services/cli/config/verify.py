"""`tracseq config verify`: whether an audit is whole, in exported files or in a running system."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from contracts.config_queries import ReadAudit
from infra.http.client import EdgeClient
from sagas.replay.export import Key
from sagas.replay.verify import TamperedError
from services.cli import output, running
from services.cli.config.given import made
from services.cli.config.proof import Log, check_log, read_audit
from services.cli.outcome import CliError, command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.export import KEY_HELP, read_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known of one audit."""

    source: str
    """The file, or the service whose logs were read."""
    whole: bool
    service: str | None = None
    logs: list[Log] = field(default_factory=list[Log])
    signed_with: str | None = None
    """The fingerprint of the key."""
    signature_checked: bool = False
    line: int | None = None
    problem: str | None = None


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "verify")
    async def verify_configs(
        files: Annotated[
            list[Path] | None,
            typer.Argument(metavar="[FILE]...", help="Exported audits; no system is needed."),
        ] = None,
        *,
        service: Annotated[
            list[str] | None,
            typer.Option(help="Check the logs of this service where they are kept; repeat it."),
        ] = None,
        key: Annotated[
            Path | None,
            typer.Option(metavar="KEYFILE", help=f"Check that each is signed with it. {KEY_HELP}"),
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Check that nothing of an audit was edited, deleted, inserted, moved or cut off.

        Every entry's hash, every release's hash and parent, and that no version is missing; of a
        file also its seal. A seal shows any edit, but not one by somebody who computed everything
        anew: for that, sign audits and check them with --key, or compare the heads with what was
        written down before. Exits with 0 only if all is whole. Examples:

        `tracseq config verify auth-service.jsonl --key audit.key`

        `tracseq config verify --service auth-service`
        """
        if not files and not service:
            remedy = "Name exported audits, or services with --service."
            raise usage_error("FILE", "", "is needed", remedy)
        secret = read_key(key)
        verdicts = [_of_file(file, secret) for file in files or ()]
        if service:
            async with EdgeClient(running.edge_url(data)) as edge:
                verdicts += [await _of_service(edge, one) for one in service]
        bad = [one for one in verdicts if not one.whole]
        if as_json:
            counts = {"verified": len(verdicts), "whole": len(verdicts) - len(bad)}
            output.print_json({**counts, "audits": [asdict(one) for one in verdicts]})
        else:
            _show(verdicts)
        if bad:
            raise CliError(
                f"{len(bad)} of {len(verdicts)} audits are not whole.",
                remedy="Trust an older copy, or export it again from the log, and find out how.",
            )


def _of_file(file: Path, key: Key | None) -> Verdict:
    try:
        with file.open("rb") as lines:
            found = read_audit(lines, key)
    except TamperedError as error:
        return Verdict(source=str(file), whole=False, line=error.line, problem=error.problem)
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise usage_error("FILE", str(file), why, "Name an exported audit.") from None
    return Verdict(
        source=str(file),
        whole=True,
        service=found.service,
        logs=found.logs,
        signed_with=found.signed_with,
        signature_checked=found.signature_checked,
    )


async def _of_service(edge: EdgeClient, service: str) -> Verdict:
    found = await edge.ask(made(ReadAudit, service=service))
    logs: list[Log] = []
    for one in sorted(found, key=lambda log: log.subject):
        try:
            logs.append(check_log(service, one.subject, one.entries))
        except TamperedError as error:
            problem = f"{one.subject}: {error.problem}"
            return Verdict(source=service, whole=False, line=error.line, problem=problem)
    return Verdict(source=service, whole=True, service=service, logs=logs)


def _show(verdicts: Sequence[Verdict]) -> None:
    out = output.stdout()
    for one in verdicts:
        if not one.whole:
            where = f"[red]{output.cell(one.source)}[/] line {one.line}: "
            out.print(where + output.cell(one.problem), soft_wrap=True, highlight=False)
            continue
        releases = sum(log.releases for log in one.logs)
        entries = sum(log.entries for log in one.logs)
        text = f"{one.source} is whole: {entries} entries, {releases} releases; {_how(one)}"
        out.print(output.cell(text), soft_wrap=True, highlight=False)
        rows = ((log.subject, log.entries, log.releases, log.head) for log in one.logs)
        out.print(output.make_table("", ("Log", "Entries", "Releases", "Head"), rows))


def _how(one: Verdict) -> str:
    if one.signature_checked:
        return f"signed with {one.signed_with}."
    if one.signed_with is not None:
        return f"signed with {one.signed_with}, not checked: give --key."
    return "sealed, not signed." if one.source != one.service else "as they are kept."
