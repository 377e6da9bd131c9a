"""Logs: one JSON object per line on stderr, from our own code and from every library alike.

Our code says `log = structlog.get_logger()` and `log.info("what_happened", key=value)`. Each line
carries what is bound to the work at hand (service, correlation, saga) and the trace and span it
belongs to. Values that may be secret are never written. Nothing here keeps or ships logs.
"""

import json
import logging
import re
import sys
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Literal, cast
from uuid import UUID

import orjson
import structlog
from opentelemetry.trace import get_current_span
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from infra.clock import SYSTEM, Clock

Format = Literal["json", "console"]

LIBRARY_LEVELS = MappingProxyType(
    {
        "asyncio": logging.WARNING,
        "faststream": logging.WARNING,
        "httpcore": logging.WARNING,
        "httpx": logging.WARNING,
        "motor": logging.WARNING,
        "nats": logging.WARNING,
        # The exporter complains about every batch; infra.telemetry.export says it once.
        "opentelemetry": logging.CRITICAL,
        "pymongo": logging.WARNING,
        "uvicorn": logging.WARNING,
    }
)
"""From which level on a library is heard; any other one from the configured level on."""

REPEAT_SECONDS = 60.0
"""A library's line is written once within this time: most repetitions are reconnects."""
REPEATS_MAX = 256
"""Lines remembered for that; beyond it the oldest is forgotten, and may be written again."""

REDACTED = "[redacted]"
DEPTH_MAX = 6
"""How deep a value is searched for secrets; what lies deeper is not written."""

_SECRET_KEY = re.compile(r"password|passwd|secret|token|authorization|cookie|seed", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def configure(level: str = "info", fmt: Format = "json") -> None:
    """Send every log line of the process to stderr; where it is called again, the last call counts.

    Args:
        level: `debug`, `info`, `warning` or `error`: from which level on lines are written.
        fmt: `json` for machines, `console` for a person at a terminal.

    Raises:
        ValueError: there is no such level.
    """
    number = _number(level)
    _levels.begun = number
    _levels.asked.clear()
    describe: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        _add_time,
        _add_trace,
        structlog.processors.format_exc_info,
        redact,
    ]
    render = _render_json if fmt == "json" else structlog.dev.ConsoleRenderer(timestamp_key="time")
    structlog.configure(
        processors=[*describe, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        # Loggers live in modules, made before this call: they must not keep what held then.
        cache_logger_on_first_use=False,
    )
    _route_libraries(number, describe, render)


def ask_level(service: str, level: str | None) -> None:
    """Ask for lines from a level on while the process runs; None asks for nothing any more.

    The process has one level: the lowest that any of its services asks for, or else that which it
    was configured with.

    Raises:
        ValueError: there is no such level.
    """
    before = _levels.in_force
    if level is None:
        _levels.asked.pop(service, None)
    else:
        _levels.asked[service] = _number(level)
    number = _levels.in_force
    if number != before:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
        _set_library_levels(number)


class _Levels:
    """What the process writes, and why: it has one level, as it has one stderr."""

    def __init__(self) -> None:
        self.begun = logging.INFO
        self.asked: dict[str, int] = {}

    @property
    def in_force(self) -> int:
        return min(self.asked.values(), default=self.begun)


_levels = _Levels()


def _number(level: str) -> int:
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"log level is {level!r}: use debug, info, warning or error")
    return number


def bound(**values: str | None) -> AbstractContextManager[None]:
    """Add values to every line within a `with` block; those that are None are left out."""
    given = {name: value for name, value in values.items() if value is not None}
    return cast("AbstractContextManager[None]", bound_contextvars(**given))


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take out of a line what may be secret: by the name of its key, and credentials within URLs.

    What is neither text, number, time nor a collection of such is named by its type only: nobody
    knows what its text would give away.
    """
    return {key: _shown(key, value, DEPTH_MAX) for key, value in event.items()}


def _shown(key: object, value: object, depth: int) -> object:
    if isinstance(key, str) and _SECRET_KEY.search(key):
        return REDACTED
    if value is None or isinstance(value, bool | int | float | Enum | UUID):
        return value
    if isinstance(value, str | BaseException | Decimal | PurePath | date):
        text = str(value)
        return _CREDENTIALS.sub(REDACTED, text) if "://" in text else text
    return _shown_parts(value, depth - 1) if depth > 0 else _named(value)


def _shown_parts(value: object, depth: int) -> object:
    if isinstance(value, Mapping):
        parts = cast("Mapping[object, object]", value)
        return {str(key): _shown(key, part, depth) for key, part in parts.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(None, part, depth) for part in cast("Collection[object]", value)]
    return _named(value)


def _named(value: object) -> str:
    return f"<{type(value).__name__}>"


def _add_time(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["time"] = SYSTEM.now().isoformat(timespec="milliseconds")
    return event


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    span = get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = f"{span.trace_id:032x}"
        event["span_id"] = f"{span.span_id:016x}"
    return event


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in ("time", "level", "event") if name in event}
    line: dict[str, Any] = {**first, **event}
    try:
        return orjson.dumps(line).decode()
    except orjson.JSONEncodeError:
        # An integer beyond 64 bits or a lone surrogate: slower, but a line is never lost.
        return json.dumps(line, default=str)


class Sparing(logging.Filter):
    """Lets a library's line through once within `REPEAT_SECONDS`."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        super().__init__()
        self._clock = clock
        self._heard: OrderedDict[tuple[str, str], float] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is worth writing."""
        line, now = (record.name, record.getMessage()), self._clock.monotonic()
        if now - self._heard.get(line, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return False
        self._heard[line] = now
        self._heard.move_to_end(line)
        if len(self._heard) > REPEATS_MAX:
            self._heard.popitem(last=False)
        return True


def _route_libraries(level: int, describe: Sequence[Processor], render: Processor) -> None:
    formatter = ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *describe],
        processors=[ProcessorFormatter.remove_processors_meta, render],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(Sparing())
    root = logging.getLogger()
    root.handlers = [handler]
    for name in LIBRARY_LEVELS:
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    _set_library_levels(level)
    logging.captureWarnings(capture=True)


def _set_library_levels(level: int) -> None:
    logging.getLogger().setLevel(level)
    for name, own in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(own, level))
