"""Ports on loopback: which are free, and who wants the one that is not."""

import errno
import os
import socket
from collections.abc import Collection, Mapping

LOOPBACK = "127.0.0.1"
BASE_MIN = 10_000
BASE_STEP = 50
BASES = 400
"""Bases lie in 10,000 to 30,000: below the ports that Linux hands out by itself."""
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
    for _ in range(ATTEMPTS_MAX):
        base = BASE_MIN + BASE_STEP * (int.from_bytes(os.urandom(4)) % BASES)
        if all(is_free(base + offset) for offset in offsets):
            return base
    raise PortsTakenError(
        f"No {len(offsets)} ports beside each other were found free in {ATTEMPTS_MAX} attempts."
    )
