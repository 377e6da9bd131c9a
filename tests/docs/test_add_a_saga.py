"""docs/add-a-saga.md: what its code blocks claim, run in their order, as one reader would."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs import markdown

PAGE = "docs/add-a-saga.md"
MODULE = "docs_add_a_saga"


@pytest.fixture
def reader() -> Iterator[ModuleType]:
    """A module to run the blocks in: each goes on from the one before."""
    module = sys.modules[MODULE] = ModuleType(MODULE)
    yield module
    del sys.modules[MODULE]


def test_every_block_of_the_page_holds(reader: ModuleType) -> None:
    """The blocks run without an error, and their assertions are true of the code as it is."""
    blocks = markdown.blocks(PAGE, "python")
    asserted = sum(block.text.count("\nassert ") for block in blocks)
    for block in blocks:
        # Blank lines above, so that an error names the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, PAGE, "exec")
        exec(code, vars(reader))  # noqa: S102 - the project's own page

    assert asserted > 10


def test_the_list_of_definitions_is_as_the_page_says(tmp_path: Path) -> None:
    """The change that the page makes to the list fits the list."""
    (block,) = markdown.blocks(PAGE, "diff")
    copy = tmp_path / block.file
    copy.parent.mkdir(parents=True)
    shutil.copy2(markdown.ROOT / block.file, copy)

    markdown.apply(block, tmp_path)

    assert "checked(BENCH_INTAKE)" in copy.read_text(encoding="utf-8")
