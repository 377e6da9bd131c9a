"""What the demo shows: headings, box maps, the timeline, faulty cells. Shows, never checks."""

from collections.abc import Iterable, Mapping, Sequence

from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from contracts.errors import FieldError
from contracts.event import TimelineEntry
from contracts.storage import GridView, PositionState
from contracts.types import SampleType
from services.cli import output

COLOURS: Mapping[SampleType, str] = {
    SampleType.BLOOD: "red",
    SampleType.SALIVA: "bright_cyan",
    SampleType.TISSUE: "magenta",
    SampleType.URINE: "yellow",
    SampleType.DNA: "blue",
    SampleType.RNA: "green",
    SampleType.PLASMA: "bright_yellow",
    SampleType.SERUM: "bright_red",
    SampleType.SWAB: "cyan",
    SampleType.CELL_CULTURE: "bright_magenta",
    SampleType.PROTEIN: "bright_blue",
    SampleType.ENVIRONMENTAL: "bright_green",
    SampleType.OTHER: "white",
}
PROBLEMS_SHOWN = 12
EVENTS_SHOWN = 14


def heading(text: str) -> None:
    """Begin a part of the story."""
    output.stdout().print()
    output.stdout().print(Rule(text, align="left", style="bold cyan"))


def say(text: str) -> None:
    """Say one thing."""
    output.stdout().print(text, highlight=False)


def box(grid: GridView) -> None:
    """Draw a box: one cell per position, coloured by what the sample is."""
    table = Table(title=grid.container.path, title_justify="left", box=None, padding=(0, 1))
    table.add_column("", style="dim")
    for column in range(1, grid.container.columns + 1):
        table.add_column(f"{column:02}", justify="center")
    width = grid.container.columns
    for start in range(0, len(grid.positions), width):
        row = grid.positions[start : start + width]
        cells = [_cell(position.state, position.sample_type) for position in row]
        table.add_row(row[0].position.rstrip("0123456789"), *cells)
    output.stdout().print(table)


def _cell(state: PositionState, sample_type: SampleType | None) -> Text:
    if state is PositionState.FREE or sample_type is None:
        return Text("·", style="dim")
    mark = "●" if state is PositionState.OCCUPIED else "○"
    return Text(mark, style=COLOURS[sample_type])


def legend(types: Iterable[SampleType]) -> None:
    """Say which colour is which material."""
    text = Text("  ")
    for sample_type in dict.fromkeys(types):
        text.append("● ", style=COLOURS[sample_type])
        text.append(f"{sample_type.value}  ")
    output.stdout().print(text)


def timeline(entries: Sequence[TimelineEntry]) -> None:
    """List what happened, oldest first, the many of a kind counted."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    runs: list[tuple[TimelineEntry, int]] = []
    for entry in entries:
        if runs and runs[-1][0].type == entry.type and runs[-1][0].source == entry.source:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((entry, 1))
    for entry, count in runs[:EVENTS_SHOWN]:
        times = f"x {count}" if count > 1 else ""
        step = entry.data.get("step", "")
        status = entry.data.get("status", "")
        time = entry.time.strftime("%H:%M:%S.%f")[:-3]
        table.add_row(f"[dim]{time}[/]", entry.type, f"{times}{step} {status}".strip())
    output.stdout().print(table)


def problems(errors: Sequence[FieldError]) -> None:
    """List what is wrong with which cell, and what to do about it."""
    rows = ((e.field, e.value, e.problem, e.remedy) for e in errors[:PROBLEMS_SHOWN])
    output.stdout().print(output.make_table("", ("Cell", "Value", "Problem", "Remedy"), rows))
    if len(errors) > PROBLEMS_SHOWN:
        say(f"  ... and {len(errors) - PROBLEMS_SHOWN} more")
