"""The life of services: build, start, be ready, drain, stop; one per process or all in one."""

from infra.bus.handler import LATER, Handler, Later, handle
from infra.runtime.platform import Platform
from infra.runtime.run import Blueprint, Fleet, run, serve_all
from infra.runtime.service import Build, Service

__all__ = [
    "LATER",
    "Blueprint",
    "Build",
    "Fleet",
    "Handler",
    "Later",
    "Platform",
    "Service",
    "handle",
    "run",
    "serve_all",
]
