"""A definition, or one saga's way through it, drawn as SVG from left to right.

Stages stand in columns, steps that are asked at once below each other, and what undoes a step below
it. Nothing is measured but by the number of characters, so that every drawing is the same anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final, NamedTuple

from sagas.engine.definition import Definition, Step
from sagas.engine.drawing import (
    BY_KIND,
    BY_STATUS,
    END,
    MEANINGS,
    UNDO,
    Colours,
    clock,
    duration,
    remark_of,
    subject_of,
    times_of,
    title_of,
    undo_of,
)
from sagas.engine.state import SagaState

MARGIN: Final = 24.0
GAP: Final = 56.0
"""Between columns: room for the arrows."""
PADDING: Final = 12.0
SPACE: Final = 28.0
"""Between what stands below each other."""
HEAD: Final = 128.0
"""Title, subtitle and failure."""
LEGEND: Final = 56.0
SMALL, NORMAL, LARGE = 11.0, 14.0, 20.0
LEADING: Final = 1.45
WIDTH_OF_SIGN: Final = 0.6
"""Of a sign, in units of the font's size: wide enough for the fonts that browsers have."""
FAILURE_MAX: Final = 160
"""Signs of a failure that stand in the heading."""
LINE_MAX: Final = 34
"""Signs in one line of a condition; longer ones are broken."""
_FONT: Final = "font-family=\"'DejaVu Sans', Verdana, sans-serif\""
_ARROW: Final = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#64748b"/></marker></defs>'
)


def svg_definition(definition: Definition) -> str:
    """Draw the table: every step in the colour of its kind."""
    drawing = _Drawing(definition, None)
    begun = f"begins with {definition.starts_with.contract.type}"
    if definition.within:
        begun += f" · to be done within {duration(definition.within)}"
    kinds = [kind for kind in BY_KIND if any(step.kind is kind for step in definition.steps)]
    legend = [(BY_KIND[kind], MEANINGS[kind]) for kind in kinds]
    return drawing.draw(begun, legend)


def svg_saga(definition: Definition, state: SagaState) -> str:
    """Draw where one saga stands: every step in the colour of its status, with its times (UTC)."""
    drawing = _Drawing(definition, state)
    stands = f"{state.saga_id} · {state.status} · begun {state.started_at:%Y-%m-%d} "
    stands += clock(state.started_at)
    if state.ended_at is not None:
        stands += f" · took {duration(state.ended_at - state.started_at)}"
    shown = {one.status for one in state.steps.values()}
    legend = [(colours, str(status)) for status, colours in BY_STATUS.items() if status in shown]
    return drawing.draw(stands, legend, "" if state.failure is None else state.failure.detail)


