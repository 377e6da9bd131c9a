"""How golden files come to be: `pytest tests/contracts --update-goldens` adds what is missing.

It never changes a file that is there: what was on the wire once stays readable for ever.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write the golden files that are missing; those that exist are never changed",
    )


@pytest.fixture(scope="session")
def update_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether missing golden files are to be written."""
    # Where another folder was named on the command line, this file came too late to add the flag.
    return bool(request.config.getoption("--update-goldens", default=False))
