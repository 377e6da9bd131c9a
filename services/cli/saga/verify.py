"""`tracseq saga verify`: whether a history is whole, in an exported file or in a system's log."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from contracts.entry import GENESIS, BrokenChainError, hash_of, verify_chain
from contracts.saga_tools import VerifyTransaction
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from sagas.replay.export import Key
from sagas.replay.verify import TamperedError, read_exports
from services.cli import output, running
from services.cli.outcome import CliError, command
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption
from services.cli.saga.export import KEY_HELP, read_key
from services.cli.saga.replay import progress
from services.cli.saga.targets import Broken, files_of, is_sealed, read_histories, split

SHOWN_MAX = 20
"""Whole histories that are listed one by one; those that are not are always listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known of one history."""

    source: str
    """The file, or the transaction in the log."""
    transaction_id: str | None
    whole: bool
    entries: int
    head: str
    """The hash of the newest good entry: what an auditor writes down."""
    sealed: bool
    signed_with: str | None = None
    """The fingerprint of the key."""
    signature_checked: bool = False
    line: int | None = None
    problem: str | None = None


def register(group: typer.Typer) -> None:
    """Add the command."""

    @command(group, "verify")
    async def verify_sagas(
        targets: Annotated[
            list[str],
            typer.Argument(
                metavar="FILE|DIR|ID...", help="Exported files, folders of them, or transactions."
            ),
        ],
        *,
        key: Annotated[
            Path | None,
            typer.Option(
                metavar="KEYFILE", help=f"Check that each export is signed with it. {KEY_HELP}"
            ),
        ] = None,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Check that histories are whole: nothing edited, deleted, inserted or moved since.

        Of a file that is not, the line and the reason are told. A seal shows any edit, but not one
        by somebody who computed everything anew: for that, exports must be signed and checked with
        --key, or their head compared with what was written down before. A transaction is checked
        where it is kept, by its hash chain. Exits with 0 only if all is whole.
        """
        verdicts: list[Verdict] = []
        with progress() as shown:
            task = shown.add_task("Verified", total=None)
            async for verdict in _verdicts(targets, read_key(key), data):
                verdicts.append(verdict)
                shown.advance(task)
        bad = [one for one in verdicts if not one.whole]
        if as_json:
            document = {"verified": len(verdicts), "whole": len(verdicts) - len(bad)}
            output.print_json({**document, "histories": [asdict(one) for one in verdicts]})
        else:
            _show(verdicts, bad)
        if bad:
            raise CliError(
                f"{len(bad)} of {len(verdicts)} histories are not whole.",
                remedy="Trust an older copy, or export it again from the log, and find out how.",
            )


async def _verdicts(targets: Sequence[str], key: Key | None, data: Path) -> AsyncGenerator[Verdict]:
    paths, ids = split(targets)
    for path in files_of(paths):
        for verdict in _of_file(path, key):
            yield verdict
    if ids:
        async with EdgeClient(running.edge_url(data)) as edge:
            for one in ids:
                yield await _of_log(edge, one)


def _of_file(path: Path, key: Key | None) -> Iterator[Verdict]:
    if key is None and not is_sealed(path):
        yield from _unsealed(path)
        return
    try:
        with path.open("rb") as file:
            for one in read_exports(file, key):
                yield Verdict(
                    source=str(path),
                    transaction_id=one.transaction_id,
                    whole=True,
                    entries=len(one.entries),
                    head=one.head,
                    sealed=True,
                    signed_with=one.signed_with,
                    signature_checked=one.signature_checked,
                )
    except TamperedError as error:
        yield _broken(str(path), error.problem, line=error.line)


def _unsealed(path: Path) -> Iterator[Verdict]:
    """Check what there is to check where no seal is: the chain of hashes."""
    try:
        histories = list(read_histories(path))
    except CliError as error:
        yield _broken(str(path), f"it {error.message.partition(repr(str(path)))[2].strip()}")
        return
    for found in histories:
        if isinstance(found, Broken):
            yield _broken(str(path), found.problem)
            continue
        try:
            bodies = [str(one["body"]).encode() for one in found["entries"]]
            count = verify_chain(bodies)
        except BrokenChainError as error:
            yield _broken(str(path), str(error))
        except (KeyError, TypeError, ValueError) as error:
            yield _broken(str(path), f"it is no history: {type(error).__name__}: {error}")
        else:
            yield Verdict(
                source=str(path),
                transaction_id=str(found.get("transaction_id", "")),
                whole=count > 0,
                entries=count,
                head=hash_of(bodies[-1]) if bodies else GENESIS,
                sealed=False,
                problem=None if count else "there are no entries.",
            )


async def _of_log(edge: EdgeClient, transaction_id: TransactionId) -> Verdict:
    found = await edge.ask(VerifyTransaction(transaction_id=transaction_id))
    return Verdict(
        source="log",
        transaction_id=str(transaction_id),
        whole=found.whole,
        entries=found.entries,
        head=found.head,
        sealed=False,
        problem=found.problem,
    )


def _broken(source: str, problem: str, *, line: int | None = None) -> Verdict:
    return Verdict(
        source=source,
        transaction_id=None,
        whole=False,
        entries=0,
        head=GENESIS,
        sealed=line is not None,
        line=line,
        problem=problem,
    )


def _show(verdicts: Sequence[Verdict], bad: Sequence[Verdict]) -> None:
    out = output.stdout()
    out.print(f"{len(verdicts) - len(bad)} of {len(verdicts)} histories are whole.")
    for one in [one for one in verdicts if one.whole][:SHOWN_MAX]:
        text = f"{one.source}: {one.transaction_id}, {one.entries} entries, head {one.head}; "
        out.print(output.cell(text + _how(one)), soft_wrap=True, highlight=False)
    for one in bad:
        line = "" if one.line is None else f" line {one.line}:"
        text = f"[red]{output.cell(one.source)}[/]:{line} {output.cell(one.problem)}"
        out.print(text, soft_wrap=True, highlight=False)


def _how(one: Verdict) -> str:
    if one.signature_checked:
        return f"sealed, signed with {one.signed_with}."
    if one.signed_with is not None:
        return f"sealed; signed with {one.signed_with}, not checked: give --key."
    if one.sealed:
        return "sealed, not signed."
    return "hash chain only." if one.source == "log" else "not sealed: its hash chain only."
