"""`tracseq config`: what is set where and why; change it, roll it out, approve it, prove it.

Every command asks the edge, as anybody could; those that read files need no system at all. A secret
is never taken from the command line, which others can see, and leaves this machine sealed.
"""

import typer

from services.cli.config import (
    audit,
    changes,
    edits,
    files,
    keys,
    looking,
    programs,
    requests,
    rollout,
    templates,
    verify,
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Configuration of the services: look, change, roll out, approve, prove.",
    )
    app.add_typer(group, name="config")
    for part in (looking, changes, edits, files, rollout):
        part.register(group)
    for part in (requests, programs, templates, keys, audit, verify):
        part.register(group)
