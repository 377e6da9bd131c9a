"""The commands by their names, so that a command line imports only what it names.

Importing every command costs most of a second, which who types one of them should not wait for.
Nothing here runs a command, or knows what it does.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module

import typer


@dataclass(frozen=True, slots=True)
class Part:
    """A module that registers commands."""

    module: str
    """Has `register(app)`, which adds what `names` says, as commands or groups."""
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under a name of their own."""

    name: str
    help: str
    parts: Sequence["Part | Group"]

    @property
    def names(self) -> tuple[str, ...]:
        """As a part has them."""
        return (self.name,)


def add(
    app: typer.Typer, parts: Sequence[Part | Group], words: Collection[str] | None = None
) -> None:
    """Add commands, in their order.

    Args:
        app: what they are added to.
        parts: where they are.
        words: what was typed. Commands that are not among it are left out, unless none is: then
            somebody looks for one, and all are there, as they are for None.
    """
    named = [part for part in parts if words is not None and not set(part.names).isdisjoint(words)]
    for part in named or parts:
        if isinstance(part, Group):
            group = typer.Typer(no_args_is_help=True, help=part.help)
            add(group, part.parts, words)
            app.add_typer(group, name=part.name)
        else:
            import_module(part.module).register(app)
