"""The command line put together: the one literal list of its commands."""

from collections.abc import Collection

import typer

from services.cli import config, saga
from services.cli.commands import Part, add
from services.cli.exits import EXIT_CODES

COMMANDS = (
    Part("services.cli.up", ("up",)),
    Part("services.cli.demo", ("demo",)),
    Part("services.cli.submit", ("submit",)),
    Part("services.cli.publish", ("publish",)),
    Part("services.cli.events", ("events",)),
    saga.GROUP,
    config.GROUP,
    Part("services.cli.history", ("history",)),
    Part("services.cli.dead", ("dead",)),
    Part("services.cli.rebuild", ("rebuild",)),
    Part("services.cli.provision", ("provision",)),
    Part("services.cli.contracts", ("contracts",)),
    Part("services.cli.version", ("version",)),
)


def make(words: Collection[str] | None = None) -> typer.Typer:
    """Make the command line, with the commands that `words` name, or with all."""
    app = typer.Typer(
        name="tracseq",
        help=f"Run a sequencing laboratory on events.\n\n{EXIT_CODES}",
        no_args_is_help=True,
        add_completion=False,
        # Errors are one line (outcome.py); TRACSEQ_DEBUG=1 shows the traceback of unforeseen ones.
        pretty_exceptions_enable=False,
    )
    # With a function of its own, one command alone is still called by its name.
    app.callback()(_nothing_before)
    add(app, COMMANDS, words)
    return app


def _nothing_before() -> None:
    """Do nothing before a command."""
