"""Ports on loopback: which are free, and who wants the one that is not."""

import errno
import os
import socket
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress

LOOPBACK = "127.0.0.1"
BASE_MIN = 10_000
BASE_STEP = 50
BASES = 400
"""Bases lie in 10,000 to 30,000: below the ports that Linux hands out by itself."""
GUARD_OFFSET = BASE_STEP - 1
"""Of the port that is bound, and never listened on, by whoever holds a base."""
ATTEMPTS_MAX = 50


class PortsTakenError(Exception):
    """Ports that are needed are held by somebody else; the text names each, and who needs it."""


def free_port() -> int:
    """Give a port that nobody listens on now; whoever binds it first has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Say whether one may listen on a port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: connections that are still fading away do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
        return True


def require_free(needed: Mapping[str, int]) -> None:
    """Check the ports that are needed: who needs it -> port.

    Raises:
        PortsTakenError: some cannot be had.
    """
    taken = [f"{port} (for {who})" for who, port in needed.items() if not is_free(port)]
    if taken:
        what = "Port is" if len(taken) == 1 else "Ports are"
        raise PortsTakenError(f"{what} taken by another program: {', '.join(taken)}.")


def free_base(offsets: Collection[int]) -> int:
    """Find a number such that number + offset is a free port for every offset.

    Raises:
        PortsTakenError: none was found in 50 attempts.
    """
    with hold_free_base(offsets) as base:
        return base


@contextmanager
def hold_free_base(offsets: Collection[int]) -> Generator[int]:
    """Find a number as `free_base` does; nobody else finds the same while the block lasts.

    Between the look at a port and the first to listen there are seconds, in which another system
    may look too.

    Raises:
        PortsTakenError: none was found in 50 attempts.
    """
    for _ in range(ATTEMPTS_MAX):
        base = BASE_MIN + BASE_STEP * (int.from_bytes(os.urandom(4)) % BASES)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as guard:
            held = False
            with suppress(OSError):
                guard.bind((LOOPBACK, base + GUARD_OFFSET))
                held = True
            if held and all(is_free(base + offset) for offset in offsets):
                yield base
                return
    raise PortsTakenError(
        f"No {len(offsets)} ports beside each other were found free in {ATTEMPTS_MAX} attempts."
    )
