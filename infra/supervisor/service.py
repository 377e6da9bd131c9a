"""A service as a child: a module run by this Python, ready when it says so over HTTP.

It is told everything by its environment, as in a container.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.clock import SYSTEM, Clock
from infra.supervisor.child import ChildFailedError, Program
from infra.supervisor.ports import LOOPBACK

READY_TIMEOUT_SECONDS = 3.0
READY_POLL_SECONDS = 0.05
READY_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 9.0
_REQUEST = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_READY = b"HTTP/1.1 200 "


def service_program(
    name: str, *, module: str, port: int, env: Mapping[str, str], log_file: Path
) -> Program:
    """Say how to run a service; `env` is added to the environment of this process."""

    async def ready(_pid: int) -> bool:
        return await answers_ready(port)

    return Program(
        name=name,
        argv=(sys.executable, "-m", module),
        ready=ready,
        # Where we are: a checkout that is not installed is found from there.
        cwd=Path.cwd(),
        env={**os.environ, **env},
        log_file=log_file,
        ready_within_seconds=READY_WITHIN_SECONDS,
        stop_within_seconds=STOP_WITHIN_SECONDS,
    )


async def answers_ready(port: int) -> bool:
    """Ask a service on loopback whether it is ready; nobody there is a no."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(_REQUEST)
                return (await reader.readline()).startswith(_READY)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def until_ready(
    ports: Mapping[str, int],
    *,
    within_seconds: float = READY_WITHIN_SECONDS,
    clock: Clock = SYSTEM,
) -> None:
    """Wait until services are ready that are no children: who -> port on loopback.

    Raises:
        ChildFailedError: some are not in time.
    """
    waiting: dict[str, int] = dict(ports)
    deadline = clock.monotonic() + within_seconds
    while waiting:
        answers = await asyncio.gather(*(answers_ready(port) for port in waiting.values()))
        ready = [name for name, answer in zip(waiting, answers, strict=True) if answer]
        waiting = {name: port for name, port in waiting.items() if name not in ready}
        if waiting and clock.monotonic() > deadline:
            names = ", ".join(waiting)
            where = f"http://{LOOPBACK}:{next(iter(waiting.values()))}/health/ready"
            raise ChildFailedError(
                f"{names}: not ready within {within_seconds:g} s. {where} says what is amiss."
            )
        if waiting:
            await clock.sleep(READY_POLL_SECONDS)