class _Area(NamedTuple):
    """Where a box stands."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Words:
    """One line of writing."""

    text: str
    size: float = SMALL
    bold: bool = False

    @property
    def width(self) -> float:
        return len(self.text) * self.size * WIDTH_OF_SIGN * (1.1 if self.bold else 1.0)

    @property
    def height(self) -> float:
        return self.size * LEADING


@dataclass(frozen=True, slots=True)
class _Cell:
    """A step with everything that stands above and below it."""

    lines: tuple[_Words, ...]
    colours: Colours
    above: tuple[_Words, ...] = ()
    """When it is needed."""
    below: tuple[_Words, ...] = ()
    """Its times."""
    undo: tuple[_Words, ...] = ()
    round: bool = False
    heavy: bool = False
    double: bool = False

    @property
    def width(self) -> float:
        written = (*self.lines, *self.above, *self.below, *self.undo)
        return max(words.width for words in written) + 2 * PADDING

    @property
    def height(self) -> float:
        return _height(self.lines) + PADDING


@dataclass(frozen=True, slots=True)
class _Row:
    """Steps that stand beside each other."""

    top: float
    axis: float
    """Where the arrows run."""
    bottom: float


@dataclass(slots=True)
class _Drawing:
    """One drawing in the making."""

    definition: Definition
    state: SagaState | None
    parts: list[str] = field(default_factory=list[str])

    def draw(self, subtitle: str, legend: Sequence[tuple[Colours, str]], failure: str = "") -> str:
        """Lay everything out, and give the document."""
        columns = [
            [_end(self.definition.starts_with.contract.type)],
            *([_cell(step, self.state) for step in stage] for stage in self.definition.stages),
            [_end("completed")],
        ]
        rows = _rows(columns)
        x, exits = MARGIN, list[float]()
        for column in columns:
            width = max(cell.width for cell in column)
            axes = [row.axis for row in rows[: len(column)]]
            if len(column) > 1:
                self._frame(x, width, rows[0].top, rows[len(column) - 1].bottom)
            if exits:
                self._arrows(x - GAP, exits, axes)
            for cell, axis in zip(column, axes, strict=True):
                self._cell(cell, x, width, axis - cell.height / 2)
            exits = axes
            x += width + GAP
        title = _Words(title_of(self.definition), LARGE, bold=True)
        heading = [title, _Words(subtitle, NORMAL), _Words(failure[:FAILURE_MAX], SMALL)]
        bottom = rows[-1].bottom + SPACE
        right = self._legend([*legend, *_shapes(self.definition)], bottom)
        width = max(x - GAP, right, *(MARGIN + words.width for words in heading)) + MARGIN
        self._heading(heading)
        return self._document(title.text, width, bottom + LEGEND)

    def _document(self, title: str, width: float, height: float) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" {_FONT}>'
        )
        ground = f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>'
        parts = [head, f"<title>{escape(title)}</title>", _ARROW, ground, *self.parts, "</svg>"]
        return "\n".join(parts) + "\n"

    def _heading(self, lines: Sequence[_Words]) -> None:
        y = MARGIN
        for words, colour in zip(lines, ("#0f172a", "#475569", "#b91c1c"), strict=True):
            y += words.height
            self._write(words, MARGIN, y - words.height * 0.3, colour, anchor="start")

    def _legend(self, legend: Sequence[tuple[Colours, str]], y: float) -> float:
        x = MARGIN
        for colours, meaning in legend:
            words = _Words(meaning)
            self._box(_Area(x, y + 16, 18, 14), colours, name="swatch")
            self._write(words, x + 24, y + 27, "#475569", anchor="start")
            x += 24 + words.width + 20
        return x

    def _frame(self, x: float, width: float, top: float, bottom: float) -> None:
        self.parts.append(
            f'<rect class="frame" x="{x - 12:.1f}" y="{top - 22:.1f}" width="{width + 24:.1f}" '
            f'height="{bottom - top + 34:.1f}" rx="10" fill="#f1f5f9" stroke="#cbd5e1"/>'
        )
        self._write(_Words("at once"), x - 4, top - 9, "#64748b", anchor="start")

    def _arrows(self, x: float, exits: Sequence[float], entries: Sequence[float]) -> None:
        middle = x + GAP / 2
        for y in exits:
            self._line(f"M{x:.1f},{y:.1f} H{middle:.1f}")
        heights = [*exits, *entries]
        if max(heights) > min(heights):
            self._line(f"M{middle:.1f},{min(heights):.1f} V{max(heights):.1f}")
        for y in entries:
            self._line(f"M{middle:.1f},{y:.1f} H{x + GAP:.1f}", arrow=True)

    def _cell(self, cell: _Cell, x: float, width: float, y: float) -> None:
        centre = x + width / 2
        self._lines(cell.above, centre, y - _height(cell.above) - 4, "#475569")
        own = cell.width if cell.round else width
        left = centre - own / 2
        area = _Area(left, y, own, cell.height)
        self._box(area, cell.colours, rounded=cell.round, heavy=cell.heavy)
        if cell.double:
            inner = _Area(left + 4, y + 3, own - 8, cell.height - 6)
            self._box(inner, cell.colours, name="inner")
        self._lines(cell.lines, centre, y + PADDING / 2, cell.colours.text)
        y += cell.height
        self._lines(cell.below, centre, y + 3, "#475569")
        if cell.undo:
            top = y + _height(cell.below) + SPACE
            begin = y + _height(cell.below) + (6 if cell.below else 0)
            self._line(f"M{centre:.1f},{begin:.1f} V{top:.1f}", arrow=True, dotted=True)
            self._box(_Area(x, top, width, _height(cell.undo) + PADDING), UNDO)
            self._lines(cell.undo, centre, top + PADDING / 2, UNDO.text)

    def _box(
        self,
        area: _Area,
        colours: Colours,
        *,
        rounded: bool = False,
        heavy: bool = False,
        name: str = "box",
    ) -> None:
        dashes = ' stroke-dasharray="5 3"' if colours.dashed else ""
        radius = area.height / 2 if rounded else 6
        self.parts.append(
            f'<rect class="{name}" x="{area.x:.1f}" y="{area.y:.1f}" width="{area.width:.1f}" '
            f'height="{area.height:.1f}" rx="{radius:.1f}" fill="{colours.fill}" '
            f'stroke="{colours.stroke}" stroke-width="{3 if heavy else 1.2}"{dashes}/>'
        )

    def _lines(self, lines: Sequence[_Words], x: float, y: float, colour: str) -> None:
        for words in lines:
            y += words.height
            self._write(words, x, y - words.height * 0.3, colour)

    def _write(
        self, words: _Words, x: float, y: float, colour: str, *, anchor: str = "middle"
    ) -> None:
        if words.text:
            weight = ' font-weight="bold"' if words.bold else ""
            self.parts.append(
                f'<text x="{x:.1f}" y="{y:.1f}" font-size="{words.size:g}" fill="{colour}" '
                f'text-anchor="{anchor}"{weight}>{escape(words.text)}</text>'
            )

    def _line(self, path: str, *, arrow: bool = False, dotted: bool = False) -> None:
        end = ' marker-end="url(#arrow)"' if arrow else ""
        dots = ' stroke-dasharray="2 4"' if dotted else ""
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="#64748b" stroke-width="1.4"{dots}{end}/>'
        )


def _rows(columns: Sequence[Sequence[_Cell]]) -> list[_Row]:
    """Give each row the room that its highest and its deepest cell need."""
    rows: list[_Row] = []
    top = HEAD
    for number in range(max(len(column) for column in columns)):
        cells = [column[number] for column in columns if len(column) > number]
        tallest = max(cell.height for cell in cells)
        axis = top + max(_height(cell.above) + (4 if cell.above else 0) for cell in cells)
        axis += tallest / 2
        bottom = axis + max(_depth(cell) - cell.height / 2 for cell in cells)
        rows.append(_Row(top, axis, bottom))
        top = bottom + SPACE
    return rows


def _shapes(definition: Definition) -> Iterator[tuple[Colours, str]]:
    """Say what shapes mean that are not of a kind of step."""
    if any(step.awaited is not None for step in definition.steps):
        yield END, "round: awaits a signal"
    if any(step.saga is not None for step in definition.steps):
        yield END, "double: a saga of its own"


def _end(text: str) -> _Cell:
    return _Cell(lines=(_Words(text, SMALL, bold=True),), colours=END, round=True)


def _cell(step: Step, state: SagaState | None) -> _Cell:
    stands = None if state is None else state.steps[step.name]
    lines = [_Words(step.name, NORMAL, bold=True), _Words(subject_of(step))]
    lines.append(_Words(remark_of(step)))
    if stands is not None:
        lines.append(_Words(stands.status, SMALL, bold=True))
    undo = undo_of(step)
    times = "" if stands is None else times_of(stands)
    return _Cell(
        lines=tuple(lines),
        colours=BY_KIND[step.kind] if stands is None else BY_STATUS[stands.status],
        above=tuple(_Words(line) for line in _broken(step)),
        below=(_Words(times),) if times else (),
        undo=(_Words(f"undo: {undo}"),) if undo is not None else (),
        heavy=step.kind == "pivot",
        round=step.awaited is not None,
        double=step.saga is not None,
    )


def _broken(step: Step) -> Iterator[str]:
    """Break what is said of a condition into lines."""
    line = ""
    for word in f"when {step.when}".split() if step.when is not None else ():
        if line and len(line) + len(word) >= LINE_MAX:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line


def _height(lines: Sequence[_Words]) -> float:
    return sum(words.height for words in lines)


def _depth(cell: _Cell) -> float:
    """Give how far a cell reaches down from the top of its box."""
    undo = SPACE + _height(cell.undo) + PADDING if cell.undo else 0.0
    return cell.height + _height(cell.below) + undo
