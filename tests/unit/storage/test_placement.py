"""Where containers may stand, and what is said where they may not."""

import pytest
from pydantic import TypeAdapter

from contracts.errors import Refusal
from contracts.storage import (
    AddContainer,
    ContainerFull,
    ContainerKind,
    ContainerNotFound,
    ContainerRefused,
    LocationNotFound,
)
from contracts.types import ContainerId, LocationId, Zone, derive_id
from services.storage.domain.container import container_view, decide_take_in
from services.storage.domain.location import (
    FREEZERS_MAX,
    LocationNameState,
    LocationState,
    decide_claim_name,
    decide_place_freezer,
    evolve_location,
    name_key,
)
from services.storage.domain.placement import place_freezer
from tests.unit.storage.laboratory import ROOT, Laboratory

NOWHERE = ContainerId(derive_id(ROOT, "nowhere"))
ELSEWHERE = LocationId(derive_id(ROOT, "elsewhere"))


@pytest.fixture
def laboratory() -> Laboratory:
    """Give a laboratory with one location."""
    return Laboratory()


def refused(answer: ContainerId | Refusal, field: str) -> ContainerRefused:
    """Expect a refusal of one field, which the problem details name too."""
    assert isinstance(answer, ContainerRefused)
    assert answer.field == field
    assert [error.field for error in answer.field_errors()] == [field]
    assert answer.problem in answer.detail
    assert answer.remedy in answer.detail
    return answer


def location_of(laboratory: Laboratory) -> LocationState:
    """Give the laboratory's one location."""
    assert laboratory.location is not None
    return laboratory.location


def test_a_path_names_every_level_down_to_the_box(laboratory: Laboratory) -> None:
    """A box is found by location, freezer, rack and box; it has its freezer's temperature."""
    box = laboratory.box(laboratory.rack(Zone.FROZEN), "B01", rows=8, columns=12)

    view = container_view(laboratory.containers[box], seq=7)
    assert (view.path, view.zone) == ("Room 1 > FRZ-1 > R01 > B01", Zone.FROZEN)
    assert (view.capacity, view.used, view.rows, view.columns) == (96, 0, 8, 12)


def test_freezers_and_racks_have_the_usual_capacity_unless_told_otherwise(
    laboratory: Laboratory,
) -> None:
    """20 racks to a freezer, 25 boxes to a rack."""
    freezer = laboratory.must_add(
        AddContainer(
            kind=ContainerKind.FREEZER,
            name="FRZ-1",
            location_id=location_of(laboratory).location_id,
            zone=Zone.ULTRA_LOW,
        )
    )
    rack = laboratory.must_add(AddContainer(kind=ContainerKind.RACK, name="R01", parent_id=freezer))

    capacities = [laboratory.containers[c].capacity for c in (freezer, rack)]
    assert capacities == [20, 25]
    assert container_view(laboratory.containers[freezer], seq=1).used == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"parent_id": NOWHERE}, "parent_id"),
        ({"location_id": None}, "location_id"),
        ({"zone": None}, "zone"),
    ],
)
def test_a_freezer_needs_a_location_and_a_temperature_and_no_parent(
    laboratory: Laboratory, changed: dict[str, object], field: str
) -> None:
    """What is missing or too much is named."""
    fields: dict[str, object] = {
        "kind": "freezer",
        "name": "FRZ-9",
        "location_id": location_of(laboratory).location_id,
        "zone": "-80C",
    }
    command = TypeAdapter(AddContainer).validate_python(fields | changed)

    refused(laboratory.add(command), field)


def test_a_freezer_in_an_unknown_location_is_refused() -> None:
    """The location must exist."""
    command = AddContainer(
        kind=ContainerKind.FREEZER, name="FRZ-1", location_id=ELSEWHERE, zone=Zone.FROZEN
    )

    assert place_freezer(command, NOWHERE, None) == LocationNotFound(location_id=ELSEWHERE)


@pytest.mark.parametrize("kind", [ContainerKind.RACK, ContainerKind.BOX])
def test_racks_and_boxes_need_a_parent_that_exists(
    laboratory: Laboratory, kind: ContainerKind
) -> None:
    """No parent is refused with the field, an unknown one as not found."""
    refused(laboratory.add(AddContainer(kind=kind, name="X")), "parent_id")

    unknown = laboratory.add(AddContainer(kind=kind, name="X", parent_id=NOWHERE))
    assert unknown == ContainerNotFound(container_id=NOWHERE)


