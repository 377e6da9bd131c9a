"""What can go wrong with the document store, in this project's words.

The driver's errors are told apart once: the store is unwell, another writer was first, or the
mistake is ours and stays what it is. Nothing is tried again here.
"""

from collections.abc import Generator
from contextlib import contextmanager

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from contracts.errors import Conflict, Retryable
from infra.breaker import CircuitBreakerError, RequestTimeoutError

WRITE_CONFLICT = 112
PASSING_CODES = frozenset({43, 175, 251, 11_600, 11_602})
"""Cursor gone, plan killed, transaction unknown, shutting down, new primary: later it works."""


class StoreUnavailable(Retryable):
    """The document store did not answer, or not in time."""


class StoreSpared(StoreUnavailable):
    """The document store was not asked: its circuit breaker refused."""

    def __init__(self, what: str, refused: CircuitBreakerError) -> None:
        """Say what was not done, and who refused."""
        super().__init__(f"{what}: {refused}")
        self.refused = refused


@contextmanager
def reaching(what: str) -> Generator[None]:
    """Say what goes wrong with the store in this project's words.

    Raises:
        StoreUnavailable: the store did not answer while doing `what`, or is spared.
        Conflict: another writer was first.
    """
    try:
        yield
    except CircuitBreakerError as error:
        raise StoreSpared(what, error) from error
    except RequestTimeoutError as error:
        raise StoreUnavailable(f"{what}: {error}") from error
    except PyMongoError as error:
        if WRITE_CONFLICT in _codes(error):
            raise Conflict(f"{what}: another writer was first") from error
        if _is_outage(error):
            raise StoreUnavailable(f"{what}: {error}") from error
        raise


def says_nothing(error: Exception) -> bool:
    """Tell an error that says nothing of the store's health: a mistake of ours, or a conflict."""
    if isinstance(error, PyMongoError):
        return WRITE_CONFLICT in _codes(error) or not _is_outage(error)
    return not isinstance(error, StoreUnavailable)


def _is_outage(error: PyMongoError) -> bool:
    return (
        isinstance(error, (ConnectionFailure, ExecutionTimeout, WTimeoutError))
        or bool(_codes(error) & PASSING_CODES)
        or error.has_error_label("TransientTransactionError")
    )


def _codes(error: PyMongoError) -> set[int]:
    if isinstance(error, BulkWriteError):
        return {int(failed["code"]) for failed in error.details.get("writeErrors", ())}
    if isinstance(error, OperationFailure) and error.code is not None:
        return {error.code}
    return set()
