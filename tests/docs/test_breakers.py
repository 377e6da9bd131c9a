"""docs/breakers.md: what its code blocks claim, run in their order, as one reader would."""

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.docs import markdown

PAGE = "docs/breakers.md"
MODULE = "docs_breakers"


@pytest.fixture
def reader() -> Iterator[ModuleType]:
    """A module to run the blocks in: each goes on from the one before."""
    module = sys.modules[MODULE] = ModuleType(MODULE)
    yield module
    del sys.modules[MODULE]


def test_every_block_of_the_page_holds(reader: ModuleType) -> None:
    """The blocks run without an error, and their assertions are true of the code as it is."""
    blocks = markdown.blocks(PAGE, "python")
    asserted = sum(block.text.count("assert ") for block in blocks)
    for block in blocks:
        # Blank lines above, so that an error names the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, PAGE, "exec")
        exec(code, vars(reader))  # noqa: S102 - the project's own page

    assert asserted > 8
