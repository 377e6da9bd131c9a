"""Contracts, sagas and domains are pure: no input, no output, no clock, no chance.

import-linter sees which packages import which; this sees the standard library too, which it does
not, by naming what a pure module may import from outside the project.
"""

import sys
from pathlib import Path

import pytest

from tests.architecture import tree

COMPUTING = frozenset({"pydantic", "pydantic_core", "annotated_types", "orjson", "jsonschema_rs"})
"""Packages that only compute: models, JSON to and from text, and checks by a JSON Schema."""
PROJECT = frozenset(tree.PACKAGES)

# What reaches the world, time or chance. `datetime` and `uuid` are types here: making one out of
# nothing (`now`, `uuid4`) is a lint error everywhere (ruff, banned-api).
IMPURE = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "threading"),
        *("http", "os", "pathlib", "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl"),
        *("io", "logging", "subprocess", "tempfile", "glob", "fileinput", "urllib.request"),
        *("random", "secrets", "time"),
    }
)


def pure_modules() -> list[Path]:
    """List the modules that must be pure."""
    domains = (path for path in tree.modules("services") if is_domain(path))
    return [*tree.modules("contracts", "sagas"), *domains]


def is_domain(path: Path) -> bool:
    """Say whether a module is a service's domain, be it a file or a package of that name."""
    role = path.parts[2] if len(path.parts) > 2 else ""
    return role in {"domain", "domain.py"}


def impurities(names: set[str]) -> list[str]:
    """List the imports that a pure module must not make."""
    return sorted(name for name in names if is_impure(name))


def is_impure(name: str) -> bool:
    """Judge one dotted name."""
    top = name.partition(".")[0]
    if top in PROJECT | COMPUTING:
        return False
    return top not in sys.stdlib_module_names or top in IMPURE or name in IMPURE


def test_pure_modules_import_nothing_that_reaches_the_world() -> None:
    """Contracts, sagas and domains import what only computes."""
    found = {str(path): impurities(tree.imported(tree.parse(path))) for path in pure_modules()}

    assert {path: names for path, names in found.items() if names} == {}


def test_the_pure_modules_are_seen() -> None:
    """The test above sees contracts, sagas and at least the sample's domain."""
    tops = {path.parts[0] for path in pure_modules()}

    assert tops == {"contracts", "sagas", "services"}


@pytest.mark.parametrize("name", ["time", "os.path", "urllib.request", "nats.js", "httpx"])
def test_what_reaches_the_world_is_recognised(name: str) -> None:
    """Clock, files, network and third-party packages count as impure."""
    assert impurities({name}) == [name]


@pytest.mark.parametrize(
    "name", ["json", "orjson", "urllib.parse", "pydantic.fields", "contracts.sample"]
)
def test_what_only_computes_is_allowed(name: str) -> None:
    """Values, parsing and the language of the laboratory are pure."""
    assert impurities({name}) == []
