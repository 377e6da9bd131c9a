"""The tables and commands of the documentation against the code that they speak of."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer

from infra.breaker import collector as breakers
from infra.telemetry.metrics import FAMILIES
from services.catalog import SERVICES
from services.cli.app import make
from services.sample.domain import NEXT
from tests.docs import facts, markdown

OPERATIONS = "docs/operations.md"
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(
        str(path.relative_to(markdown.ROOT)) for path in (markdown.ROOT / "docs").rglob("*.md")
    ),
]
INCIDENT_COMMANDS_MAX = 3


def test_the_settings_are_those_of_the_classes() -> None:
    """Every variable is listed with its default, and no other."""
    listed = {row[0]: row[1] for row in markdown.rows(OPERATIONS, "### Settings")}

    assert listed == facts.settings()


def test_the_ports_are_those_of_the_catalog() -> None:
    """Name, port and purpose of every service."""
    listed = [tuple(row) for row in markdown.rows(OPERATIONS, "### Ports")]

    assert listed == [(s.name, str(s.port), s.what) for s in SERVICES]


def test_the_metrics_are_those_that_are_exported() -> None:
    """Name, kind, labels and meaning of every family, in their order."""
    listed = [tuple(row) for row in markdown.rows(OPERATIONS, "## Look at it")]

    exported = (*FAMILIES, *breakers.FAMILIES)
    assert listed == [(f.name, f.kind, ", ".join(f.labels), f.help) for f in exported]


def test_the_steps_of_a_sample_are_those_of_the_domain() -> None:
    """The glossary's table is `NEXT`, every status and every step of it."""
    listed = {
        row[0]: {name for name in row[1].split(", ") if name}
        for row in markdown.rows("docs/glossary.md", "## Sample status")
    }

    assert listed == {str(status): set(map(str, steps)) for status, steps in NEXT.items()}


def test_no_term_is_explained_twice() -> None:
    """One line each."""
    found = re.findall(r"^## .+$", markdown.read("docs/glossary.md"), re.MULTILINE)
    headings = [heading for heading in found if heading != "## Sample status"]
    terms = [row[0] for heading in headings for row in markdown.rows("docs/glossary.md", heading)]

    assert len(terms) > 50
    assert sorted(terms) == sorted(set(terms))


def test_every_incident_is_mended_in_three_commands_at_most() -> None:
    """Whoever is called at night types little."""
    mending = markdown.read(OPERATIONS).split("\n## Mend it\n")[1]
    incidents = re.split(r"^### ", mending, flags=re.MULTILINE)[1:]
    counts = {
        text.partition("\n")[0]: len(re.findall(r"^\$ ", text, re.MULTILINE)) for text in incidents
    }

    assert len(counts) >= 10
    assert {name: n for name, n in counts.items() if not 1 <= n <= INCIDENT_COMMANDS_MAX} == {}


def test_every_dependency_is_said_to_be_there_for_a_reason() -> None:
    """docs/dependencies.md lists what pyproject.toml asks for, name by name."""
    project = tomllib.loads(markdown.read("pyproject.toml"))
    asked = [
        *project["project"]["dependencies"],
        *(one for group in project["project"]["optional-dependencies"].values() for one in group),
        *(one for group in project["dependency-groups"].values() for one in group),
    ]
    names = {re.split(r"[\[<>=!~; ]", one, maxsplit=1)[0].lower() for one in asked}
    text = markdown.read("docs/dependencies.md").lower()

    assert names
    assert {name for name in names if f"| `{name}` |" not in text} == set()


def _spoken(page: str) -> Iterator[str]:
    """Give every `tracseq ...` of a page: in console blocks and in code spans."""
    text = markdown.read(page)
    for command in markdown.commands(page):
        if (found := re.search(r"(?:^|/dev )tracseq (.+)", command)) is not None:
            yield found[1]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`(?:\./dev )?tracseq ([a-z][^`]*)`", prose)


@pytest.mark.parametrize("page", PAGES)
def test_only_commands_that_exist_are_spoken_of(page: str) -> None:
    """Each command, group, option and choice of options is one that `tracseq` knows."""
    unknown = [
        f"{spoken}: {problem}"
        for spoken in _spoken(page)
        if (problem := _problem(shlex.split(spoken))) is not None
    ]

    assert unknown == []


def test_a_command_that_does_not_exist_would_be_found() -> None:
    """The search above knows groups, commands and options from what is none."""
    assert _problem(["saga", "list", "--status", "failed"]) is None
    assert _problem(["saga", "mend"]) == "no command 'mend'"
    assert _problem(["up", "--turbo"]) == "no option --turbo"


def _problem(words: list[str]) -> str | None:
    command: Any = typer.main.get_command(make())
    rest = list(words)
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        if not rest or rest[0].startswith("-"):
            break
        word = rest.pop(0).strip(".")
        if not word:
            return None
        # "saga list|show" speaks of several at once.
        names = word.split("|")
        for name in names:
            if name not in command.commands:
                return f"no command {name!r}"
        command = command.commands[names[0]]
    options = {name for param in command.params for name in param.opts + param.secondary_opts}
    for word in rest:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in options | {"--help"}:
            return f"no option {option}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_only_recipes_that_exist_are_spoken_of(page: str) -> None:
    """Every `./dev RECIPE` is a recipe of the justfile."""
    recipes = set(
        re.findall(r"^([a-z][a-z-]*)(?: [^\n:]*)?:(?!=)", markdown.read("justfile"), re.MULTILINE)
    )
    spoken = set(re.findall(r"\./dev ([a-z][a-z-]*)", markdown.read(page)))

    assert {"demo", "test", "up", "tracseq"} <= recipes
    assert spoken - recipes == set()


def _places(page: str) -> Iterator[tuple[str, str]]:
    text = re.sub(r"\s*\n", " ", markdown.read(page))
    yield from re.findall(r"`([\w/]+\.py): ([\w.]+)`", text)


@pytest.mark.parametrize("page", PAGES)
def test_every_place_in_the_code_that_is_named_is_there(page: str) -> None:
    """Each `file: name` is a class, function or method of that file."""
    wrong = [f"{file}: {name}" for file, name in _places(page) if name not in _names_of(file)]

    assert wrong == []


def test_the_tour_names_where_it_goes() -> None:
    """The search above finds the stops of the tour, and would find one that is not there."""
    assert len(list(_places("docs/tour.md"))) > 12
    assert "Bus.ask" in _names_of("infra/bus/bus.py")
    assert "Bus.shout" not in _names_of("infra/bus/bus.py")


def _names_of(file: str) -> set[str]:
    path = markdown.ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.parse("")
    definitions = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in tree.body if isinstance(node, definitions)}
    return names | {
        f"{owner.name}.{node.name}"
        for owner in tree.body
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, definitions)
    }
