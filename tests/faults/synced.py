"""What of a broker's files was on the disk when the power failed, as its system calls tell.

The broker runs under strace. For each file it is known how long the file was when it was last
synced; when the power fails, the file is cut back to that. A file that was never synced is empty.
Two things are kinder here than a disk may be: names (files made, renamed, deleted) are taken to be
on the disk at once, and bytes that were written over in place are not put back; `overwritten`
counts those, so that nobody has to believe it.
"""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.supervisor.child import Program

CALLS = "openat,close,write,pwrite64,ftruncate,fsync,fdatasync,rename,renameat,renameat2"
_STARTED = re.compile(r"^(\d+) +(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
_FD = re.compile(r"^(\d+)<(.*?)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def traced(program: Program, strace: str, trace: Path) -> Program:
    """Have a program traced: as a grandchild, so that the process id stays the program's own."""
    options = ("-D", "-f", "-y", "-s", "0", "-e", f"trace={CALLS}", "-e", "signal=none", "-qq")
    return replace(program, argv=(strace, *options, "-o", str(trace), *program.argv))


@dataclass(slots=True)
class _Open:
    """An open file."""

    path: str
    position: int = 0
    syncs: bool = False
    """Opened so that each write waits for the disk."""


@dataclass(slots=True)
class Disk:
    """What is on the disk of the files below a folder."""

    folder: Path
    lengths: dict[str, int] = field(default_factory=dict[str, int])
    """How long each file is."""
    synced: dict[str, int] = field(default_factory=dict[str, int])
    """How much of it is on the disk."""
    overwritten: int = 0
    """Writes into what was on the disk already, and not synced since."""
    syncs: int = 0
    _dirty: dict[str, int] = field(default_factory=dict[str, int])
    _fds: dict[int, _Open] = field(default_factory=dict[int, _Open])
    _begun: dict[str, tuple[str, str, int]] = field(default_factory=dict[str, tuple[str, str, int]])
    _started: dict[str, str] = field(default_factory=dict[str, str])

    def settle(self) -> None:
        """Take everything that is there as synced: the machine has run for a while."""
        for path in self._files():
            self.lengths[str(path)] = self.synced[str(path)] = path.stat().st_size
        self._dirty.clear()
        self.syncs = 0

    def read(self, lines: list[str]) -> None:
        """Read what a program did, in order."""
        for line in lines:
            started = _STARTED.match(line)
            if started is not None:
                self._started[started[1]] = started[2]
                self._on_begin(started[1], started[2])
                continue
            resumed = _RESUMED.match(line)
            if resumed is not None:
                line = f"{resumed[1]} {self._started.pop(resumed[1], '')}{resumed[2]}"  # noqa: PLW2901
            done = _LINE.match(line)
            if done is not None:
                self._on_call(done[1], done[2], done[3], int(done[4]))
            self._begun.pop(line.partition(" ")[0], None)

    def cut(self) -> int:
        """Cut every file back to what was synced; give how many bytes are gone."""
        gone_bytes = 0
        for path in self._files():
            length, kept = path.stat().st_size, self.synced.get(str(path), 0)
            if length > kept:
                gone_bytes += length - kept
                os.truncate(path, kept)
        self.overwritten = sum(self._dirty.values())
        return gone_bytes

    def _files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    # System calls

    def _on_begin(self, pid: str, call: str) -> None:
        """Note how long a file was when its sync began: what comes meanwhile does not count."""
        name, _, rest = call.partition("(")
        fd = _FD.match(rest)
        if name in {"fsync", "fdatasync"} and fd is not None:
            self._begun[pid] = (name, fd[2], self.lengths.get(fd[2], 0))

    def _on_call(self, pid: str, name: str, arguments: str, result: int) -> None:
        if result < 0:
            return
        match name:
            case "openat":
                self._on_open(arguments, result)
            case "rename" | "renameat" | "renameat2":
                self._on_rename(arguments)
            case "fsync" | "fdatasync":
                self._on_sync(pid, arguments)
            case "close" | "write" | "pwrite64" | "ftruncate":
                self._on_fd(name, arguments, result)
            case _:
                return

    def _on_open(self, arguments: str, fd: int) -> None:
        quoted = _QUOTED.search(arguments)
        if quoted is None or not quoted[1].startswith(str(self.folder)):
            self._fds.pop(fd, None)
            return
        path, flags = quoted[1], arguments[quoted.end() :]
        if "O_TRUNC" in flags:
            self.lengths[path] = self.synced[path] = 0
        self.lengths.setdefault(path, 0)
        position = self.lengths[path] if "O_APPEND" in flags else 0
        self._fds[fd] = _Open(path, position, syncs="O_SYNC" in flags or "O_DSYNC" in flags)

    def _on_rename(self, arguments: str) -> None:
        names = _QUOTED.findall(arguments)
        before, after = names[0], names[-1]
        for table in (self.lengths, self.synced, self._dirty):
            for path in [p for p in table if p == before or p.startswith(f"{before}/")]:
                table[after + path.removeprefix(before)] = table.pop(path)
        for opened in self._fds.values():
            if opened.path == before or opened.path.startswith(f"{before}/"):
                opened.path = after + opened.path.removeprefix(before)

    def _on_sync(self, pid: str, arguments: str) -> None:
        begun = self._begun.get(pid)
        fd = _FD.match(arguments)
        path = begun[1] if begun is not None else fd[2] if fd is not None else ""
        if not path.startswith(str(self.folder)):
            return
        length = begun[2] if begun is not None else self.lengths.get(path, 0)
        self.synced[path] = min(length, self.lengths.get(path, 0))
        self._dirty.pop(path, None)
        self.syncs += 1

    def _on_fd(self, name: str, arguments: str, result: int) -> None:
        number = _FD.match(arguments)
        opened = self._fds.get(int(number[1])) if number is not None else None
        if number is None or opened is None or number[2] != opened.path:
            return
        if name == "close":
            del self._fds[int(number[1])]
        elif name == "ftruncate":
            length = int(arguments.rpartition(", ")[2])
            self.lengths[opened.path] = length
            self.synced[opened.path] = min(length, self.synced.get(opened.path, 0))
        else:
            self._on_write(opened, name, arguments, result)

    def _on_write(self, opened: _Open, name: str, arguments: str, result: int) -> None:
        start = opened.position
        if name == "pwrite64":
            start = int(arguments.rpartition(", ")[2])
        else:
            opened.position += result
        path, end = opened.path, start + result
        self.lengths[path] = max(self.lengths.get(path, 0), end)
        if opened.syncs:
            self.synced[path] = max(self.synced.get(path, 0), end)
        elif start < self.synced.get(path, 0):
            self._dirty[path] = self._dirty.get(path, 0) + 1
