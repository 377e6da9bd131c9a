"""Run services until told to stop: one as a process, or all of them in one event loop.

Nothing is configured here; see `infra/settings.py`.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
import uvloop
from pydantic import ValidationError

from infra.bus.connection import BrokerUnavailable
from infra.lease.bucket import WrongCountError
from infra.runtime.platform import Platform
from infra.runtime.running import Running
from infra.runtime.service import Build
from infra.settings import CommonSettings, ServiceSettings
from infra.store import tracing as store_tracing
from infra.telemetry import logs, tracing

log = structlog.get_logger(__name__)

GC_YOUNG_MAX = 20_000
"""Objects made since the last look for cycles among the young."""
GC_GENERATIONS = 50


@dataclass(frozen=True, slots=True)
class Blueprint:
    """How to make one service."""

    name: str
    build: Build[Any]
    settings: ServiceSettings


@dataclass(slots=True)
class Fleet:
    """Services that run together in this process."""

    common: CommonSettings
    running: list[Running] = field(default_factory=list[Running])

    async def start(self, blueprints: Sequence[Blueprint]) -> None:
        """Build and start; what was started is stopped again where one does not come up."""
        try:
            for blueprint in blueprints:
                tracing.configure(
                    blueprint.name, self.common.otlp_endpoint, self.common.trace_ratio
                )
            store_tracing.instrument(tracing.provider_for(blueprints[0].name))
            for blueprint in blueprints:
                running = await _build(blueprint, self.common)
                self.running.append(running)
                await running.start()
            collect_garbage_rarely()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Drain and stop, the last started first."""
        while self.running:
            await self.running.pop().stop()
        tracing.shutdown()


async def _build(blueprint: Blueprint, common: CommonSettings) -> Running:
    platform = await Platform.open(blueprint.name, common)
    try:
        return Running(blueprint.build(blueprint.settings, platform))
    except BaseException:
        await platform.close()
        raise


async def serve_all(
    blueprints: Sequence[Blueprint], common: CommonSettings, stop: asyncio.Event
) -> None:
    """Run services in this event loop until `stop` is set."""
    fleet = Fleet(common)
    await fleet.start(blueprints)
    try:
        await stop.wait()
    finally:
        await fleet.stop()


def run(name: str, build: Build[Any], settings: type[ServiceSettings]) -> None:
    """Run one service as this process until SIGTERM or Ctrl-C; exit with 1 if it cannot start."""
    logs.configure()
    try:
        common = CommonSettings()
        own = settings()  # pyright: ignore[reportCallIssue] - fields come from the environment
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            setting = "_".join(map(str, fault["loc"])) or "settings"
            log.error("service.wrong_setting", service=name, setting=setting, problem=fault["msg"])  # noqa: TRY400 - said in full
        sys.exit(1)
    logs.configure(level=common.log_level, fmt=common.log_format)
    log.info(
        "service.starting", service=name, profile=common.profile, environment=common.environment
    )
    blueprint = Blueprint(name, build, own)
    try:
        uvloop.run(_until_signal([blueprint], common))
    except (BrokerUnavailable, WrongCountError, OSError) as error:
        log.error("service.cannot_start", service=name, error=str(error))  # noqa: TRY400 - the text says it all
        sys.exit(1)


def collect_garbage_rarely() -> None:
    """Look for cycles less often, and never among what was made at start.

    Remembered aggregates make full collections long (100 ms and more), and hold no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, GC_GENERATIONS, GC_GENERATIONS)


async def _until_signal(blueprints: Sequence[Blueprint], common: CommonSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve_all(blueprints, common, stop)
