"""Which boxes a submission takes, and what is said where there is no room."""

import pytest

from contracts.errors import InvalidInput
from contracts.storage import NoRoom, SampleHasPosition, TooScattered
from contracts.types import Zone
from services.storage.domain.allocation import BOXES_MAX, plan
from services.storage.domain.moves import confirm, hold
from services.storage.domain.naming import natural_order
from tests.unit.storage.laboratory import HOUR, Laboratory, rows_of, submission

COLD, COOL = Zone.ULTRA_LOW, Zone.REFRIGERATED


@pytest.fixture
def laboratory() -> Laboratory:
    """Give a laboratory with one location."""
    return Laboratory()


def test_boxes_are_filled_row_by_row_in_the_order_of_the_rows(laboratory: Laboratory) -> None:
    """The first row of a manifest goes to A01, the next to A02."""
    box = laboratory.box(laboratory.rack(COLD), "B01", rows=2, columns=2)
    rows = rows_of(submission(1), [COLD] * 3)

    assert (
        laboratory.make(hold(submission(1), laboratory.plan(submission(1), rows), laboratory.now))
        is None
    )

    places = {label: slot.sample_id for label, slot in laboratory.containers[box].slots.items()}
    assert places == dict(zip(["A01", "A02", "B01"], [r.sample_id for r in rows], strict=True))


def test_a_partly_used_box_is_filled_up_before_an_empty_one_is_begun(
    laboratory: Laboratory,
) -> None:
    """B02 has room left and comes before the empty B01; among equals the path decides."""
    rack = laboratory.rack(COLD)
    second = laboratory.box(rack, "B02", rows=1, columns=3)
    assert laboratory.reserve(submission(1), [COLD]) is None
    tenth = laboratory.box(rack, "B10", rows=1, columns=3)
    first = laboratory.box(rack, "B1", rows=1, columns=3)

    shares = laboratory.plan(submission(2), rows_of(submission(2), [COLD] * 6))

    assert [(s.container_id, len(s.rows)) for s in shares] == [(second, 2), (first, 3), (tenth, 1)]


def test_paths_are_ordered_as_a_person_orders_them() -> None:
    """R2 comes before R10."""
    assert sorted(["R > R10", "R > R2", "R > R1"], key=natural_order) == [
        *("R > R1", "R > R2", "R > R10")
    ]


def test_every_row_goes_to_its_own_temperature(laboratory: Laboratory) -> None:
    """A mixed manifest is split by zone, and no row rests where it is warmer or colder."""
    cold = laboratory.box(laboratory.rack(COLD), "B01", rows=2, columns=2)
    cool = laboratory.box(laboratory.rack(COOL, name="FRZ-2"), "B01", rows=2, columns=2)

    shares = laboratory.plan(submission(1), rows_of(submission(1), [COLD, COOL, COLD]))

    zones = {s.container_id: {r.details.zone for r in s.rows} for s in shares}
    assert zones == {cold: {COLD}, cool: {COOL}}


def test_no_room_names_the_zone_what_is_needed_and_what_is_free(laboratory: Laboratory) -> None:
    """Room at another temperature does not help, and nothing is held."""
    laboratory.box(laboratory.rack(COOL), "B01", rows=10, columns=10)
    laboratory.box(laboratory.rack(COLD, name="FRZ-2"), "B01", rows=1, columns=2)
    before = len(laboratory.entries)

    refusal = laboratory.reserve(submission(1), [COOL, COLD, COLD, COLD])

    assert refusal == NoRoom(zone=COLD, needed=3, free=2)
    assert refusal is not None
    assert "At -80C 3 position(s) are needed and 2 are free" in refusal.detail
    assert len(laboratory.entries) == before


def test_a_laboratory_without_boxes_has_no_room() -> None:
    """Zero free is said, not an error."""
    refusal = plan(Laboratory().inventory, submission(1), rows_of(submission(1), [COLD]))

    assert refusal == NoRoom(zone=COLD, needed=1, free=0)


def test_a_manifest_without_rows_takes_nothing(laboratory: Laboratory) -> None:
    """An empty plan is a plan: the reservation holds no position and can be confirmed."""
    assert laboratory.plan(submission(1), []) == []
    assert laboratory.reserve(submission(1), []) is None
    assert laboratory.make(confirm(submission(1), (), laboratory.now)) is None
    assert laboratory.reservations[submission(1)].state == "confirmed"


def test_a_sample_in_two_rows_is_refused(laboratory: Laboratory) -> None:
    """One sample has one position."""
    laboratory.box(laboratory.rack(COLD), "B01", rows=2, columns=2)
    row = rows_of(submission(1), [COLD])[0]

    refusal = plan(laboratory.inventory, submission(2), [row, row])

    assert isinstance(refusal, InvalidInput)
    assert refusal.errors[0].value == str(row.sample_id)


def test_a_sample_that_has_a_position_gets_no_second_one(laboratory: Laboratory) -> None:
    """Another submission that names the sample is told where it is."""
    laboratory.box(laboratory.rack(COLD), "B01", rows=2, columns=2)
    assert laboratory.reserve(submission(1), [COLD]) is None
    row = rows_of(submission(1), [COLD])[0]

    refusal = plan(laboratory.inventory, submission(2), [row])

    assert refusal == SampleHasPosition(
        sample_id=row.sample_id, path="Room 1 > FRZ-1 > R01 > B01", position="A01"
    )


def test_a_plan_prefers_roomy_boxes_where_tidiness_would_take_too_many(
    laboratory: Laboratory,
) -> None:
    """One batch of the log holds 999 boxes; beyond it the emptiest boxes are taken first."""
    rack = laboratory.rack(COLD)
    for number in range(600):
        laboratory.box(rack, f"S{number:04d}", rows=1, columns=2)
    other = laboratory.rack(COLD, name="FRZ-2")
    for number in range(600):
        laboratory.box(other, f"L{number:04d}", rows=1, columns=3)

    assert len(laboratory.plan(submission(1), rows_of(submission(1), [COLD] * 2_400))) == 900
    refusal = plan(laboratory.inventory, submission(1), rows_of(submission(1), [COLD] * 2_800))
    assert refusal == TooScattered(boxes=1_100, boxes_max=BOXES_MAX)


def test_ten_thousand_rows_are_planned_and_decided(laboratory: Laboratory) -> None:
    """The pure part of the largest manifest fills 100 of 120 boxes."""
    rack = laboratory.rack(COLD)
    for number in range(120):
        laboratory.box(rack, f"B{number:03d}", rows=10, columns=10)
    rows = rows_of(submission(1), [COLD] * 10_000)

    held = laboratory.make(
        hold(submission(1), laboratory.plan(submission(1), rows), laboratory.now + HOUR)
    )

    assert held is None
    assert laboratory.reservations[submission(1)].positions == 10_000
    assert len(laboratory.boxes_of(submission(1))) == 100
