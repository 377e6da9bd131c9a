"""What tests of the engine share."""

from collections.abc import Callable, Iterator

import pytest

from sagas.engine.definition import Definition
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Begin

Tell = Callable[..., Chronicle]


@pytest.fixture
def tell() -> Iterator[Tell]:
    """Make logs of sagas that have not begun.

    After the test each is decided on again from its bytes: the same must come out.
    """
    told: list[Chronicle] = []

    def make(definition: Definition, message: Begin | None = None) -> Chronicle:
        log = Chronicle(definition, message or Begin(lot="L1"))
        told.append(log)
        return log

    yield make
    for log in told:
        log.verify()
