"""Drawings of definitions and of sagas: Mermaid, and SVG of our own."""

from datetime import timedelta
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest

from contracts.errors import NotFound
from contracts.transaction import StepStatus
from sagas.definitions import SAMPLE_INTAKE
from sagas.engine.conditions import equals, no
from sagas.engine.definition import PIVOT, QUERY, RETRIABLE, Definition
from sagas.engine.diagram import draw_definition, draw_saga, svg_definition, svg_saga
from sagas.engine.drawing import BY_KIND, BY_STATUS, END, UNDO, Colours, duration
from sagas.engine.mapping import out, start
from sagas.engine.svg import WIDTH_OF_SIGN
from sagas.engine.writing import approval, child, days, minutes, parallel, saga, seconds, step
from tests.sagas.chronicle import Chronicle
from tests.sagas.commands import Ask, Begin, Do, Review, Undo

SVG = "{http://www.w3.org/2000/svg}"
RELEASED = equals(out("review.decision"), "release")

# fmt: off
PACKING = saga("packing", version=2, starts_with=Begin)(
    step("wrap", ask=Do, undo=Undo, within=seconds(10)),
)
RELEASING = saga("releasing", version=3, starts_with=Begin, within=days(9))(
    step("review", ask=Review, kind=QUERY, within=seconds(10)),
    approval("agree", needs=2, within=days(7), when=equals(start("lot"), 'a "<b>" & c')),
    parallel(
        step("free", ask=Do, undo=Undo, within=seconds(10), when=RELEASED),
        step("burn", ask=Do, undo=Undo, within=seconds(10), when=no(RELEASED)),
        child("pack", saga=PACKING, within=minutes(10)),
    ),
    step("send", ask=Do, kind=PIVOT, within=seconds(10), idempotent=False, probe=Ask),
    parallel(
        step("bill", ask=Do, kind=RETRIABLE),
        step("tell", ask=Do, kind=RETRIABLE, optional=True),
    ),
)
LONG = saga("long", version=1, starts_with=Begin)(
    *(step(f"step_number_{number}", ask=Do, undo=Undo, within=seconds(10)) for number in range(30))
)
# fmt: on
Area = tuple[float, float, float, float]


def turned_back() -> Chronicle:
    """Give a saga that is being undone, and whose failure looks like markup."""
    log = Chronicle(RELEASING, Begin(lot='a "<b>" & c'))
    log.begin()
    log.reply("review", result={"decision": "release"})
    log.approve("grace")
    log.approve("lise")
    log.reply("free")
    log.reply("pack", refusal=NotFound(what="box <A&B>", key="B01"))
    return log


def drawings() -> dict[str, str]:
    """Draw definitions and sagas of every shape."""
    log = turned_back()
    drawn = {one.saga_type: svg_definition(one) for one in (SAMPLE_INTAKE, RELEASING, LONG)}
    return {**drawn, "one saga": svg_saga(RELEASING, log.saga)}


def areas(drawing: str, name: str) -> list[Area]:
    """Give where every box of a class stands: left, top, right, bottom."""
    found = ET.fromstring(drawing).iter(f"{SVG}rect")  # noqa: S314 - our own drawing
    return [
        (x, y, x + width, y + height)
        for rect in found
        if rect.get("class") == name
        for x, y, width, height in [
            (float(rect.attrib[side]) for side in ("x", "y", "width", "height"))
        ]
    ]


def writing(drawing: str) -> list[tuple[str, Area]]:
    """Give every line of writing, and about where it stands."""
    shown: list[tuple[str, Area]] = []
    for text in ET.fromstring(drawing).iter(f"{SVG}text"):  # noqa: S314 - our own drawing
        x, y, size = (float(text.attrib[name]) for name in ("x", "y", "font-size"))
        width = len(text.text or "") * size * WIDTH_OF_SIGN
        left = x - width / 2 if text.get("text-anchor") == "middle" else x
        shown.append((text.text or "", (left, y - size * 0.8, left + width, y + size * 0.2)))
    return shown


def overlap(one: Area, other: Area) -> bool:
    """Say whether two areas share more than an edge."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def within(inner: Area, outer: Area) -> bool:
    """Say whether one area lies in another."""
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[2] <= outer[2]
        and inner[3] <= outer[3]
    )


# Mermaid


def test_a_definition_is_drawn_with_its_way_forward_and_its_undos() -> None:
    """Full lines lead from the start through every step; dotted ones to what undoes a step."""
    drawn = draw_definition(SAMPLE_INTAKE)
    assert drawn.splitlines()[3] == "flowchart LR"
    assert "    start --> step_validate" in drawn
    assert "    step_notify --> completed" in drawn
    assert '    step_reserve -.-> undo_reserve["storage.release_positions"]' in drawn
    assert 'step_store{{"store<br/>storage.confirm_positions<br/>pivot · 1 min"}}' in drawn


def test_a_group_forks_and_joins_within_a_frame() -> None:
    """Every step of it follows the one before, and the one after follows all."""
    drawn = draw_definition(RELEASING)
    assert '    subgraph group_2 ["at once"]' in drawn
    assert "    step_agree --> step_pack" in drawn
    assert "    step_pack --> joined_2" in drawn
    assert "    joined_2 --> step_send" in drawn


def test_conditions_stand_on_arrows() -> None:
    """What looks like markup is escaped."""
    drawn = draw_definition(RELEASING)
    assert "step_agree -->|\"when review.decision is 'release'\"| step_free" in drawn
    assert "|\"when start.lot is 'a #quot;#lt;b#gt;#quot; & c'\"| step_agree" in drawn


def test_waits_and_children_have_shapes_of_their_own_and_kinds_a_legend() -> None:
    """A flag, and a frame within a frame."""
    drawn = draw_definition(RELEASING)
    assert 'step_agree>"agree<br/>awaits approval from 2 people<br/>query · 7 d"]' in drawn
    assert 'step_pack[["pack<br/>saga packing version 2' in drawn
    assert 'legend_pivot{{"pivot: the point of no return"}}' in drawn


def test_a_saga_is_drawn_with_every_step_in_the_colour_of_its_status() -> None:
    """A step's class is its status, and every status has a colour."""
    log = Chronicle(SAMPLE_INTAKE)
    log.run_to("register")
    drawn = draw_saga(SAMPLE_INTAKE, log.saga)
    assert "    class step_validate done" in drawn
    assert "    class step_register asked" in drawn
    assert "    class step_notify waiting" in drawn
    assert set(BY_STATUS) == set(StepStatus)
    for status in StepStatus:
        assert f"    classDef {status} fill:" in drawn


