"""The last good release as a file: what a program starts from while everything else is down.

Only its owner may read it, and secrets in it stay ciphertext. It is written whole or not at all.
What it says is checked like any other release.
"""

import json
import os
from pathlib import Path
from typing import Any

import orjson

from contracts.config_types import RELEASE_BYTES_MAX

FILE_BYTES_MAX = 2 * RELEASE_BYTES_MAX
"""A release holds a value in its own layer and in what is in force."""


class SnapshotFileError(ValueError):
    """The file cannot be used; the text names it and says why."""


def read_snapshot(path: Path) -> Any | None:  # noqa: ANN401 - any JSON
    """Read the release; None where there is no file.

    Raises:
        SnapshotFileError: it cannot be read, or holds no JSON.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotFileError(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > FILE_BYTES_MAX:
        raise SnapshotFileError(f"{path} has more than {FILE_BYTES_MAX} bytes: it is no snapshot")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise SnapshotFileError(f"{path} is no JSON: it is damaged") from None


def write_snapshot(path: Path, release: object) -> None:
    """Write the release, for the owner of the file alone, in place of what was there.

    Raises:
        SnapshotFileError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(release, file, ensure_ascii=False)
        beside.replace(path)
    except OSError as error:
        raise SnapshotFileError(f"{path} cannot be written: {error.strerror}") from None
