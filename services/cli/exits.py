"""The exit codes of the command line, for scripts."""

from enum import IntEnum

EXIT_CODES = (
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 the system, or a part of it that is "
    "needed, does not answer."
)


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130
