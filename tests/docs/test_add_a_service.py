"""docs/add-a-service.md, followed to the letter in a copy of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import markdown

PAGE = "docs/add-a-service.md"
COPIED = (
    *("contracts", "infra", "sagas", "services", "tests", "monitoring", "bench", "examples"),
    *("pyproject.toml", "compose.yaml", "justfile", "dev"),
)
TOOL_SECONDS_MAX = 240


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the repository, and do there what the page says."""
    copy = tmp_path_factory.mktemp("house")
    left_out = shutil.ignore_patterns("__pycache__", "docs", "e2e")
    for name in COPIED:
        if (markdown.ROOT / name).is_dir():
            shutil.copytree(markdown.ROOT / name, copy / name, ignore=left_out)
        else:
            shutil.copy2(markdown.ROOT / name, copy / name)
    for block in markdown.blocks(PAGE, "diff"):
        markdown.apply(block, copy)
    for block in markdown.blocks(PAGE, "python"):
        path = copy / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body, encoding="utf-8")
    return copy


def run(house: Path, *command: str) -> None:
    """Run a tool of the environment in the copy; what it objects to is the failure's message."""
    done = subprocess.run(
        (sys.executable, "-m", *command),
        cwd=house,
        env={**os.environ, "PYTHONPATH": str(house)},
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def test_every_python_block_names_its_file() -> None:
    """What has no file could not be followed."""
    assert [b.line for b in markdown.blocks(PAGE, "python") if not b.file] == []


@pytest.mark.timeout(TOOL_SECONDS_MAX)
def test_the_service_of_the_page_works(house: Path) -> None:
    """Its own tests pass, over a real broker and a real document store."""
    run(house, "pytest", "-q", "tests/unit/reagent", "tests/integration/test_reagent.py")


@pytest.mark.timeout(TOOL_SECONDS_MAX)
def test_the_contract_of_the_page_is_a_contract(house: Path) -> None:
    """It passes what every contract passes, and its golden files are written and read."""
    chosen = ("--update-goldens", "-k", "golden or catalog or subjects")
    run(house, "pytest", "-q", "tests/contracts", *chosen)

    assert (house / "tests/contracts/golden/reagent.lot_received.v1.json").exists()


@pytest.mark.timeout(TOOL_SECONDS_MAX)
def test_the_service_of_the_page_has_the_shape_of_the_house(house: Path) -> None:
    """Layers, files, Compose and Prometheus agree with the catalog."""
    chosen = ("-k", "files_of_the_shape or main_of or package_of or layers")
    run(house, "pytest", "-q", "tests/architecture/test_shape.py", *chosen)
    chosen = ("-k", "compose or scrapes")
    run(house, "pytest", "-q", "tests/architecture/test_deployment.py", *chosen)


def test_the_code_of_the_page_passes_the_linter(house: Path) -> None:
    """The example is written as the rest is."""
    files = [block.file for block in markdown.blocks(PAGE, "python")]
    run(house, "ruff", "check", "--no-cache", *files)
    run(house, "ruff", "format", "--check", "--no-cache", *files)
