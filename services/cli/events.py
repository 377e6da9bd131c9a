"""`tracseq events`: what happened in the laboratory, as a list or live."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from contracts.event import ListEvents, TimelineEntry
from infra.clock import SYSTEM
from infra.http.client import API, EdgeClient, EdgeUnreachableError, LiveStream
from services.cli import output, running
from services.cli.outcome import command, usage_error
from services.cli.running import DATA_DEFAULT, DataOption, JsonOption

STREAM_PATH = f"{API}/events/stream"
CLOSED = "closed"
"""The edge's farewell: it stops, or we were too slow."""
COME_BACK_SECONDS = 1.0
AWAY_SECONDS_MAX = 60.0
"""How long the edge may be away before following ends."""
DATA_CHARS_SHOWN = 160
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app)
    async def events(
        *,
        follow: Annotated[
            bool, typer.Option("--follow", "-f", help="Go on as things happen, until Ctrl-C.")
        ] = False,
        since: Annotated[
            str | None, typer.Option(help="Only later ones: 90s, 15m, 2h, 3d or a time.")
        ] = None,
        event_type: Annotated[
            str | None, typer.Option("--type", help="Only this type, such as sample.registered.")
        ] = None,
        subject: Annotated[str | None, typer.Option(help="Only about this subject.")] = None,
        correlation: Annotated[
            str | None, typer.Option(help="Only what belongs to this story.")
        ] = None,
        limit: Annotated[
            int, typer.Option(min=1, max=1_000, help="How many at most, newest first.")
        ] = 50,
        data: DataOption = DATA_DEFAULT,
        as_json: JsonOption = False,
    ) -> None:
        """Show what happened: facts that services announced and raw facts from the bench."""
        chosen = {"type": event_type, "subject": subject, "correlation": correlation}
        wanted = {name: value for name, value in chosen.items() if value is not None}
        start = parse_since(since, SYSTEM.now()) if since is not None else None
        query = ListEvents.model_validate(
            {**wanted, "page_size": limit} | ({"since": start} if start else {})
        )
        async with EdgeClient(running.edge_url(data)) as edge:
            if not follow or start is not None:
                page = await edge.ask(query)
                # Oldest first, as they happened: the newest stands where the reader's eye is.
                entries = page.items[::-1]
                if as_json and not follow:
                    output.print_json(page)
                else:
                    for entry in entries:
                        show(entry, as_json=as_json)
            if follow:
                await _follow(edge, wanted, as_json=as_json)


def parse_since(text: str, now: datetime) -> datetime:
    """Read a time, or how long ago: `15m`, `2026-01-31T12:00:00Z`; without an offset it is UTC.

    Raises:
        CliError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        remedy = "Write 90s, 15m, 2h, 3d, or a time such as 2026-01-31T12:00:00Z."
        raise usage_error("time", text, "cannot be read", remedy) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


async def _follow(edge: EdgeClient, wanted: dict[str, str], *, as_json: bool) -> None:
    """Show what happens for ever, going on where it stopped when the edge was away for a while."""
    position: str | None = None
    lost_at: float | None = None
    while True:
        try:
            async with edge.live(STREAM_PATH, params=wanted, after=position) as stream:
                lost_at = None
                try:
                    await _show_all(stream, as_json=as_json)
                finally:
                    position = stream.position
        except EdgeUnreachableError:
            # The first time it must be there; afterwards it may restart.
            if position is None or (lost_at and SYSTEM.monotonic() - lost_at > AWAY_SECONDS_MAX):
                raise
        lost_at = lost_at or SYSTEM.monotonic()
        await SYSTEM.sleep(COME_BACK_SECONDS)


async def _show_all(stream: LiveStream, *, as_json: bool) -> None:
    async for event in stream:
        if event.name != CLOSED:
            show(TimelineEntry.model_validate_json(event.data), as_json=as_json)


def show(entry: TimelineEntry, *, as_json: bool) -> None:
    """Print one thing that happened, on one line."""
    if as_json:
        output.print_json(entry)
        return
    text = ", ".join(f"{name}={value}" for name, value in entry.data.items())
    short = text if len(text) <= DATA_CHARS_SHOWN else f"{text[: DATA_CHARS_SHOWN - 1]}…"
    place = f"{entry.stream}/{entry.seq}"
    head = f"[dim]{output.cell(entry.time)} {place:>12}[/] [bold cyan]{entry.type:<28}[/]"
    output.stdout().print(f"{head} {output.cell(short)}", overflow="ellipsis", no_wrap=True)
