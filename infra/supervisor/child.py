"""One program as a child process: started, waited for until it is ready, ended.

A child never outlives us (tether.py), hears no Ctrl-C of the terminal, and what it says goes to its
log. It does not come back by itself: that is the supervisor's part.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.clock import SYSTEM, Clock
from infra.supervisor.logfile import LogFile, last_words

TETHER = Path(__file__).with_name("tether.py")
READY_POLL_SECONDS = 0.01
CHUNK_BYTES = 64 * 1024


class ChildFailedError(Exception):
    """A program did not come up, or not stay up; the text says which, why, and where its log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, and how to know that it runs."""

    name: str
    argv: tuple[str, ...]
    """The first is a path: nothing is searched for."""
    ready: Callable[[int], Awaitable[bool]]
    """Asked again and again with the process id until it says yes."""
    log_file: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stop_signal: signal.Signals = signal.SIGTERM
    ready_within_seconds: float = 60.0
    stop_within_seconds: float = 5.0
    """How long it may take to stop before it is killed."""


class Child:
    """A program and its process, if it has one."""

    def __init__(self, program: Program, *, clock: Clock = SYSTEM) -> None:
        """Prepare; nothing is started."""
        self.program = program
        self.restarts = 0
        """How often it was started after the first time."""
        self._clock = clock
        self._process: Process | None = None
        self._listener: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the program and return once it is ready.

        Must be called on the main thread: the kernel ties a child to the thread that started it.

        Raises:
            ChildFailedError: it ended, or was not ready in time; then it does not run.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                f"start {self.program.name} from the main thread: "
                "a child dies with the thread that starts it"
            )
        if self.pid is not None:
            raise RuntimeError(f"{self.program.name} runs already, as process {self.pid}")
        if self._process is not None:
            self.restarts += 1
        program = self.program
        log = LogFile(program.log_file)
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *program.argv),
            cwd=program.cwd,
            env=dict(program.env),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        self._listener = asyncio.create_task(_listen(process, log), name=f"log of {program.name}")
        try:
            await self._until_ready(process)
        except BaseException:
            self.kill()
            await self._ended(process)
            raise

    async def exited(self) -> int:
        """Wait until it does not run; give its exit code (negative: the signal that ended it)."""
        if self._process is None:
            raise RuntimeError(f"{self.program.name} was never started")
        return await self._ended(self._process)

    async def stop(self) -> None:
        """Ask it to stop, wait as long as it may take, then kill it."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                process.send_signal(self.program.stop_signal)
        try:
            async with asyncio.timeout(self.program.stop_within_seconds):
                await process.wait()
        except TimeoutError:
            self.kill()
        await self._ended(process)

    def kill(self) -> None:
        """Kill it and whatever it started, at once."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        # It leads a group of its own but for its first moments, when it has started nobody yet.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    async def _until_ready(self, process: Process) -> None:
        program = self.program
        try:
            async with asyncio.timeout(program.ready_within_seconds):
                while process.returncode is None:
                    if await program.ready(process.pid):
                        return
                    await self._clock.sleep(READY_POLL_SECONDS)
        except TimeoutError:
            raise self._failed(f"was not ready within {program.ready_within_seconds:g} s") from None
        # What it said last is written before it is quoted.
        code = await self._ended(process)
        raise self._failed(f"ended at once with code {code}")

    def _failed(self, what: str) -> ChildFailedError:
        words = last_words(self.program.log_file)
        said = f" It said: {words}" if words else " It said nothing."
        return ChildFailedError(
            f"{self.program.name} {what}.{said} All of it: {self.program.log_file}"
        )

    async def _ended(self, process: Process) -> int:
        code = await process.wait()
        if self._listener is not None:
            # Shielded: whoever waits may stop waiting, the log is written to its end all the same.
            await asyncio.shield(self._listener)
        return code


async def _listen(process: Process, log: LogFile) -> None:
    """Write what a child says into its log until it says no more."""
    stream = process.stdout
    if stream is None:
        raise RuntimeError("a child's output is piped")
    try:
        while chunk := await stream.read(CHUNK_BYTES):
            log.write(chunk)
    finally:
        log.close()
