"""The command line put together: the one literal list of its commands."""

import typer

from services.cli import (
    config,
    contracts,
    dead,
    demo,
    events,
    history,
    provision,
    publish,
    rebuild,
    saga,
    submit,
    up,
    version,
)
from services.cli.outcome import EXIT_CODES

app = typer.Typer(
    name="tracseq",
    help=f"Run a sequencing laboratory on events.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    # Errors are one line (outcome.py); TRACSEQ_DEBUG=1 shows the traceback of unforeseen ones.
    pretty_exceptions_enable=False,
)

for group in (
    up,
    demo,
    submit,
    publish,
    events,
    saga,
    config,
    history,
    dead,
    rebuild,
    provision,
    contracts,
    version,
):
    group.register(app)
