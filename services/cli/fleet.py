"""All services in this process and its event loop, told what processes of their own would be."""

import asyncio
import importlib
import os
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import structlog

from infra.runtime.run import Blueprint, Fleet
from infra.settings import CommonSettings
from services.catalog import ServiceInfo

STOP_SECONDS_MAX = 8.0

log = cast("structlog.stdlib.BoundLogger", structlog.get_logger(__name__))


@asynccontextmanager
async def fleet(
    services: Sequence[ServiceInfo], environment: Mapping[str, str]
) -> AsyncGenerator[None]:
    """Run services, from their start to their end; `environment` is all that they are told."""
    with _told(environment):
        running = Fleet(CommonSettings())
        blueprints = [blueprint(service) for service in services]
    await running.start(blueprints)
    try:
        yield
    finally:
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await running.stop()
        except TimeoutError:
            # What it had not acknowledged is delivered again at the next start.
            log.warning("drain cut off", seconds=STOP_SECONDS_MAX)


@contextmanager
def _told(environment: Mapping[str, str]) -> Generator[None]:
    """Have these variables in the environment for a while: settings are read from there alone."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def blueprint(service: ServiceInfo) -> Blueprint:
    """Find how to make a service; modules are named by string, so that nothing here needs them."""
    build = importlib.import_module(f"{service.module}.service").build
    settings = cast("Any", importlib.import_module(f"{service.module}.settings")).Settings
    return Blueprint(service.name, build, settings())
