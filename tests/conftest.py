"""What holds for every test: untouched logging, and no skip under `CI=true`."""

import logging

import pytest
import structlog
from structlog.stdlib import ProcessorFormatter

from infra.telemetry import logs
from tests.strictness import register_under_ci

pytest_plugins = ["tests.fixtures.servers"]


def pytest_configure(config: pytest.Config) -> None:
    """Put the rule into force."""
    register_under_ci(config)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> None:
    """Begin with logging that nobody configured: it is of the whole process, and outlives a test.

    A command run in this process silences what the libraries say; a later test that looks for a
    warning would not find it.
    """
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one.formatter, ProcessorFormatter)]:
        root.removeHandler(handler)
    root.setLevel(logging.WARNING)
    for name in logs.LIBRARY_LEVELS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
