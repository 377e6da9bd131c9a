"""What a command of `tracseq saga` is about: transactions by id, exported files, folders of them.

Files are read one history after the other, so that thousands of them need the memory of one. What
a history says is not judged here, but for a seal that does not hold.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, cast
from uuid import UUID

import typer

from contracts.transaction import ExportTransaction, ListTransactions
from contracts.types import TransactionId
from infra.http.client import EdgeClient
from sagas.replay.verify import TamperedError, is_export, read_exports
from services.cli import running
from services.cli.outcome import usage_error

Json = dict[str, Any]

SUFFIXES: Final = (".jsonl", ".json")
PAGE_SIZE: Final = 200
REMEDY: Final = "`tracseq saga export ID --out FILE` writes one."

IdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="The transaction.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A history in a file whose seal does not hold."""

    saga: str
    """The file."""
    problem: str


Found = Json | Broken


def split(targets: Sequence[str]) -> tuple[list[Path], list[TransactionId]]:
    """Tell the files and folders that were named from the transactions.

    Raises:
        CliError: something is neither.
    """
    paths: list[Path] = []
    ids: list[TransactionId] = []
    for target in targets:
        if Path(target).exists():
            paths.append(Path(target))
            continue
        try:
            ids.append(TransactionId(UUID(target)))
        except ValueError:
            problem = "is no file, no folder and no transaction's id"
            remedy = "`tracseq saga list` shows ids, `tracseq saga export` writes files."
            raise usage_error("TARGET", target, problem, remedy) from None
    return paths, ids


def files_of(paths: Sequence[Path]) -> Iterator[Path]:
    """Give the files, and of folders what is called like a history, in order.

    Raises:
        CliError: a folder holds none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file())
        if not inside:
            problem = f"holds no file called {' or '.join(f'*{one}' for one in SUFFIXES)}"
            raise usage_error("DIR", str(path), problem, REMEDY)
        yield from inside


async def histories(
    targets: Sequence[str], *, data: Path, newest: int, files: Sequence[Path] = ()
) -> AsyncGenerator[Found]:
    """Give every history that was named; the newest of the system where none was.

    Raises:
        CliError: something named is no history, or no system is known.
    """
    paths, ids = split(targets)
    for path in files_of([*files, *paths]):
        for found in read_histories(path):
            yield found
    if not ids and (paths or files):
        return
    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(EdgeClient(running.edge_url(data)))
        async for one in _given(ids) if ids else selected(edge, ListTransactions(), newest):
            history: Json = await edge.ask(ExportTransaction(transaction_id=one))
            yield history


async def _given(ids: Sequence[TransactionId]) -> AsyncGenerator[TransactionId]:
    for one in ids:
        yield one


async def selected(
    edge: EdgeClient, query: ListTransactions, count: int
) -> AsyncGenerator[TransactionId]:
    """Give the newest transactions that a query selects, `count` at most."""
    for number in range(1, -(-count // PAGE_SIZE) + 1):
        asked = query.model_copy(update={"page": number, "page_size": PAGE_SIZE})
        page = await edge.ask(asked)
        for view in page.items[: count - (number - 1) * PAGE_SIZE]:
            yield view.transaction_id
        if number * PAGE_SIZE >= page.total:
            return


def is_sealed(path: Path) -> bool:
    """Say whether a file begins as an export does; what is not JSON there does not.

    Raises:
        CliError: the file cannot be read.
    """
    return is_export(_first(path)[1])


def read_histories(path: Path) -> Iterator[Found]:
    """Read the histories of one file, in whatever form it has.

    It may hold sealed exports one after the other; one entry on each line; a document
    `{"transaction_id", "entries"}`, a list of them, or one on each line.

    Raises:
        CliError: the file cannot be read so.
    """
    line, document = _first(path)
    if is_export(document):
        yield from _read_sealed(path)
    elif isinstance(document, dict) and "body" in document:
        entries = list(_lines(path))
        yield {"transaction_id": path.stem, "entries": entries}
    elif isinstance(document, dict) and line.endswith(b"\n"):
        yield from _lines(path)
    else:
        yield from _read_document(path)


def _first(path: Path) -> tuple[bytes, object]:
    try:
        with path.open("rb") as file:
            line = file.readline()
    except OSError as error:
        raise usage_error("FILE", str(path), f"cannot be read: {error.strerror}", REMEDY) from None
    try:
        return line, json.loads(line)
    except ValueError:
        return line, None


def _read_sealed(path: Path) -> Iterator[Found]:
    try:
        with path.open("rb") as file:
            for one in read_exports(file):
                yield one.history
    except TamperedError as error:
        yield Broken(saga=str(path), problem=str(error))


def _lines(path: Path) -> Iterator[Json]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _checked(path, _parsed(path, line, number))


def _read_document(path: Path) -> Iterator[Json]:
    document = _parsed(path, path.read_bytes(), 0)
    for history in cast("list[object]", document) if isinstance(document, list) else [document]:
        yield _checked(path, history)


def _parsed(path: Path, content: bytes, number: int) -> object:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        problem = f"is no JSON in line {number or error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        problem = f"is no text: {error}"
    raise usage_error("FILE", str(path), problem, REMEDY) from None


def _checked(path: Path, history: object) -> Json:
    if not isinstance(history, dict):
        raise usage_error("FILE", str(path), "holds no exported history", REMEDY)
    return cast("Json", history)
