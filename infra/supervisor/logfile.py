"""What a child says, kept in a file of bounded size: the file and one predecessor, no more."""

from pathlib import Path
from typing import BinaryIO

SIZE_BYTES_MAX = 16 * 1024 * 1024
TAIL_BYTES = 4_096
TAIL_LINES = 8


class LogFile:
    """An appended file that becomes `<name>.1` when it is full, replacing the one before."""

    def __init__(self, path: Path, *, size_bytes_max: int = SIZE_BYTES_MAX) -> None:
        """Open for appending; the folder is made."""
        self.path = path
        self._size_bytes_max = size_bytes_max
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> None:
        """Append, first making room where there is none."""
        if self._file.tell() + len(chunk) > self._size_bytes_max:
            self._file.close()
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            self._file = self.path.open("ab", buffering=0)
        self._file.write(chunk)

    def close(self) -> None:
        """Write nothing any more."""
        self._file.close()


def last_words(path: Path) -> str:
    """Give the last lines of a log, for an error message; empty where there are none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if line.strip()][-TAIL_LINES:])
