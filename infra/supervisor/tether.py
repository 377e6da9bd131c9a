"""Become another program, tied to the life of the process that asked for it.

A script, not a module: `python -I -S tether.py PARENT_PID PROGRAM [ARGUMENT ...]`. It starts in
about 10 ms, so it may stand before every child; unlike a `preexec_fn` it runs no Python between
fork and exec of a parent that has threads.

On Linux the kernel kills the program when the *thread* that started it ends, even by SIGKILL.
Elsewhere there is no such tie: a parent that is killed leaves its children, and the next start
names the ports that they hold.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie, then become the program; end where the parent is gone already."""
    parent_pid, argv = int(arguments[0]), arguments[1:]
    # A session of its own: Ctrl-C at the terminal reaches the supervisor alone, which ends us.
    os.setsid()
    # Python ignores these two for itself, and what is ignored stays so beyond exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        # A parent that died before the tie was made sends no signal any more.
        if os.getppid() != parent_pid:
            sys.exit(1)
    os.execv(argv[0], argv)  # noqa: S606 - no shell between a signal and the program


if __name__ == "__main__":
    main(sys.argv[1:])
