"""What the repository holds besides code: reasons for dependencies, and no trace of one machine."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture import tree

BYTES_MAX = 2_000_000

# What the benches compare with is no part of the project's environment. The peers of the saga
# bench have one of their own, with its lock; the breakers are installed by whoever wants them.
BENCH_GROUPS = {"bench", "peers"}

# Where packages come from is the installer's affair, never the repository's.
REGISTRY = re.compile(
    r"^\s*(--)?(extra-)?index-url"
    r"|^registry\s*="
    r'|"resolved"\s*:\s*"https?://'
    r"|https?://[^\s\"']+\.(whl|tar\.gz|tgz)\b"
    r"|files\.pythonhosted\.org",
    re.MULTILINE,
)
# A home, a temporary folder with a name, a mount of one machine.
MACHINE_PATH = re.compile(r"(?<![\w.-])/(home|Users|root|mnt|work|workspace)/[A-Za-z0-9._-]+/")


def dependencies(*, locked: bool = False) -> set[str]:
    """List the direct dependencies of pyproject.toml, normalised; `locked`: those the lock has."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *(
            group
            for name, group in project["dependency-groups"].items()
            if not (locked and name in BENCH_GROUPS)
        ),
    ]
    return {normalised(requirement) for group in groups for requirement in group}


def normalised(requirement: str) -> str:
    """Give the name of a requirement as package indexes compare it (PEP 503)."""
    name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def reasons() -> dict[str, str]:
    """Read the table of docs/dependencies.md: name to reason."""
    text = (tree.ROOT / "docs/dependencies.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \|$", text, re.MULTILINE)
    return {normalised(name): reason for name, reason in rows}


def texts() -> Iterator[tuple[Path, str]]:
    """Give every text file of the repository with its content."""
    for path in tree.tracked_files():
        content = (tree.ROOT / path).read_bytes()
        if b"\0" not in content:
            yield path, content.decode("utf-8", errors="replace")


def found(pattern: re.Pattern[str]) -> list[str]:
    """List where a pattern stands in the repository, this file aside."""
    this = Path(__file__).resolve().relative_to(tree.ROOT)
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1} {match.group().strip()}"
        for path, text in texts()
        if path != this
        for match in pattern.finditer(text)
    ]


def test_every_direct_dependency_has_a_reason() -> None:
    """docs/dependencies.md has one line for each dependency of pyproject.toml and no other."""
    assert set(reasons()) == dependencies()


def test_every_direct_dependency_is_locked() -> None:
    """requirements.lock pins each of them."""
    lock = (tree.ROOT / "requirements.lock").read_text()
    locked = {normalised(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}

    assert dependencies(locked=True) - locked == set()


def test_every_peer_of_the_saga_bench_is_locked() -> None:
    """requirements-bench.lock pins each package of the group `peers`."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
    peers = {normalised(name) for name in project["dependency-groups"]["peers"]}
    lock = (tree.ROOT / "requirements-bench.lock").read_text()
    locked = {normalised(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)}

    assert peers
    assert peers - locked == set()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-bench.lock"])
def test_every_locked_package_is_checked_by_hash(name: str) -> None:
    """No pin of a lock lacks a hash, so a swapped package cannot be installed."""
    lock = (tree.ROOT / name).read_text().replace("\\\n", " ")
    pins = [line for line in lock.splitlines() if re.match(r"[A-Za-z0-9]", line)]

    assert pins
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_no_registry_is_named() -> None:
    """Nothing in the repository says from where packages are fetched."""
    assert found(REGISTRY) == []


def test_no_path_of_one_machine_is_named() -> None:
    """Nothing in the repository names a place of the machine it was written on."""
    assert found(MACHINE_PATH) == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (REGISTRY, "--index-url https://packages.example/simple"),
        (REGISTRY, "url = 'https://packages.example/a-1.0-py3-none-any.whl'"),
        (MACHINE_PATH, "see /home/ada/tracseq/notes"),
    ],
)
def test_a_trace_would_be_found(pattern: re.Pattern[str], text: str) -> None:
    """The searches above recognise what they look for."""
    assert pattern.search(text)


def test_no_large_file_is_kept() -> None:
    """No file of the repository is larger than 2 MB: data are made by code or fetched by users."""
    sizes = {str(path): (tree.ROOT / path).stat().st_size for path in tree.tracked_files()}

    assert {path: size for path, size in sizes.items() if size > BYTES_MAX} == {}


def test_the_version_is_in_the_changelog() -> None:
    """CHANGELOG.md has an entry for the version of pyproject.toml, or it is still unreleased."""
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text())
    changelog = (tree.ROOT / "CHANGELOG.md").read_text()

    assert re.search(
        rf"^## \[({re.escape(project['project']['version'])}|Unreleased)\]", changelog, re.MULTILINE
    )
