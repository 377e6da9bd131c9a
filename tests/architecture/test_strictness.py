"""Under `CI=true` a run with a skipped or expected failure fails; without it, it passes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

CONFTEST = """
from tests.strictness import register_under_ci


def pytest_configure(config):
    register_under_ci(config)
"""

CASES = {
    "a skip": ("@pytest.mark.skip(reason='no tool')\ndef test_one(): ...", "no tool"),
    "a skip while running": ("def test_one(): pytest.skip('no time')", "no time"),
    "a skipped module": ("pytest.skip('no machine', allow_module_level=True)", "no machine"),
    "an expected failure": (
        "@pytest.mark.xfail(reason='known')\ndef test_one(): assert 0",
        "expected to fail: known",
    ),
}


def run_pytest(folder: Path, *arguments: str, ci: bool) -> subprocess.CompletedProcess[str]:
    """Run pytest on a folder of its own, as a person does or as the run that counts."""
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment["PYTHONPATH"] = str(ROOT)
    if ci:
        environment["CI"] = "true"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the rule in force and one test that passes."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_passing.py").write_text("def test_passes(): ...\n")
    return tmp_path


def write_cases(folder: Path) -> None:
    """Add every way in which a test can prove nothing, a file each."""
    for number, (source, _) in enumerate(CASES.values()):
        (folder / f"test_case_{number}.py").write_text(f"import pytest\n\n{source}\n")


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_proves_nothing_fails_the_run_that_counts(folder: Path, workers: str) -> None:
    """Under CI=true the run fails and lists each such test with its reason, workers or not."""
    write_cases(folder)

    done = run_pytest(folder, "-n", workers, ci=True)

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    listed = done.stdout.partition("did not prove anything")[2]
    assert [case for case, (_, reason) in CASES.items() if reason not in listed] == []


def test_a_person_may_skip(folder: Path) -> None:
    """Without CI=true skipped tests and expected failures do not fail the run."""
    write_cases(folder)

    done = run_pytest(folder, ci=False)

    assert done.returncode == pytest.ExitCode.OK, done.stdout


def test_a_run_that_proves_everything_passes(folder: Path) -> None:
    """Under CI=true a run without skips passes."""
    done = run_pytest(folder, ci=True)

    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "did not prove anything" not in done.stdout
