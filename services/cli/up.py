"""`tracseq up`: a laboratory of one's own from one command, until Ctrl-C."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.table import Table

from infra.bus.provision import ProvisionError
from infra.config.keyring import KeyFileError
from infra.supervisor import ChildFailedError, DataInUseError, MissingProgramError, PortsTakenError
from infra.telemetry import logs
from services import catalog
from services.cli import output
from services.cli.exits import Exit
from services.cli.outcome import CliError, command, usage_error
from services.cli.plan import ANY_BASE, LogLevel, Plan, Profile
from services.cli.running import DATA_DEFAULT, JsonOption, RunInfo
from services.cli.smtp import smtp_environment
from services.cli.system import System

PORT_BASE_MIN = 1_024
PORT_BASE_MAX = 65_535 - catalog.STORE_OFFSET

PROFILES = {
    "dev": "what was answered survives killed processes; a power cut may cost two minutes of it",
    "safe": "what was answered is on the disk: it survives killed processes and power cuts",
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def up(
        *,
        data: Annotated[
            Path, typer.Option("--data", envvar="TRACSEQ_DATA", help="Where all data are kept.")
        ] = DATA_DEFAULT,
        port_base: Annotated[
            int | None,
            typer.Option(
                help="Ports from here on: edge +9, broker +20, store +22; 0 takes free ones."
            ),
        ] = None,
        isolated: Annotated[
            bool, typer.Option("--isolated", help="Run every service as a process of its own.")
        ] = False,
        profile: Annotated[Profile, typer.Option(help="How durable: dev or safe.")] = "safe",
        smtp_url: Annotated[
            str | None,
            typer.Option(help="Mail server for notifications: smtp[+starttls]://HOST:PORT."),
        ] = None,
        log_level: Annotated[LogLevel, typer.Option(help="How much the services say.")] = "warning",
        only: Annotated[
            str | None, typer.Option(help="Start these services alone, separated by commas.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Start the broker, the document store and every service; Ctrl-C drains and stops them.

        Everything listens on this machine only and keeps its data in one folder. With --json one
        line says where everything is, once it is up.
        """
        plan = Plan(
            data=data,
            port_base=_port_base(port_base),
            isolated=isolated,
            profile=profile,
            told=smtp_environment(smtp_url) if smtp_url is not None else {},
            log_level=log_level,
            only=_only(only),
        )
        logs.configure(level=log_level, fmt="console" if sys.stderr.isatty() else "json")
        await _run(System(plan), as_json=as_json)


async def _run(system: System, *, as_json: bool) -> None:
    asked = _cancel_on_signals(system)
    try:
        async with system:
            _announce(system.info, as_json=as_json)
            raise await system.lost()
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
    except DataInUseError as error:
        raise CliError(f"{error}", remedy="Stop that one, or choose another --data.") from None
    except PortsTakenError as error:
        remedy = "Stop that program, or choose other ports: --port-base 18000, or 0 for any."
        raise CliError(f"{error}", remedy=remedy) from None
    except (ChildFailedError, KeyFileError, MissingProgramError, ProvisionError) as error:
        raise CliError(f"{error}") from None


def _cancel_on_signals(system: System) -> asyncio.Event:
    """Have the first signal stop the system and the second kill it; say whether one came."""
    asked = asyncio.Event()
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if asked.is_set():
            system.kill()
            os._exit(Exit.INTERRUPTED)
        asked.set()
        output.notice("Stopping. Once more kills.")
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return asked


def _announce(info: RunInfo, *, as_json: bool) -> None:
    """Say where everything is, what the profile may lose, and how to stop."""
    if as_json:
        output.print_json(info)
        return
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    if info.edge_url is not None:
        facts.add_row(
            "HTTP", f"{info.edge_url}/api/v1 - loopback only: there is no authentication yet"
        )
    facts.add_row("Events", f"{info.nats_url} (NATS), {info.nats_monitor_url} tells of it")
    facts.add_row("Profile", f"{info.profile}: {PROFILES[info.profile]}")
    facts.add_row("Data", f"{output.cell(info.data)}, logs in log/")
    how = "one process each" if info.isolated else "in one process"
    facts.add_row("Services", f"{', '.join(info.services)} ({how})")
    facts.add_row("Try", _suggestion(info))
    facts.add_row("Stop", f"Ctrl-C, or kill {info.pid}; everything that was answered is kept")
    output.stdout().print(
        Panel(facts, title=f"tracseq {info.version} is up", title_align="left", expand=False)
    )


def _suggestion(info: RunInfo) -> str:
    where = "" if info.data == DATA_DEFAULT.resolve() else f" --data {output.cell(info.data)}"
    return f"tracseq events --follow{where}"


def _port_base(given: int | None) -> int | None:
    if given in {None, ANY_BASE} or PORT_BASE_MIN <= int(given or 0) <= PORT_BASE_MAX:
        return given
    remedy = f"Give {PORT_BASE_MIN} to {PORT_BASE_MAX}, or 0 for any free ones."
    raise usage_error("--port-base", given, "leaves no room for the ports", remedy)


def _only(given: str | None) -> frozenset[str]:
    names = frozenset(name.strip() for name in given.split(",")) if given else frozenset[str]()
    for name in sorted(names - set(catalog.NAMES)):
        raise usage_error(
            "--only", name, "is no service", f"Known are: {', '.join(catalog.NAMES)}."
        )
    return names
