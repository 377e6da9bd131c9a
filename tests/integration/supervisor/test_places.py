"""Ports and data directories: what is taken is refused, in words that help."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.supervisor import (
    DataInUseError,
    PortsTakenError,
    free_base,
    free_port,
    hold_data,
    hold_free_base,
    require_free,
)
from infra.supervisor.logfile import LogFile, last_words
from infra.supervisor.ports import BASE_MIN, BASE_STEP

ROOT = Path(__file__).resolve().parents[3]

HOLDER = """
import sys
from pathlib import Path
from infra.supervisor import hold_data

with hold_data(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_taken_port_is_named_with_who_needs_it() -> None:
    """Only what is taken is named."""
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken: int = other.getsockname()[1]

        with pytest.raises(PortsTakenError) as caught:
            require_free({"edge": taken, "sample": free})

    assert str(caught.value) == f"Port is taken by another program: {taken} (for edge)."


def test_a_port_held_on_every_address_is_taken() -> None:
    """A server on 0.0.0.0 holds the port of loopback too."""
    with (
        socket.create_server(("0.0.0.0", 0)) as other,  # noqa: S104 - that is the case at hand
        pytest.raises(PortsTakenError),
    ):
        require_free({"edge": other.getsockname()[1]})


def test_a_base_has_every_port_free() -> None:
    """All ports of a found base can be had at once."""
    offsets = (1, 9, 22)

    base = free_base(offsets)

    require_free({str(offset): base + offset for offset in offsets})


def test_a_base_that_is_held_is_not_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anybody listens on its ports, who looks at the same one next is told of another."""
    with hold_free_base((1, 9)) as first:
        same = iter([(first - BASE_MIN) // BASE_STEP])
        draw = os.urandom

        def draw_the_same(size: int) -> bytes:
            drawn = next(same, None)
            return draw(size) if drawn is None else drawn.to_bytes(size)

        monkeypatch.setattr(os, "urandom", draw_the_same)

        assert free_base((1, 9)) != first
        assert next(same, None) is None


def test_a_data_directory_has_one_system(tmp_path: Path) -> None:
    """A second holder is refused and told who the first is; a killed one holds nothing."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder.stdin, holder.stdout:
        assert holder.stdout.readline() == b"held\n"

        with pytest.raises(DataInUseError, match=f"is in use by process {holder.pid}"):
            hold_data(tmp_path).__enter__()

        holder.kill()
        holder.wait()

    with hold_data(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_log_keeps_one_predecessor_and_no_more(tmp_path: Path) -> None:
    """A log that is full becomes the predecessor; the one before it is gone."""
    path = tmp_path / "child.log"
    log = LogFile(path, size_bytes_max=10)
    for chunk in (b"first---", b"second--", b"third---"):
        log.write(chunk)
    log.close()

    assert path.read_bytes() == b"third---"
    assert (tmp_path / "child.log.1").read_bytes() == b"second--"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["child.log", "child.log.1"]


def test_last_words_are_the_last_lines(tmp_path: Path) -> None:
    """Of a long log only the end is quoted; of none, nothing."""
    path = tmp_path / "child.log"
    path.write_text("".join(f"line {number}\n" for number in range(5_000)))

    assert last_words(path).splitlines() == [f"line {number}" for number in range(4_992, 5_000)]
    assert not last_words(tmp_path / "none.log")
