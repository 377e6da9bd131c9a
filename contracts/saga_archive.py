"""The archive of sagas: what has ended long ago leaves the broker's memory, and stays readable."""

from typing import Annotated

from pydantic import Field

from contracts.message import Command, post
from contracts.types import View

ARCHIVE_MAX = 100_000
"""Transactions that one order may archive."""


class ArchiveView(View):
    """What was archived, or with `dry_run` would be."""

    dry_run: bool
    archived: int
    """Transactions; each keeps its id, its history and its state, and can still be exported."""
    entries: int
    files: int
    size_bytes: int
    """Of the files, compressed; 0 with `dry_run`."""
    left: int
    """Transactions that could not be archived: they changed meanwhile, or are too large."""
    complete: bool
    """False where `limit` was reached before the last of them."""


class ArchiveTransactions(
    Command[ArchiveView],
    type="transaction.archive",
    http=post("/transactions/archive", status=200),
    needs="transactions:manage",
):
    """Archive what completed, was undone or was cancelled long ago; what failed stays."""

    older_than_days: Annotated[float, Field(ge=0, le=36_500)] = 30
    """Since the end of the transaction."""
    limit: Annotated[int, Field(ge=1, le=ARCHIVE_MAX)] = 10_000
    dry_run: bool = False