def test_levels_cannot_be_skipped_or_turned_over(laboratory: Laboratory) -> None:
    """A rack does not stand in a rack, nor a box in a box, nor a box in a freezer."""
    rack = laboratory.rack(Zone.FROZEN)
    freezer = laboratory.containers[rack].parent_id
    box = laboratory.box(rack, "B01", rows=1, columns=1)
    assert freezer is not None

    for kind, parent in [
        (ContainerKind.RACK, rack),
        (ContainerKind.RACK, box),
        (ContainerKind.BOX, freezer),
        (ContainerKind.BOX, box),
    ]:
        answer = laboratory.add(AddContainer(kind=kind, name="X", parent_id=parent))
        assert refused(answer, "parent_id").value == str(parent)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"zone": "4C"}, "zone"),
        ({"location_id": ELSEWHERE}, "location_id"),
        ({"capacity": 5}, "capacity"),
    ],
)
def test_a_box_cannot_contradict_its_parent_or_its_own_grid(
    laboratory: Laboratory, changed: dict[str, object], field: str
) -> None:
    """Temperature and location are the rack's, and the capacity is rows times columns."""
    rack = laboratory.rack(Zone.FROZEN)
    fields: dict[str, object] = {"kind": "box", "name": "B01", "parent_id": rack}

    command = TypeAdapter(AddContainer).validate_python(fields | changed)

    refused(laboratory.add(command), field)


def test_a_name_stands_once_within_its_parent_whatever_its_case(laboratory: Laboratory) -> None:
    """`b01` beside `B01` is refused; in another rack it is fine."""
    rack, other = laboratory.rack(Zone.FROZEN), laboratory.rack(Zone.FROZEN, name="FRZ-2")
    laboratory.box(rack, "B01", rows=1, columns=1)

    twin = AddContainer(kind=ContainerKind.BOX, name="b01", parent_id=rack)
    assert refused(laboratory.add(twin), "name").value == "b01"
    laboratory.box(other, "b01", rows=1, columns=1)


def test_a_full_rack_takes_no_more(laboratory: Laboratory) -> None:
    """The box that would be one too many is refused, and the rack is named."""
    freezer = laboratory.containers[laboratory.rack(Zone.FROZEN)].parent_id
    small = laboratory.must_add(
        AddContainer(kind=ContainerKind.RACK, name="R02", parent_id=freezer, capacity=1)
    )
    laboratory.box(small, "B01", rows=1, columns=1)

    answer = laboratory.add(AddContainer(kind=ContainerKind.BOX, name="B02", parent_id=small))
    assert answer == ContainerFull(name="R02", capacity=1)


def test_taking_the_same_child_in_twice_changes_nothing(laboratory: Laboratory) -> None:
    """A command that comes again finds the child there, even where the parent is full now."""
    rack = laboratory.rack(Zone.FROZEN)
    freezer = laboratory.containers[laboratory.containers[rack].parent_id or NOWHERE]
    full = freezer.model_copy(update={"capacity": 1})

    assert decide_take_in(full, laboratory.added(rack)) == []


def test_freezers_of_a_location_are_bounded_and_named_once(laboratory: Laboratory) -> None:
    """A location knows its freezers by name and takes at most 1,000."""
    location = location_of(laboratory)
    command = AddContainer(
        kind=ContainerKind.FREEZER,
        name="FRZ-1",
        location_id=location.location_id,
        zone=Zone.FROZEN,
    )
    first = place_freezer(command, ContainerId(derive_id(ROOT, 1)), location)
    twin = place_freezer(command, ContainerId(derive_id(ROOT, 2)), location)
    assert not isinstance(first, Refusal)
    assert not isinstance(twin, Refusal)

    placed = decide_place_freezer(location, first)
    assert not isinstance(placed, Refusal)
    with_one = evolve_location(location, placed[0], laboratory.entries[0])

    assert decide_place_freezer(with_one, first) == []
    assert isinstance(decide_place_freezer(with_one, twin), ContainerRefused)
    crowd = {f"f{n}": NOWHERE for n in range(FREEZERS_MAX)}
    full = location.model_copy(update={"freezers": crowd})
    assert decide_place_freezer(full, first) == ContainerFull(name="Room 1", capacity=FREEZERS_MAX)


def test_the_name_of_a_location_is_claimed_once() -> None:
    """The claim's key ignores case and spelling, and a second location is told who has the name."""
    here, there = LocationId(derive_id(ROOT, "here")), ELSEWHERE
    claimed = LocationNameState(location_id=here, name="Room 1")

    assert name_key("Room 1") == name_key("ROOM \uff11") != name_key("Room 2")
    assert decide_claim_name(claimed, location_id=here, name="Room 1") == []
    refusal = decide_claim_name(claimed, location_id=there, name="ROOM 1")
    assert isinstance(refusal, Refusal)
    assert str(here) in refusal.detail
