"""`tracseq saga`: the processes that span services; look at them, check them, tell them what to do.

Every command asks the edge, as anybody could; those that read files need no system at all.
"""

import typer

from services.cli import rebuild
from services.cli.saga import (
    archive,
    bulk,
    diagram,
    export,
    fork,
    lint,
    listing,
    orders,
    replay,
    show,
    signals,
    verify,
    what_if,
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Transactions that span services (sagas): look, check, replay, and give orders.",
    )
    app.add_typer(group, name="saga")
    for part in (listing, show, diagram, export, verify, replay, what_if, lint):
        part.register(group)
    for part in (orders, signals, fork, bulk, archive):
        part.register(group)
    rebuild.register_for_sagas(group)
