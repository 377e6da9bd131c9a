"""What holds for every test: under `CI=true` nothing may be skipped (tests/strictness.py)."""

import pytest

from tests.strictness import register_under_ci

pytest_plugins = ["tests.fixtures.servers"]


def pytest_configure(config: pytest.Config) -> None:
    """Put the rule into force."""
    register_under_ci(config)
