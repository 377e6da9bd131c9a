"""Commands by their names: what is named is there, and nothing else is imported for it."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest
import typer
from typer.testing import CliRunner

from services.cli.app import COMMANDS, make
from services.cli.commands import Group, Part
from tests.fixtures.cli import ROOT, environment


def parts_of(group: Group | None = None) -> Iterator[Part]:
    """Give every part, those of groups too."""
    for one in COMMANDS if group is None else group.parts:
        if isinstance(one, Group):
            yield from parts_of(one)
        else:
            yield one


@pytest.mark.parametrize("part", list(parts_of()), ids=lambda part: part.module)
def test_a_part_registers_what_its_names_say(part: Part) -> None:
    """Else a command would be there only for who looks at the help."""
    app = typer.Typer()
    import_module(part.module).register(app)

    commands = [
        one.name or (one.callback and one.callback.__name__) for one in app.registered_commands
    ]
    groups = [one.name for one in app.registered_groups]
    assert sorted(part.names) == sorted(str(name) for name in (*commands, *groups))


@pytest.mark.parametrize("words", [("version",), ("saga", "list"), ("config", "keys", "new")])
def test_a_command_that_is_named_is_there(words: tuple[str, ...]) -> None:
    """Called by its whole name, as when all were there."""
    named = CliRunner().invoke(make(words), [*words, "--help"])
    whole = CliRunner().invoke(make(), [*words, "--help"])

    assert (named.exit_code, named.output) == (0, whole.output)


def test_who_mistypes_is_told_of_all() -> None:
    """Since nothing is named, everything is there."""
    words = ["sagga"]

    assert "Did you mean 'saga'?" in CliRunner().invoke(make(words), words).output


def test_a_command_imports_nothing_of_others() -> None:
    """Neither their modules nor what only they need: the runtime of services, and the servers."""
    code = (
        "import sys; from services.cli.app import make; make(['saga', 'list']);"
        "print(*sys.modules, sep='\\n')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = set(ran.stdout.split())

    assert "services.cli.saga.listing" in modules
    assert modules.isdisjoint(
        {"services.cli.up", "services.cli.config.edits", "infra.runtime", "motor", "faststream"}
    )