# SVG


@pytest.mark.parametrize("name", ["sample_intake", "releasing", "long", "one saga"])
def test_no_box_overlaps_another_or_leaves_the_drawing(name: str) -> None:
    """Nor does any writing cross the edge of a box."""
    drawing = drawings()[name]
    root = ET.fromstring(drawing)  # noqa: S314 - our own drawing
    whole = (0.0, 0.0, float(root.attrib["width"]), float(root.attrib["height"]))
    boxes = areas(drawing, "box")
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    assert all(within(box, whole) for box in boxes)
    for text, area in writing(drawing):
        assert within(area, whole), text
        crossed = [box for box in boxes if overlap(area, box) and not within(area, box)]
        assert not crossed, text


@pytest.mark.parametrize("name", ["sample_intake", "releasing", "long", "one saga"])
def test_no_line_of_writing_stands_on_another(name: str) -> None:
    """Everything can be read."""
    shown = writing(drawings()[name])
    assert not [
        (one, other)
        for (one, here), (other, there) in combinations(shown, 2)
        if overlap(here, there)
    ]


@pytest.mark.parametrize(
    ("definition", "boxes"),
    [
        # Every step, every undo, the start and the end.
        (SAMPLE_INTAKE, 6 + 2 + 2),
        (RELEASING, 8 + 3 + 2),
        (LONG, 30 + 30 + 2),
    ],
    ids=lambda given: given.saga_type if isinstance(given, Definition) else str(given),
)
def test_every_step_and_undo_has_a_box(definition: Definition, boxes: int) -> None:
    """And groups have frames."""
    drawing = svg_definition(definition)
    assert len(areas(drawing, "box")) == boxes
    assert len(areas(drawing, "frame")) == sum(len(stage) > 1 for stage in definition.stages)


def test_steps_of_later_stages_stand_further_right() -> None:
    """And those of one stage below each other."""
    drawing = svg_definition(RELEASING)
    places = {text: area for text, area in writing(drawing) if text in RELEASING.by_name}
    lefts = [places[name][0] for name in ("review", "agree", "free", "send", "bill")]
    assert lefts == sorted(lefts)
    assert places["free"][3] < places["burn"][1]
    assert places["burn"][3] < places["pack"][1]


def test_a_drawing_has_a_title_and_escapes_what_looks_like_markup() -> None:
    """It is read back as it was written."""
    log = turned_back()
    drawing = svg_saga(RELEASING, log.saga)
    root = ET.fromstring(drawing)  # noqa: S314 - our own drawing
    assert root.findtext(f"{SVG}title") == "releasing version 3"
    shown = [text for text, _ in writing(drawing)]
    assert log.saga.failure is not None
    assert log.saga.failure.detail in shown
    assert "<A&B>" in log.saga.failure.detail


def test_a_saga_shows_status_and_times_under_every_step() -> None:
    """When it was asked, how long it took, and how often it was asked."""
    drawing = svg_saga(RELEASING, turned_back().saga)
    shown = [text for text, _ in writing(drawing)]
    assert "12:00:00.000 · 5 ms" in shown
    assert "12:00:00.015 · 10 ms" in shown
    assert {"undoing", "refused", "skipped", "waiting"} <= set(shown)
    assert BY_STATUS[StepStatus.UNDOING].fill in drawing


@pytest.mark.parametrize(
    "colours",
    sorted({*BY_STATUS.values(), *BY_KIND.values(), UNDO, END}, key=str),
    ids=str,
)
def test_writing_is_dark_on_a_light_ground(colours: Colours) -> None:
    """At least 4.5 to 1, as the guidelines for accessible content want it."""
    fill, text = _luminance(colours.fill), _luminance(colours.text)
    assert (fill + 0.05) / (text + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (seconds(0.005), "5 ms"),
        (seconds(1.25), "1.25 s"),
        (seconds(60), "1 min"),
        (seconds(90), "90 s"),
        (minutes(30), "30 min"),
        (minutes(60), "1 h"),
        (days(7), "7 d"),
    ],
    ids=str,
)
def test_durations_are_written_in_the_unit_that_people_use(time: timedelta, written: str) -> None:
    """With three digits at most."""
    assert duration(time) == written
