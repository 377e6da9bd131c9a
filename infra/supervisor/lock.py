"""One system per data directory: whoever holds the lock may write there.

The kernel lets the lock go with its holder, however that ends, so a lock is never stale.
"""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LOCK_NAME = "lock"


class DataInUseError(Exception):
    """Another process works on the data directory; the text names both."""


@contextmanager
def hold_data(data_dir: Path) -> Generator[None]:
    """Hold a data directory, which is made where it is missing.

    Raises:
        DataInUseError: somebody else holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / LOCK_NAME
    # Python's descriptors are closed in children: a child that lingers does not hold the lock.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text().strip() or "unknown"
            raise DataInUseError(f"{data_dir} is in use by process {holder}.") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
