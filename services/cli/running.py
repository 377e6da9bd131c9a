"""Where the running system is: `up` writes it down, every other command reads it.

The file is `<data>/run.json`. It is no truth about the system: whoever cannot be reached
there is not there.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from services.cli.exits import Exit
from services.cli.outcome import START_IT, CliError

RUN_FILE = "run.json"
DATA_DEFAULT = Path(".tracseq")
EDGE_URL = "TRACSEQ_EDGE_URL"
NATS_URL = "TRACSEQ_NATS_URL"

DataOption = Annotated[
    Path,
    typer.Option("--data", envvar="TRACSEQ_DATA", help="Data directory of the system to talk to."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class RunInfo(BaseModel):
    """A running system: processes and addresses."""

    model_config = ConfigDict(frozen=True)

    pid: int
    """Of `tracseq up`; SIGTERM stops everything."""
    version: str
    started_at: datetime
    data: Path
    profile: str
    isolated: bool
    nats_url: str
    nats_monitor_url: str
    mongo_url: str
    edge_url: str | None
    """None where the edge was left out."""
    services: dict[str, str]
    """Name -> address."""
    children: dict[str, int | None]
    """Name -> process id; None while it is being started again."""


def write(data: Path, info: RunInfo) -> None:
    """Write down where the system is, all at once."""
    unfinished = data / f"{RUN_FILE}.new"
    unfinished.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")
    unfinished.replace(data / RUN_FILE)


def forget(data: Path) -> None:
    """Say that the system is no more."""
    (data / RUN_FILE).unlink(missing_ok=True)


def find(data: Path) -> RunInfo | None:
    """Read where the system of a data directory is; None where none is."""
    try:
        return RunInfo.model_validate_json((data / RUN_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        remedy = "It was written by another version; stop that, and start this one."
        raise CliError(f"{data / RUN_FILE} cannot be read.", remedy=remedy) from error


def edge_url(data: Path) -> str:
    """Find the edge: TRACSEQ_EDGE_URL, else the system of the data directory.

    Raises:
        CliError: neither says.
    """
    given = os.environ.get(EDGE_URL)
    if given:
        return given
    info = find(data)
    if info is None or info.edge_url is None:
        raise CliError(
            f"No edge is known: no system runs on {data}.", remedy=START_IT, code=Exit.UNREACHABLE
        )
    return info.edge_url


def nats_url(data: Path) -> str:
    """Find the broker: TRACSEQ_NATS_URL, else the system of the data directory.

    Raises:
        CliError: neither says.
    """
    given = os.environ.get(NATS_URL)
    if given:
        return given
    info = find(data)
    if info is None:
        remedy = "`tracseq up` starts one; --data or TRACSEQ_NATS_URL says where it is."
        raise CliError(
            f"No broker is known: no system runs on {data}.", remedy=remedy, code=Exit.UNREACHABLE
        )
    return info.nats_url
