"""Every service has the same files, every file says what it is for, subjects are spelt once.

Import order and stray modules are import-linter's part (`lint-imports`, run here as well); this is
about what must be there.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import tree

SHAPE = frozenset({"__main__", "service", "settings", "domain", "handlers", "projections", "store"})

# Who lacks a role, and why. A service that is not named here has all of them.
LACKS: dict[str, dict[str, str]] = {
    "edge": {
        "domain": "it decides nothing: the services behind it do",
        "handlers": "it takes no messages",
        "projections": "it keeps no read model",
        "store": "as above",
    },
    "template": {"projections": "it keeps files, and nothing that changes"},
}

MAIN_STATEMENTS_MAX = 4
LINES_MAX = 400
LITERAL_SUBJECT = re.compile(r"^tracseq\.((cmd|qry|evt|log|saga|rpl|lab|dlq)\b|[*>]|$)")
SUBJECTS = Path("contracts/subjects.py")


def roles(service: str) -> set[str]:
    """List the modules and packages of a service, without `__init__`."""
    folder = tree.ROOT / "services" / service
    files = {path.stem for path in folder.glob("*.py")}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return (files | packages) - {"__init__"}


def test_there_are_services_to_judge() -> None:
    """The tests below see the services: an empty list would make them all pass."""
    assert {"sample", "edge"} <= set(tree.services())


def test_every_service_has_exactly_the_files_of_the_shape() -> None:
    """A service holds every role but those it is said to lack, and nothing besides."""
    wrong = {
        service: sorted(roles(service) ^ (SHAPE - LACKS.get(service, {}).keys()))
        for service in tree.services()
    }

    assert {service: names for service, names in wrong.items() if names} == {}


def test_exceptions_from_the_shape_are_of_services_that_exist() -> None:
    """No exception outlives its service."""
    assert set(LACKS) <= set(tree.services())


def test_the_main_of_a_service_only_runs_it() -> None:
    """`__main__` is a docstring, imports and the call that runs the built service."""
    wordy = [
        service
        for service in tree.services()
        if len(statements(Path(f"services/{service}/__main__.py"))) > MAIN_STATEMENTS_MAX
    ]

    assert wordy == []


def statements(path: Path) -> list[ast.stmt]:
    """List the statements of a module without its docstring."""
    return tree.parse(path).body[1:]


def test_the_package_of_a_service_is_its_docstring_only() -> None:
    """`__init__` says what the service owns and does nothing, so importing a part is cheap."""
    doing = [name for name in tree.services() if statements(Path(f"services/{name}/__init__.py"))]

    assert doing == []


def test_every_module_says_what_it_is_for() -> None:
    """Each Python file of the repository has a module docstring."""
    silent = [
        str(path)
        for path in tree.modules(*tree.PACKAGES, "tests", "bench")
        if not ast.get_docstring(tree.parse(path))
    ]

    assert silent == []


def test_no_module_is_too_long_to_find_ones_way_in() -> None:
    """No module grows beyond 400 lines, contracts aside: they are lists, one file per owner."""
    long = {
        str(path): lines
        for path in tree.modules("infra", "sagas", "services", "bench")
        if (lines := len((tree.ROOT / path).read_text().splitlines())) > LINES_MAX
    }

    assert long == {}


def test_subjects_are_spelt_in_one_place() -> None:
    """No string literal outside `contracts/subjects.py` spells a subject: they are derived."""
    spelt = [
        f"{path}:{node.lineno} {node.value!r}"
        for path in tree.modules(*tree.PACKAGES, "bench")
        if path != SUBJECTS
        for node in ast.walk(tree.parse(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and LITERAL_SUBJECT.match(node.value)
    ]

    assert spelt == []


@pytest.mark.parametrize(
    "literal", ["tracseq.cmd.sample.register", "tracseq.evt.>", "tracseq.*.x", "tracseq."]
)
def test_a_subject_is_recognised_by_its_beginning(literal: str) -> None:
    """The search above would find a subject if there were one."""
    assert LITERAL_SUBJECT.match(literal)


def test_the_layers_hold() -> None:
    """import-linter keeps every contract of pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]

    done = subprocess.run(
        command, cwd=tree.ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
