"""Who acts on the command line. Until there is authentication: whoever one says one is."""

import getpass
from typing import Annotated

import typer

ActorOption = Annotated[
    str | None,
    typer.Option("--actor", envvar="TRACSEQ_ACTOR", help="Who acts; the login name by default."),
]


def who(actor: str | None) -> str:
    """Give the actor: as said, else the login name."""
    if actor:
        return actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "cli"
